// That GPUs which have a data set read of it what others are sent.
#include "gpu.h"

#include "../runtime/io/temporary.h"

#include "io/staged_port.h"
#include "mpar/part.h"
#include "mpar/resident.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <string>

namespace mpar {
namespace {

constexpr int64_t batch_rows = 8;

/// A model that computes nothing, of two devices: the first reads `x`, the second `flags` and the
/// target.
class Reader final : public Model {
public:
  Reader(const ModelDescription &description, const std::string &devices)
      : Model(description, settings(devices)) {}
  float train_step(const Batch &) override { return 0; }
  float evaluate(const Batch &, const void *&) override { return 0; }
  const void *predict(const Batch &) override { return nullptr; }

  /// What kernels of a port's device read, row after row.
  std::vector<std::byte> read(const Batch &batch, size_t number) {
    BatchPart part(*this, batch.rows);
    const PortDescription &description = port(number);
    int64_t row_bytes = element_bytes(description.type);
    for (const int64_t extent : description.shape)
      row_bytes *= extent;
    const void *const rows = number < batch.inputs.size()
                                 ? find_input(part, batch, number, row_bytes)
                                 : find_target(part, batch, row_bytes);
    std::vector<std::byte> values(static_cast<size_t>(batch.rows * row_bytes));
    const Device &device = machine().device(description.devices.front());
    // What several devices read is memory of the host.
    const bool is_alone =
        std::all_of(description.devices.begin(), description.devices.end(), [&](int other) {
          return machine().device(other).backend() == device.backend();
        });
    if (!device.backend() || !is_alone) {
      std::memcpy(values.data(), rows, values.size());
      return values;
    }
    device.read(values.data(), rows, static_cast<int64_t>(values.size()));
    return values;
  }

private:
  static Settings settings(const std::string &devices) {
    Settings settings;
    settings.devices = devices;
    settings.batch = batch_rows;
    return settings;
  }
};

class Resident : public testing::Test {
protected:
  // GPUs of numbers that no other test opens; each is the first one there is.
  Resident() : before_(gpu_library()) {
    static const GpuLibrary library = {
        [](std::string &) { return 10; },
        [](int) -> std::unique_ptr<Backend> { return std::make_unique<cuda::CudaBackend>(0); },
        [](int number) { return std::to_string(number); }};
    gpu_library() = &library;
  }
  ~Resident() override { gpu_library() = before_; }

  static ModelDescription describe() {
    ModelDescription description;
    description.name = "Reader";
    description.devices = {{16, 16, 0, 0}, {16, 16, 0, 0}};
    description.training.optimizer.kind = OptimizerSettings::Kind::sgd;
    return description;
  }
  static ModelDescription describe_table() {
    ModelDescription description = describe();
    description.inputs = {{"x", ElementType::f32, {3}, {0}},
                          {"flags", ElementType::boolean, {2}, {1}}};
    description.target = {"target", ElementType::i32, {}, {1}};
    return description;
  }
  static ModelDescription describe_tokens() {
    ModelDescription description = describe();
    description.inputs = {{"text", ElementType::i32, {5}, {0}}};
    description.target = {"target", ElementType::i32, {5}, {1}};
    return description;
  }
  static Dataset make_table(int64_t rows) {
    auto table = std::make_shared<Table>();
    table->rows = rows;
    table->columns = 6;
    table->cells.resize(static_cast<size_t>(rows * 6));
    for (size_t i = 0; i < table->cells.size(); ++i)
      table->cells[i] = i % 6 < 3 ? static_cast<uint32_t>(i * 2654435761u)
                                  : static_cast<uint32_t>(i / 6 % (i % 6 < 5 ? 2 : 7));
    return {{{table, 0, 3, ElementType::f32}, {table, 3, 2, ElementType::boolean}},
            {{table, 5, 1, ElementType::i32}}};
  }
  Dataset make_tokens(const std::string &type, const std::string &bytes, int64_t count,
                      const ModelDescription &description) {
    std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" +
                         std::to_string(count) + ",)}\n";
    DataSource source;
    source.kind = DataSource::Kind::tokens;
    source.path =
        folder_.write("tokens.npy", std::string("\x93NUMPY\x01\0", 8) +
                                        static_cast<char>(header.size()) + '\0' + header + bytes);
    return load_dataset(source, description, true);
  }

  /// All batches of an epoch, read by devices that are sent them and by devices that keep them.
  static void expect_same(const ModelDescription &description, const std::string &devices,
                          const Dataset &rows, bool shuffle, const std::vector<bool> &kept) {
    Reader sent(description, devices), keeps(description, devices);
    Dataset there = rows;
    make_resident(keeps, there);
    DataLoader from(rows, batch_rows, shuffle), numbered(there, batch_rows, shuffle);
    Generator generator, same;
    generator.manual_seed(3);
    same.manual_seed(3);
    from.start(generator);
    numbered.start(same);
    const size_t ports = description.inputs.size() + 1;
    for (size_t port = 0; port < ports; ++port)
      EXPECT_EQ(there.resident()->has(port), kept[port]) << port;
    for (int64_t index = 0; index < from.batches(); ++index) {
      const Batch expected = from.batch(index), batch = numbered.batch(index);
      for (size_t port = 0; port < ports; ++port) {
        // What is kept is not gathered on the host.
        EXPECT_EQ(port < batch.inputs.size() ? !batch.inputs[port] : !batch.target, kept[port]);
        EXPECT_EQ(keeps.read(batch, port), sent.read(expected, port))
            << "port " << port << " of batch " << index;
      }
    }
  }

  ::test::TemporaryDirectory folder_;

private:
  const GpuLibrary *before_;
};

TEST_F(Resident, TablesAreGatheredByTheNumbersOfRows) {
  const Dataset rows = make_table(29); // the last batch is short
  for (const bool shuffle : {false, true}) {
    expect_same(describe_table(), "cuda:5,cuda:5", rows, shuffle, {true, true, true});
    expect_same(describe_table(), "cuda:5,cuda:6", rows, shuffle, {true, true, true});
    expect_same(describe_table(), "cuda:6,cuda:5", rows.slice(11, 17), shuffle, {true, true, true});
  }
}

TEST_F(Resident, RowsThatOtherDevicesReadAreSent) {
  expect_same(describe_table(), "cuda:5,cpu", make_table(20), true, {true, false, false});
  expect_same(describe_table(), "cpu,cpu", make_table(20), true, {false, false, false});
  ModelDescription shared = describe_table();
  shared.inputs[0].devices = {0, 1};
  expect_same(shared, "cuda:5,cuda:6", make_table(20), true, {false, true, true});
  expect_same(shared, "cuda:5,cuda:5", make_table(20), true, {true, true, true});
}

TEST_F(Resident, TokensOfEveryWidthBecomeWindows) {
  const ModelDescription description = describe_tokens();
  constexpr int64_t count = 104; // 20 windows
  const auto expect_windows = [&](const std::string &type, const auto &values) {
    std::string bytes(values.size() * sizeof values[0], '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    const Dataset rows = make_tokens(type, bytes, count, description);
    for (const bool shuffle : {false, true})
      for (const char *devices : {"cuda:5,cuda:5", "cuda:5,cuda:6"})
        expect_same(description, devices, rows, shuffle, {true, true});
  };
  std::vector<uint8_t> bytes(count);
  std::iota(bytes.begin(), bytes.end(), 100);
  expect_windows("|u1", bytes);
  std::vector<uint16_t> halves(count);
  std::iota(halves.begin(), halves.end(), 65500);
  expect_windows("<u2", halves);
  std::vector<int32_t> words(count);
  std::iota(words.begin(), words.end(), -50);
  expect_windows("<i4", words);
  std::vector<uint32_t> large(count); // of which some are beyond i32
  std::iota(large.begin(), large.end(), 0x7fffffffu - 50);
  expect_windows("<u4", large);
  std::vector<int64_t> larger(count);
  std::iota(larger.begin(), larger.end(), int64_t(0x7fffffff) - 50);
  larger[7] = std::numeric_limits<int64_t>::min();
  expect_windows("<i8", larger);
}

TEST_F(Resident, APortThatDoesNotFitIsSentAndNamed) {
  const Reader model(describe_table(), "cuda:5,cuda:6");
  const Dataset rows = make_table(1 << 20);
  const int64_t free = gpu(5).free_memory();
  // Beside the margin there is room for the flags and targets, but not for what `x` takes.
  const ResidentData resident(model, rows, free - (int64_t(8) << 20));
  EXPECT_FALSE(resident.has(0));
  EXPECT_TRUE(resident.has(1));
  EXPECT_TRUE(resident.has(2));
  EXPECT_EQ(resident.find(gpu(5), 0), nullptr);
  EXPECT_EQ(resident.find(gpu(5), 1), nullptr);
  EXPECT_NE(resident.find(gpu(6), 1), nullptr);
  ASSERT_EQ(resident.too_large().size(), 1u);
  EXPECT_EQ(resident.too_large()[0],
            "`x` takes 12582912 bytes, cuda:0 has " + std::to_string(free) + " free");
}

TEST_F(Resident, PartsOfADataSetAreKeptOnce) {
  const Reader model(describe_table(), "cuda:5,cuda:5");
  Dataset rows = make_table(40);
  auto [train, last] = split_dataset(rows, 0.25);
  make_resident(model, train);
  make_resident(model, last, &train);
  EXPECT_EQ(train.resident(), last.resident());
  Dataset other = make_table(40);
  make_resident(model, other, &train);
  EXPECT_NE(train.resident(), other.resident());
  // The tokens of windows and of the next ones are one sequence.
  const std::string bytes(1 << 20, '\1');
  const Dataset tokens = make_tokens("|u1", bytes, 1 << 20, describe_tokens());
  const Reader reads(describe_tokens(), "cuda:5,cuda:5");
  const int64_t before = gpu(5).free_memory();
  const ResidentData resident(reads, tokens);
  EXPECT_TRUE(resident.has(0) && resident.has(1));
  EXPECT_LT(before - gpu(5).free_memory(), 3 << 20); // CUDA takes 2 MiB at a time
}

/// A step of one turn, which copies the rows it is brought to the device's arena.
class FetchingStep {
public:
  FetchingStep()
      : machine_({}, 1, {{16, 16, 0, 16}}, 0, count, false, {}, {5}),
        workers_({&machine_.device(0)}, schedule_, true),
        port_({&gpu(5), &gpu(5), true}, count * int64_t(sizeof(int32_t))) {}

  /// What the step finds among the rows it is brought.
  std::vector<int32_t> run(const std::vector<Fetch> &fetches,
                           const std::function<void()> &meanwhile = nullptr) {
    workers_.do_meanwhile(meanwhile);
    workers_.fetch_first(fetches);
    workers_.run(
        [](void *context, int, int) {
          auto &self = *static_cast<FetchingStep *>(context);
          ++self.issued;
          Device &device = self.machine_.device(0);
          copy(device, {count}, reinterpret_cast<const int32_t *>(self.rows), {1},
               device.rows<int32_t>(0), {1});
        },
        this, count);
    std::vector<int32_t> found(count);
    machine_.device(0).read(found.data(), machine_.device(0).rows<int32_t>(0),
                            count * int64_t(sizeof(int32_t)));
    return found;
  }

  static constexpr int64_t count = 4;
  int issued = 0; // times that the turn's work was issued, not replayed
  const void *rows = nullptr;

private:
  static Schedule make_schedule() {
    Schedule schedule;
    schedule.stages = {{0, StageDescription::When::during, "copy_on_0", "one.mp:2"}};
    schedule.turns = {{0, 0, {}}};
    return schedule;
  }
  const Schedule schedule_ = make_schedule();
  Machine machine_;
  Workers workers_;

public:
  StagedPort port_;
};

TEST_F(Resident, AStepIsReplayedWithItsRowsAndRecordedAnewWithOthers) {
  FetchingStep step;
  const auto sent = [&](const std::vector<int32_t> &values) {
    const Fetch fetch = step.port_.take(values.data(), 4 * FetchingStep::count);
    step.rows = fetch.to;
    return std::vector<Fetch>{fetch};
  };
  using Values = std::vector<int32_t>;
  EXPECT_EQ(step.run(sent({1, 2, 3, 4})), (Values{1, 2, 3, 4}));
  EXPECT_EQ(step.run(sent({5, 6, 7, 8})), (Values{5, 6, 7, 8})); // recorded
  EXPECT_EQ(step.issued, 2);
  EXPECT_EQ(step.run(sent({9, 10, 11, 12})), (Values{9, 10, 11, 12}));
  EXPECT_EQ(step.issued, 2);
  // Rows that the GPU keeps, by their numbers.
  const test::OnGpu<int32_t> table(Values{100, 101, 102, 103, 104, 105, 106});
  StagedPort numbers({&gpu(5), &gpu(5), true}, 4 * FetchingStep::count);
  const auto kept = [&](const Values &rows) {
    const Fetch copy = numbers.take(rows.data(), 4 * FetchingStep::count);
    return std::vector<Fetch>{copy, step.port_.gather({table.data(), 7, 4, 1, KeptRows::Kind::rows},
                                                      static_cast<const int32_t *>(copy.to),
                                                      FetchingStep::count)};
  };
  EXPECT_EQ(step.run(kept({6, 0, 3, 3})), (Values{106, 100, 103, 103}));
  EXPECT_EQ(step.issued, 3);
  EXPECT_EQ(step.run(kept({1, 2, 5, 4})), (Values{101, 102, 105, 104}));
  EXPECT_EQ(step.issued, 3);
}

TEST_F(Resident, RowsOfTheNextStepAreSentWhileOneIsAtHand) {
  FetchingStep step;
  using Values = std::vector<int32_t>;
  constexpr int64_t bytes = 4 * FetchingStep::count;
  Values next{1, 2, 3, 4};
  const std::vector<Fetch> first{step.port_.take(next.data(), bytes)};
  step.rows = step.port_.at(0);
  for (int number = 1; number < 7; ++number) {
    const Values expected = next;
    const auto meanwhile = [&] {
      for (int32_t &each : next)
        each += 10;
      step.port_.bring_ahead(next.data(), bytes, number);
    };
    const std::vector<Fetch> fetches = number == 1 ? first : std::vector{step.port_.present()};
    EXPECT_EQ(step.run(fetches, meanwhile), expected) << number;
    EXPECT_FALSE(step.port_.enter(number + 1));
    const void *const before = step.port_.at(0);
    ASSERT_TRUE(step.port_.enter(number));
    step.rows = step.port_.at(0);
    EXPECT_NE(step.rows, before);
    // Issued once, then recorded for each of the two rooms.
    EXPECT_EQ(step.issued, std::min(number, 3));
  }
  // Nothing is entered twice, and what is not sent ahead is sent.
  EXPECT_FALSE(step.port_.enter(6));
  const Values other{7, 7, 8, 8};
  EXPECT_EQ(step.run({step.port_.take(other.data(), bytes)}), other);
}

} // namespace
} // namespace mpar
