// Vector clocks over streams, and what they are asked.
#include "stream_checker.h"

#include "mpar/errors.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace mpar {
namespace {

constexpr int longest_delay = 200; // microseconds

void fill_with_poison(Device &device, std::byte *begin, const std::byte *end) {
  const auto count = static_cast<int64_t>(end - begin) / static_cast<int64_t>(sizeof poison);
  if (count <= 0)
    return;
  if (Backend *const gpu = device.backend())
    return gpu->fill(device, count, static_cast<int32_t>(poison),
                     reinterpret_cast<int32_t *>(begin));
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(begin + i * static_cast<int64_t>(sizeof poison), &poison, sizeof poison);
}

} // namespace

StreamChecker::StreamChecker(std::vector<Machine *> machines, const Schedule &schedule,
                             const Schedule &all)
    : machines_(std::move(machines)), schedule_(schedule), all_(all),
      touches_(machines_, schedule, all), dying_(find_dying(schedule, machines_.front()->count())),
      places_(all.turns.size()) {
  std::set<Backend *> gpus;
  turns_.resize(machines_.size() * static_cast<size_t>(machines_.front()->count()));
  for (size_t number = 0; number < turns_.size(); ++number)
    if (Backend *const gpu = device_of(number).backend())
      gpus.insert(gpu);
  gpus_.assign(gpus.begin(), gpus.end());
}

Device &StreamChecker::device_of(size_t number) const {
  const auto each = static_cast<size_t>(machines_.front()->count());
  return machines_[number / each]->device(static_cast<int>(number % each));
}

void StreamChecker::join(Clock &clock, const Clock &other) {
  for (const auto &[actor, number] : other) {
    int64_t &known = clock[actor];
    known = std::max(known, number);
  }
}

bool StreamChecker::comes_after(const Clock &clock, const Place &place) {
  const auto found = clock.find(place.actor);
  return found != clock.end() && found->second >= place.number;
}

StreamChecker::Place StreamChecker::advance(const Actor &actor) {
  Clock &clock = clocks_[actor];
  join(clock, clocks_[host()]);
  return {actor, ++clock[actor]};
}

void StreamChecker::recorded(const Event &event, const Backend &gpu, Lane lane) {
  Clock &clock = clocks_[{&gpu, lane}];
  join(clock, clocks_[host()]);
  events_[&event] = clock;
}

void StreamChecker::waits(const Event &event, const Backend &gpu, Lane lane) {
  join(clocks_[{&gpu, lane}], events_[&event]);
}

void StreamChecker::is_over(const Event &event) { join(clocks_[host()], events_[&event]); }

void StreamChecker::is_over(const Backend &gpu) {
  for (const Lane lane : {Lane::compute, Lane::copies})
    join(clocks_[host()], clocks_[{&gpu, lane}]);
}

void StreamChecker::begin_step() {
  // The step before was waited for whole.
  touched_.clear();
  aliases_.clear();
  for (std::vector<size_t> &turns : turns_)
    turns.clear();
  for (size_t number = 0; number < turns_.size(); ++number) {
    Device &device = device_of(number);
    fill_with_poison(device, device.rows<std::byte>(0), device.end_of_rows());
  }
  for (Backend *gpu : gpus_)
    begins_[gpu] = advance({gpu, Lane::compute});
}

void StreamChecker::begin(size_t number, const Queue &queue) {
  const Actor actor{queue.gpu, queue.gpu ? queue.lane : Lane::compute};
  if (queue.gpu && random_() % 2 == 0)
    queue.gpu->delay(static_cast<int>(random_() % static_cast<unsigned>(longest_delay)),
                     queue.lane);
  const Place place = advance(actor);
  const Clock &clock = clocks_[actor];
  if (queue.gpu && !comes_after(clock, begins_[queue.gpu]))
    fail(describe(number) + " on " + queue.gpu->name() +
         " does not come after what was issued there before the step");
  for (const Turn::Wait &wait : all_.turns[number].waits) {
    const std::vector<size_t> &before = turns_[static_cast<size_t>(wait.device)];
    if (wait.turns < 1 || wait.turns > static_cast<int64_t>(before.size()))
      fail(describe(number) + " waits for turn " + std::to_string(wait.turns) + " of device " +
           std::to_string(wait.device) + ", which does not come before it");
    for (int64_t i = 0; i < wait.turns; ++i)
      if (const size_t other = before[static_cast<size_t>(i)]; !comes_after(clock, places_[other]))
        fail(describe(number) + " is to wait for " + describe(other) +
             ", and no event orders one after the other");
  }
  places_[number] = place;
  turn_ = number;
  in_turn_ = true;
  touch_where_it_lies(touches_.of(number), place);
}

/// Of a transfer between devices of one GPU nothing is written: what it would have is an alias from
/// then on, until something is written there.
void StreamChecker::touch_where_it_lies(const std::vector<Touch> &touches, const Place &place) {
  const Turn &turn = all_.turns[turn_];
  const StageDescription &stage = all_.stages[turn.stage];
  const bool stays = stage.from >= 0 && device_of(static_cast<size_t>(stage.from)).physical() ==
                                            device_of(static_cast<size_t>(stage.device)).physical();
  std::vector<Touch> sources;
  std::vector<Alias> made;
  for (const Touch &each : touches) {
    std::vector<Touch> real{each};
    for (const Alias &alias : aliases_)
      if (each.begin < alias.end && alias.begin < each.end && !each.writes) {
        Touch there = each;
        there.begin = alias.from + (std::max(each.begin, alias.begin) - alias.begin);
        there.end = alias.from + (std::min(each.end, alias.end) - alias.begin);
        real.push_back(there);
      }
    if (stays && !each.writes)
      sources.push_back(real.back());
    if (stays && each.writes) {
      const size_t which = made.size();
      if (which < sources.size() &&
          sources[which].end - sources[which].begin == each.end - each.begin)
        made.push_back({each.begin, each.end, sources[which].begin});
      continue;
    }
    if (each.writes)
      aliases_.erase(std::remove_if(aliases_.begin(), aliases_.end(),
                                    [&](const Alias &alias) {
                                      return each.begin < alias.end && alias.begin < each.end;
                                    }),
                     aliases_.end());
    for (const Touch &there : real)
      touch(there, place);
  }
  aliases_.insert(aliases_.end(), made.begin(), made.end());
}

void StreamChecker::touch(const Touch &now, const Place &place) {
  const Clock &clock = clocks_[place.actor];
  for (const Touched &before : touched_)
    if (before.touch.turn != now.turn && before.touch.meets(now) &&
        !comes_after(clock, before.place))
      fail(describe(now.turn) + (now.writes ? " writes what " : " reads what ") +
           describe(before.touch.turn) + (before.touch.writes ? " writes" : " reads") +
           ", and no event orders one after the other");
  // Whoever comes after this one comes after those.
  const auto is_covered = [&](const Touched &before) {
    const bool same_order =
        now.writes || (!before.touch.writes && before.place.actor == place.actor);
    return same_order && now.begin <= before.touch.begin && before.touch.end <= now.end &&
           comes_after(clock, before.place);
  };
  touched_.erase(std::remove_if(touched_.begin(), touched_.end(), is_covered), touched_.end());
  touched_.push_back({now, place});
}

void StreamChecker::copies(const Backend &gpu, Lane lane, void *to, const void *from,
                           int64_t bytes) {
  if (!in_turn_)
    return;
  const Actor actor{&gpu, lane};
  const Place place = actor == places_[turn_].actor ? places_[turn_] : advance(actor);
  const auto *const source = static_cast<const std::byte *>(from);
  const auto *const target = static_cast<const std::byte *>(to);
  touch({turn_, 0, source, source + bytes, false, -1}, place);
  touch({turn_, 0, target, target + bytes, true, -1}, place);
}

void StreamChecker::end(size_t number) {
  poison_dying(number);
  turns_[static_cast<size_t>(all_.stages[all_.turns[number].stage].device)].push_back(number);
  in_turn_ = false;
}

/// Whether all that touches the bytes comes before `clock`, and none of them stands for others.
bool StreamChecker::is_settled(const std::byte *begin, const std::byte *end,
                               const Clock &clock) const {
  for (const Alias &alias : aliases_)
    if (begin < alias.from + (alias.end - alias.begin) && alias.from < end)
      return false;
  for (const Touched &each : touched_)
    if (each.touch.begin < end && begin < each.touch.end && !comes_after(clock, each.place))
      return false;
  return true;
}

void StreamChecker::poison_dying(size_t number) {
  const Turn &turn = all_.turns[number];
  const auto stages = static_cast<int>(schedule_.stages.size());
  const Place &place = places_[number];
  // What fills is issued on the lane that computes.
  if (place.actor.first && place.actor.second != Lane::compute)
    return;
  Machine &machine = *machines_[static_cast<size_t>(turn.stage / stages)];
  for (const Dying &dying : dying_[static_cast<size_t>(turn.stage % stages)])
    for (int64_t part = 0; part < machine.parts_a_microbatch(); ++part) {
      const Device &view = machine.slot(dying.device, turn.microbatch, part);
      for (const auto &[from, to] : dying.intervals) {
        std::byte *const begin = view.rows<std::byte>(from);
        const std::byte *const end = begin + view.bytes_of_rows(to - from);
        aliases_.erase(std::remove_if(aliases_.begin(), aliases_.end(),
                                      [&](const Alias &alias) {
                                        return begin <= alias.begin && alias.end <= end;
                                      }),
                       aliases_.end());
        Device &device = machine.device(dying.device);
        if (device.backend() != place.actor.first || !is_settled(begin, end, clocks_[place.actor]))
          continue;
        touch({number, 0, begin, end, true, -1}, place);
        fill_with_poison(device, begin, end);
      }
    }
}

void StreamChecker::end_step() {
  for (const std::vector<size_t> &turns : turns_)
    for (const size_t number : turns)
      if (!comes_after(clocks_[host()], places_[number]))
        fail("the step ends before " + describe(number) + ": no event orders one after the other");
}

} // namespace mpar
