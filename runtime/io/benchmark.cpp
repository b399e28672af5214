// A step is timed where it is done: on GPUs by events between which the host waits, too, as in
// training, on processors by the clock.
#include "benchmark.h"

#include "backend.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <vector>

namespace mpar {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

std::string median(const char *what, std::vector<double> &all) {
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2),
                   all.end());
  char text[64];
  std::snprintf(text, sizeof text, "%s: %.1f us", what, all[all.size() / 2]);
  return text;
}

/// The GPUs of this process that a model is on.
std::vector<Backend *> gpus_of(const Model &model) {
  std::vector<Backend *> gpus;
  for (int number = 0; number < model.count_of_all(); ++number)
    if (Backend *const gpu = model.device_of_all(number).backend();
        gpu && std::find(gpus.begin(), gpus.end(), gpu) == gpus.end())
      gpus.push_back(gpu);
  return gpus;
}

/// When steps begin: by events of a GPU, or, without one, by the clock.
class Beginnings {
public:
  Beginnings(Backend *gpu, int64_t count) : gpu_(gpu) {
    for (int64_t i = 0; gpu && i < count; ++i)
      events_.push_back(gpu->make_timed_event());
  }

  void note() {
    if (gpu_)
      gpu_->record(*events_[noted_], Lane::compute);
    else
      times_.push_back(Clock::now());
    ++noted_;
  }

  /// Microseconds from each to the next; waits for the GPU.
  std::vector<double> gaps() {
    if (gpu_)
      gpu_->synchronize();
    std::vector<double> all;
    for (size_t i = 1; i < noted_; ++i)
      all.push_back(
          gpu_ ? gpu_->microseconds_between(*events_[i - 1], *events_[i])
               : std::chrono::duration<double, std::micro>(times_[i] - times_[i - 1]).count());
    return all;
  }

private:
  Backend *gpu_;
  std::vector<std::unique_ptr<Event>> events_;
  std::vector<Clock::time_point> times_;
  size_t noted_ = 0;
};

} // namespace

std::string run_benchmark(Model &model, const Dataset &train, const TrainingSettings &settings,
                          int64_t steps) {
  DataLoader loader(train, settings.batch, settings.shuffle);
  loader.start(model.generator());
  model.run_steps() = std::max<int64_t>(1, settings.epochs) * loader.batches();
  Batch batch = loader.batch(0);
  // The first steps fault pages in and let libraries choose their kernels.
  for (int64_t i = 0; i < std::clamp<int64_t>(steps / 10, 3, 100); ++i)
    model.train_step(batch);
  const std::vector<Backend *> gpus = gpus_of(model);
  Beginnings beginnings(gpus.empty() ? nullptr : gpus.front(), steps + 1);
  std::vector<double> times_of_host; // until GPUs have been given all of the step
  for (int64_t i = 0; i < steps; ++i) {
    beginnings.note();
    const Clock::time_point start = Clock::now();
    model.do_meanwhile([&] { times_of_host.push_back(microseconds_since(start)); });
    model.train_step(batch);
  }
  beginnings.note();
  std::vector<double> times = beginnings.gaps();
  std::string line = median("median step", times);
  if (!times_of_host.empty())
    line += median("; host", times_of_host);
  int64_t bytes = 0;
  for (const Backend *gpu : gpus)
    bytes += gpu->taken_memory();
  if (!gpus.empty())
    line += "; memory: " + std::to_string(bytes) + " bytes";
  return line;
}

} // namespace mpar
