// What a turn costs beside its work: empty stages that one worker carries out, that two do beside
// one another, and that go from one to the other and back.
#include "mpar/schedule.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

using namespace mpar;

namespace {

constexpr int turns_a_step = 4096;
constexpr int steps = 200;

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set))
      cores.push_back(core);
  return cores;
}

/// Turns that are dealt out to devices one after the other; `chained`: each waits for the one
/// before it.
Schedule deal(int devices, bool chained) {
  Schedule schedule;
  schedule.microbatches = turns_a_step / devices;
  for (int device = 0; device < devices; ++device)
    schedule.stages.push_back({device, StageDescription::When::during});
  for (int turn = 0; turn < turns_a_step; ++turn) {
    const int device = turn % devices, before = (turn + devices - 1) % devices;
    Turn next{device, turn / devices, {}};
    if (chained && turn > 0 && before != device)
      next.waits.push_back({before, (turn - 1) / devices + 1});
    schedule.turns.push_back(next);
  }
  return schedule;
}

/// Nanoseconds a turn, the median of many steps.
double measure(const std::vector<int> &cores, const Schedule &schedule) {
  Workers workers(cores, schedule);
  std::vector<double> times;
  for (int step = 0; step < steps; ++step) {
    const auto begin = std::chrono::steady_clock::now();
    workers.run([](void *, int, int) {}, nullptr);
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin;
    times.push_back(time.count() / turns_a_step);
  }
  std::nth_element(times.begin(), times.begin() + steps / 2, times.end());
  return times[steps / 2];
}

} // namespace

int main() {
  const std::vector<int> cores = usable_cores();
  std::printf("one worker: %.1f ns a turn\n", measure({cores[0]}, deal(1, false)));
  std::printf("one worker, two devices in turns: %.1f ns a turn\n",
              measure({cores[0], cores[0]}, deal(2, true)));
  if (cores.size() < 2)
    return 0;
  std::printf("two workers, side by side: %.1f ns a turn of either\n",
              2 * measure({cores[0], cores[1]}, deal(2, false)));
  std::printf("two workers, from one to the other: %.1f ns a handoff\n",
              measure({cores[0], cores[1]}, deal(2, true)));
}
