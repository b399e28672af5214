// The record of a run, as a file for Perfetto and as one line.
#include "mpar/trace.h"

#include "backend.h"

#include "mpar/file.h"
#include "mpar/replicas.h"
#include "mpar/world.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace mpar {

namespace {

/// What a device is: "cuda:0", "cpu:3".
std::string place_of(const Device &device) {
  if (const Backend *gpu = device.backend())
    return gpu->name();
  return "cpu:" + std::to_string(device.physical());
}

using OrderedJson = nlohmann::ordered_json;

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

double median(std::vector<double> values) {
  if (values.empty())
    return 0;
  auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

OrderedJson name_row(const char *what, int row, const std::string &name) {
  return {{"ph", "M"}, {"name", what}, {"pid", 0}, {"tid", row}, {"args", {{"name", name}}}};
}

std::string percent(double part) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", part * 100);
  return text;
}

} // namespace

Trace::Trace(Model &model) : model_(&model), events_(static_cast<size_t>(model.count_of_all())) {
  if (has_workers())
    model.workers()->observe(*this);
}

Trace::~Trace() {
  if (has_workers())
    model_->workers()->ignore(*this);
}

void Trace::begin_step(int64_t rows) {
  // Turns of a step are recorded all or not at all.
  const size_t turns = model_->schedule_of_all().turns.size();
  recording_ = steps_.size() < most_turns && std::all_of(
                                                 events_.begin(), events_.end(),
                                                 [&](const std::vector<Event> &events) {
                                                   return events.size() + turns <= most_turns;
                                                 });
  if (!recording_)
    return;
  for (std::vector<Event> &events : events_)
    events.reserve(std::min(most_turns, std::max(events.capacity(), 2 * (events.size() + turns))));
  const Clock::time_point now = Clock::now();
  steps_.push_back({rows, now, now});
}

void Trace::begin(size_t turn) {
  if (!recording_)
    return;
  const Schedule &schedule = model_->schedule_of_all();
  const Clock::time_point now = Clock::now();
  events_[static_cast<size_t>(schedule.stages[schedule.turns[turn].stage].device)].push_back(
      {static_cast<uint32_t>(steps_.size() - 1), static_cast<uint32_t>(turn), now, now});
}

void Trace::end(size_t turn) {
  if (!recording_)
    return;
  const Schedule &schedule = model_->schedule_of_all();
  events_[static_cast<size_t>(schedule.stages[schedule.turns[turn].stage].device)].back().end =
      Clock::now();
}

void Trace::begin_whole_step(int64_t rows) {
  if (!has_workers())
    begin_step(rows);
}

void Trace::end_whole_step() {
  if (!has_workers() && recording_)
    steps_.back().end = Clock::now();
}

int64_t Trace::moved_bytes(const Turn &turn, int64_t rows) const {
  const Schedule &schedule = model_->schedule_of_all();
  const StageDescription &stage = schedule.stages[turn.stage];
  const int devices = model_->machine().count(), replicas = model_->replicas();
  const int replica = stage.device / devices;
  const auto moves_from = [&](int source) {
    return model_->device_of_all(source).physical() !=
           model_->device_of_all(stage.device).physical();
  };
  if (stage.from < 0) {
    // Of a collective each replica fetches what falls to the others: when summing, of its own
    // share.
    int64_t bytes = 0;
    for (int other = 0; other < replicas; ++other)
      if (moves_from(stage.device % devices + other * devices))
        bytes += rows_of_microbatch(stage.fixed_bytes, other, replicas).count;
    return bytes;
  }
  if (!moves_from(stage.from))
    return 0;
  rows = rows_of_replica(rows, replica, replicas).count;
  if (stage.when == StageDescription::When::during)
    rows = rows_of_microbatch(rows, turn.microbatch, schedule.microbatches).count;
  return stage.row_bytes * rows + stage.fixed_bytes;
}

std::string Trace::pack() const {
  std::string packed;
  auto add = [&packed](const void *data, size_t bytes) {
    packed.append(static_cast<const char *>(data), bytes);
  };
  const size_t steps = steps_.size();
  add(&steps, sizeof steps);
  for (const std::vector<Event> &events : events_) {
    const size_t count = events.size();
    add(&count, sizeof count);
    add(events.data(), count * sizeof(Event));
  }
  return packed;
}

void Trace::unpack(const std::string &packed, Clock::duration ahead) {
  const char *from = packed.data();
  auto take = [&from](void *data, size_t bytes) {
    if (bytes > 0)
      std::memcpy(data, from, bytes);
    from += bytes;
  };
  size_t steps = 0;
  take(&steps, sizeof steps);
  keep_steps(steps);
  for (std::vector<Event> &events : events_) {
    size_t count = 0;
    take(&count, sizeof count);
    std::vector<Event> theirs(count);
    take(theirs.data(), count * sizeof(Event));
    for (Event &event : theirs) {
      event.begin -= ahead;
      event.end -= ahead;
    }
    events.insert(events.end(), theirs.begin(), theirs.end());
  }
}

void Trace::keep_steps(size_t count) {
  if (count < steps_.size())
    steps_.resize(count);
  for (std::vector<Event> &events : events_)
    events.erase(std::remove_if(events.begin(), events.end(),
                                [&](const Event &event) { return event.step >= steps_.size(); }),
                 events.end());
}

void Trace::gather_ranks() {
  World *const world = model_->world();
  if (!world)
    return;
  world->set_activity("for the trace");
  // How far each clock is ahead, by the answer that came soonest.
  constexpr int questions = 10;
  std::vector<Clock::duration> ahead(static_cast<size_t>(world->size()));
  for (int rank = 1; rank < world->size(); ++rank) {
    Clock::duration soonest = Clock::duration::max();
    for (int question = 0; question < questions; ++question) {
      Clock::time_point theirs;
      char asked = 0;
      if (world->rank() == rank) {
        world->receive(0, World::clock_channel, &asked, 1);
        theirs = Clock::now();
        world->send(0, World::clock_channel, &theirs, sizeof theirs);
      } else if (world->rank() == 0) {
        const Clock::time_point before = Clock::now();
        world->send(rank, World::clock_channel, &asked, 1);
        world->receive(rank, World::clock_channel, &theirs, sizeof theirs);
        const Clock::duration took = Clock::now() - before;
        if (took < soonest)
          ahead[static_cast<size_t>(rank)] = theirs - (before + took / 2);
        soonest = std::min(soonest, took);
      }
    }
  }
  const std::vector<std::string> all = world->gather(world->rank() == 0 ? "" : pack());
  for (size_t rank = 1; rank < all.size(); ++rank)
    unpack(all[rank], ahead[rank]);
  keep_steps(steps_.size());
}

TraceSummary Trace::summarize() const {
  TraceSummary summary;
  summary.steps = static_cast<int64_t>(steps_.size());
  const size_t devices = events_.size();
  if (steps_.empty())
    return summary;
  std::vector<double> times;
  if (!has_workers()) {
    for (const Step &step : steps_)
      times.push_back(seconds(step.end - step.begin));
    summary.step_seconds = median(std::move(times));
    summary.idle.assign(devices, 0);
    return summary;
  }
  std::vector<int> cores;
  cores.reserve(model_->count_of_all());
  for (int device = 0; device < model_->count_of_all(); ++device)
    cores.push_back(model_->device_of_all(device).physical());
  std::sort(cores.begin(), cores.end());
  const auto workers = static_cast<double>(std::unique(cores.begin(), cores.end()) - cores.begin());
  std::vector<Step> spans(steps_.size(), {0, Clock::time_point::max(), Clock::time_point::min()});
  std::vector<std::vector<double>> busy(devices, std::vector<double>(steps_.size()));
  for (size_t device = 0; device < devices; ++device)
    for (const Event &event : events_[device]) {
      Step &span = spans[event.step];
      span.begin = std::min(span.begin, event.begin);
      span.end = std::max(span.end, event.end);
      busy[device][event.step] += seconds(event.end - event.begin);
    }
  std::vector<double> bubbles;
  std::vector<std::vector<double>> idle(devices);
  for (size_t step = 0; step < spans.size(); ++step) {
    const double time = seconds(spans[step].end - spans[step].begin);
    double all = 0;
    for (size_t device = 0; device < devices; ++device) {
      all += busy[device][step];
      idle[device].push_back(1 - busy[device][step] / time);
    }
    times.push_back(time);
    bubbles.push_back(1 - all / (workers * time));
  }
  summary.step_seconds = median(std::move(times));
  summary.bubble = median(std::move(bubbles));
  for (std::vector<double> &of_device : idle)
    summary.idle.push_back(median(std::move(of_device)));
  std::vector<double> moved(steps_.size());
  const Schedule &schedule = model_->schedule_of_all();
  for (size_t step = 0; step < steps_.size(); ++step)
    for (const Turn &turn : schedule.turns)
      moved[step] += static_cast<double>(moved_bytes(turn, steps_[step].rows));
  summary.moved_bytes = static_cast<int64_t>(median(std::move(moved)));
  return summary;
}

void Trace::write(const std::string &path) const {
  const ModelDescription &description = model_->description();
  const Schedule &schedule = model_->schedule_of_all();
  auto microseconds = [&](Clock::time_point time) { return seconds(time - began_) * 1e6; };
  OutputFile file(path);
  file.write("{\"traceEvents\": [\n");
  file.write(name_row("process_name", 0, description.name + ", " + description.source).dump());
  auto write = [&](const OrderedJson &event) { file.write(",\n" + event.dump()); };
  for (int device = 0; device < model_->count_of_all(); ++device)
    write(name_row(
        "thread_name", device,
        "device " + std::to_string(device) +
            (model_->world()
                 ? " (rank " + std::to_string(model_->device_of_all(device).seat().rank) + ")"
             : has_workers() ? " (" + place_of(model_->device_of_all(device)) + ")"
                             : "")));
  if (!has_workers())
    for (size_t step = 0; step < steps_.size(); ++step)
      write({{"ph", "X"},
             {"name", "train_step"},
             {"pid", 0},
             {"tid", 0},
             {"ts", microseconds(steps_[step].begin)},
             {"dur", microseconds(steps_[step].end) - microseconds(steps_[step].begin)},
             {"args", {{"step", step + 1}, {"rows", steps_[step].rows}}}});
  for (size_t device = 0; device < events_.size(); ++device)
    for (const Event &event : events_[device]) {
      const Turn &turn = schedule.turns[event.turn];
      const StageDescription &stage = schedule.stages[turn.stage];
      OrderedJson arguments = {{"step", event.step + 1}};
      if (stage.when == StageDescription::When::during)
        arguments["microbatch"] = turn.microbatch;
      if (*stage.place)
        arguments["place"] = stage.place;
      if (stage.from >= 0 || stage.fixed_bytes > 0)
        arguments["bytes"] = moved_bytes(turn, steps_[event.step].rows);
      write({{"ph", "X"},
             {"name", stage.name},
             {"pid", 0},
             {"tid", device},
             {"ts", microseconds(event.begin)},
             {"dur", microseconds(event.end) - microseconds(event.begin)},
             {"args", std::move(arguments)}});
    }
  const TraceSummary summary = summarize();
  file.write("\n],\n\"displayTimeUnit\": \"ns\",\n\"otherData\": " +
             OrderedJson{{"steps", summary.steps},
                         {"step_us", summary.step_seconds * 1e6},
                         {"bubble", summary.bubble},
                         {"idle", summary.idle},
                         {"moved_bytes_a_step", summary.moved_bytes}}
                 .dump() +
             "}\n");
  file.commit();
}

std::string summary_line(const TraceSummary &summary) {
  char step[32];
  std::snprintf(step, sizeof step, "%.1f", summary.step_seconds * 1e6);
  std::string line =
      "Trace : step " + std::string(step) + " us, bubble " + percent(summary.bubble) + ", idle";
  for (double idle : summary.idle)
    line += " " + percent(idle);
  return line + ", moved " + std::to_string(summary.moved_bytes) + " B";
}

} // namespace mpar
