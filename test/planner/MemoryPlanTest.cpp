// The memory plan against the least any plan can do with: what is alive at once.
#include "RandomModel.h"

#include "dialect/MpDialect.h"
#include "planner/MemoryPlan.h"

#include <gtest/gtest.h>

#include <chrono>

using namespace mlir;
using namespace mparc;
using namespace mparc::mp;

namespace {

class MemoryPlanTest : public ::testing::Test {
protected:
  MemoryPlanTest() {
    context.disableMultithreading();
    context.loadDialect<MpDialect>();
  }
  MLIRContext context;
};

ModelOp getModel(ModuleOp module) { return *module.getOps<ModelOp>().begin(); }
ProgramOp getProgram(ModelOp model) { return *model.getBody().getOps<ProgramOp>().begin(); }

} // namespace

// Reuse by lifetime keeps what activations take within a tenth of what is alive at once.
TEST_F(MemoryPlanTest, ExtentIsWithinATenthOfThePeak) {
  int programs = countOfPrograms(400);
  double worst = 1;
  for (int index = 0; index < programs; ++index) {
    uint64_t seed = firstSeed() + index;
    RandomModelOptions options;
    options.operations = 4 + index % 60;
    options.devices = 1 + index % 5;
    auto module = compile(context, makeRandomModel(seed, options), Phase::scheduled);
    ASSERT_TRUE(module) << "seed " << seed;
    ModelOp model = getModel(*module);
    MemoryPlan plan = planMemory(getProgram(model));
    for (int64_t device = 0; device < static_cast<int64_t>(*model.getDevices()); ++device)
      for (bool perRow : {true, false}) {
        int64_t extent = plan.getExtent(device, perRow), peak = plan.getPeak(device, perRow);
        EXPECT_LE(extent, peak + peak / 10)
            << "seed " << seed << ", " << options.operations << " operations, device " << device
            << (perRow ? ", rows" : ", fixed");
        EXPECT_GE(extent, peak);
        if (peak)
          worst = std::max(worst, double(extent) / double(peak));
      }
  }
  RecordProperty("worst", std::to_string(worst));
  std::cout << "largest ratio of extent to peak: " << worst << '\n';
}
