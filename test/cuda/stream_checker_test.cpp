// That the checker of streams finds every wait that is left out.
#include "gpu.h"

#include "mpar/errors.h"
#include "mpar/indexing.h"
#include "mpar/reduce.h"
#include "mpar/schedule.h"

#include <cstdlib>
#include <string>

namespace mpar {
namespace {

using When = StageDescription::When;
using Region = MemoryAccess::Region;

constexpr int64_t rows = 4; // of a batch of two microbatches

/// What GPUs are made to wait for: all that they are told, but for one.
struct Waits {
  static Waits &all() {
    static Waits waits;
    return waits;
  }
  int64_t made = 0, left_out = -1;
};

class Forgetful final : public cuda::CudaBackend {
public:
  using CudaBackend::CudaBackend;
  void wait(const Event &event, Lane lane) override {
    if (Waits::all().made++ != Waits::all().left_out)
      CudaBackend::wait(event, lane);
  }
};

/// Forward on device 0, a transfer to device 1, forward there, and back on 0: a slot each, so that
/// the second microbatch takes over the memory of the first.
Schedule make_schedule() {
  Schedule schedule;
  schedule.microbatches = 2;
  schedule.stages = {{0, When::during, "forward_on_0", "two.mp:2"},
                     {1, When::during, "transfer_0_to_1", "two.mp:3", 0, 8, 0},
                     {1, When::during, "forward_on_1", "two.mp:3"},
                     {0, When::during, "backward_on_0", "two.mp:2"}};
  schedule.reads = {
      {1, 0, Region::rows, 0, 8}, {2, 1, Region::rows, 0, 8}, {3, 0, Region::rows, 0, 8}};
  schedule.writes = {{0, 0, Region::rows, 0, 8},
                     {1, 1, Region::rows, 0, 8},
                     {2, 1, Region::rows, 8, 16},
                     {3, 0, Region::gradients, 0, 16}};
  schedule.turns = {{0, 0, {}},       {1, 0, {{0, 1}}}, {2, 0, {}}, {3, 0, {}},
                    {0, 1, {{1, 1}}}, {1, 1, {{0, 3}}}, {2, 1, {}}, {3, 1, {}}};
  return schedule;
}

class StreamCheck : public testing::Test {
protected:
  StreamCheck() : before_(gpu_library()) {
    static const GpuLibrary forgetful = {
        [](std::string &) { return 2; },
        [](int number) -> std::unique_ptr<Backend> { return std::make_unique<Forgetful>(number); },
        [](int number) { return std::to_string(number); }};
    gpu_library() = &forgetful;
    Waits::all() = {};
#ifdef MPAR_CUDA_EMULATION
    setenv("MPAR_EMULATED_GPUS", "2", 1);
#endif
    cuda::check(cudaGetDeviceCount(&count_), "cudaGetDeviceCount");
  }
  ~StreamCheck() override {
#ifdef MPAR_CUDA_EMULATION
    unsetenv("MPAR_EMULATED_GPUS");
#endif
    gpu_library() = before_;
  }

  /// Carries out a step, or several, on GPUs of these numbers; what is said is wrong.
  std::string run(const std::vector<int> &gpus, int steps = 1) {
    std::vector<DeviceDescription> devices(2);
    for (DeviceDescription &device : devices) {
      device.parameter_floats = device.trained_floats = 16;
      device.row_bytes = 16;
      device.slots = 1;
      device.microbatches = 2;
    }
    const Schedule schedule = make_schedule();
    machine_ = std::make_unique<Machine>(std::vector<int>{}, 1, devices, 0, rows, false,
                                         std::vector<Seat>{}, gpus);
    machine_->make_slots(schedule, rows);
    const std::vector<const Device *> all = {&machine_->device(0), &machine_->device(1)};
    Workers workers(all, schedule, true);
    workers.check_streams({machine_.get()}, schedule);
    first_ = last_ = -1;
    try {
      for (int step = 0; step < steps; ++step)
        workers.run(work, this, rows);
    } catch (const Error &error) {
      return error.what();
    }
    return "";
  }

  static void work(void *context, int stage, int microbatch) {
    auto &self = *static_cast<StreamCheck *>(context);
    if (self.first_ < 0)
      self.first_ = Waits::all().made;
    self.last_ = Waits::all().made;
    Device &one = self.machine_->slot(0, microbatch, 0);
    Device &other = self.machine_->slot(1, microbatch, 0);
    const int64_t floats = 8 / 4 * rows / 2;
    switch (stage) {
    case 0:
      return fill(one, floats, static_cast<float>(microbatch), one.rows<float>(0));
    case 1:
      self.received_ = transfer(one, one.rows<float>(0), other, other.rows<float>(0), floats);
      return;
    case 2:
      return copy(other, {floats}, self.received_, {1}, other.rows<float>(8), {1});
    default:
      return copy(one, {floats}, one.rows<float>(0), {1}, self.machine_->device(0).gradients(),
                  {1});
    }
  }

  std::unique_ptr<Machine> machine_;
  const float *received_ = nullptr;
  int64_t first_ = -1, last_ = -1; // waits that were made before the first and the last turn's work

  int count_ = 0; // of GPUs

private:
  const GpuLibrary *before_;
};

/// A GPU that waits for another needs another.
class TwoStreamsCheck : public StreamCheck {
protected:
  void SetUp() override {
    if (count_ < 2)
      GTEST_SKIP() << "needs two GPUs";
  }
};

TEST_F(TwoStreamsCheck, AcceptsWhatEventsOrder) {
  EXPECT_EQ(run({0, 1}, 3), "");
  EXPECT_EQ(run({1, 0}), "");
}

TEST_F(TwoStreamsCheck, FindsEveryWaitOfATurnThatIsLeftOut) {
  ASSERT_EQ(run({0, 1}), "");
  const int64_t begin = first_, end = last_;
  ASSERT_GE(end - begin, 5);
  for (int64_t wait = begin; wait < end; ++wait) {
    Waits::all() = {0, wait};
    EXPECT_NE(run({0, 1}).find(", and no event orders one after the other"), std::string::npos)
        << "wait " << wait;
  }
  Waits::all() = {0, begin};
  EXPECT_EQ(run({0, 1}),
            "transfer_0_to_1 of microbatch 0 (two.mp:3) is to wait for forward_on_0 of "
            "microbatch 0 (two.mp:2), and no event orders one after the other");
  // What turns of one device do on two lanes the schedule does not say.
  Waits::all() = {0, begin + 1};
  EXPECT_EQ(run({0, 1}), "forward_on_1 of microbatch 0 (two.mp:3) reads what transfer_0_to_1 of "
                         "microbatch 0 (two.mp:3) writes, and no event orders one after the other");
}

TEST_F(TwoStreamsCheck, FindsThatTheEndOfAStepDoesNotWait) {
  ASSERT_EQ(run({0, 1}), "");
  const int64_t begin = last_, end = Waits::all().made;
  int64_t found = 0;
  for (int64_t wait = begin; wait < end; ++wait) {
    Waits::all() = {0, wait};
    found += run({0, 1}).rfind("the step ends before forward_on_1 of microbatch", 0) == 0;
  }
  EXPECT_EQ(found, 1); // of the GPU that computes last; its copies come before that
}

TEST_F(TwoStreamsCheck, FindsThatAStepBeginsTooEarly) {
  ASSERT_EQ(run({0, 1}), "");
  const int64_t before = first_;
  int64_t found = 0;
  for (int64_t wait = 0; wait < before; ++wait) {
    Waits::all() = {0, wait};
    found += run({0, 1}) == "transfer_0_to_1 of microbatch 0 (two.mp:3) on cuda:1 does not come "
                            "after what was issued there before the step";
  }
  EXPECT_EQ(found, 1);
}

TEST_F(StreamCheck, LooksForWhatIsReadWhereItLies) {
  EXPECT_EQ(run({0, 0}, 2), "");
  EXPECT_EQ(received_, machine_->slot(0, 1, 0).rows<float>(0));
}

TEST_F(TwoStreamsCheck, FillsWhatNothingReadsAnyMore) {
  ASSERT_EQ(run({0, 1}), "");
  float values[2] = {0, 0};
  const Device &device = machine_->device(1);
  device.read(values, device.rows<float>(0), sizeof values);
  EXPECT_TRUE(std::isnan(values[0]) && std::isnan(values[1]));
  machine_->device(0).read(values, machine_->device(0).gradients(), sizeof values);
  EXPECT_EQ(values[0], 1); // of the last microbatch, which was read before
}

} // namespace
} // namespace mpar
