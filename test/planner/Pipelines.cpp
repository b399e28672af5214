// Makes pipelines and their plans.
#include "Pipelines.h"

#include <algorithm>
#include <cstdlib>
#include <set>

using namespace mparc::mp;

using When = Stage::When;

std::vector<Stage> makePipeline(const std::vector<int64_t> &visited, int64_t forwardCost,
                                int64_t backwardCost, int64_t weightsCost) {
  std::vector<Stage> stages;
  int64_t last = -1;
  auto add = [&](Stage stage) {
    if (last >= 0 && stage.when == When::during)
      stage.waits.push_back(last);
    if (!stage.weights)
      last = static_cast<int64_t>(stages.size());
    stages.push_back(std::move(stage));
  };
  auto pass = [&](std::vector<int64_t> devices, bool backward) {
    for (size_t i = 0; i < devices.size(); ++i) {
      int64_t before = i > 0 ? devices[i - 1] : devices[i];
      if (before != devices[i])
        add({devices[i], before, When::during, backward, 0, {}, {before, devices[i]}, false});
      add({devices[i],
           -1,
           When::during,
           backward,
           backward ? backwardCost : forwardCost,
           {},
           {devices[i]},
           backward});
      if (backward && weightsCost > 0)
        add({devices[i], -1, When::during, true, weightsCost, {}, {devices[i]}, true, true});
    }
  };
  pass(visited, false);
  pass({visited.rbegin(), visited.rend()}, true);
  std::set<int64_t> devices(visited.begin(), visited.end());
  for (int64_t device : devices) {
    Stage update{device, -1, When::after, true, 1, {}, {}, false};
    for (auto [index, stage] : llvm::enumerate(stages))
      if (stage.weights && stage.device == device)
        update.waits.push_back(static_cast<int64_t>(index));
    stages.push_back(std::move(update));
  }
  return stages;
}

Plan makePlan(std::vector<Stage> stages, int64_t microbatches, ScheduleKind kind) {
  int64_t devices = 0;
  for (const Stage &stage : stages)
    devices = std::max(devices, stage.device + 1);
  Plan plan;
  plan.stages = std::move(stages);
  plan.order = orderTurns(plan.stages, microbatches, kind);
  plan.slots = countSlots(plan.stages, plan.order, microbatches, devices);
  plan.turns = planTurns(plan.stages, plan.order, plan.slots, microbatches);
  return plan;
}

std::vector<std::vector<bool>> findBefore(const std::vector<Stage> &stages,
                                          const std::vector<PlannedTurn> &turns) {
  std::vector<std::vector<bool>> before(turns.size(), std::vector<bool>(turns.size()));
  std::vector<std::vector<size_t>> ofDevice;
  for (size_t i = 0; i < turns.size(); ++i) {
    auto follow = [&](size_t earlier) {
      before[i][earlier] = true;
      for (size_t j = 0; j < earlier; ++j)
        if (before[earlier][j])
          before[i][j] = true;
    };
    size_t device = stages[turns[i].turn.stage].device;
    ofDevice.resize(std::max(ofDevice.size(), device + 1));
    if (!ofDevice[device].empty())
      follow(ofDevice[device].back());
    for (auto wait : turns[i].waits)
      follow(ofDevice.at(wait.device).at(wait.turns - 1));
    ofDevice[device].push_back(i);
  }
  return before;
}

int schedulesOfOneSeed() {
  const char *text = std::getenv("MPARC_RANDOM_SCHEDULES");
  return (text ? std::max(std::atoi(text), kSeeds) : 2000) / kSeeds;
}
