// Devices: the layout of an arena, and what is refused.
#include "kernels.h"

#include "mpar/errors.h"

#include <string>

using namespace mpar;

namespace {

const DeviceDescription some_device{48, 32, 1000, 12};

std::string message_of(void (*action)()) {
  try {
    action();
  } catch (const Error &error) {
    return error.what();
  }
  return "no error";
}

TEST(Device, LaysOutItsRegionsInOrder) {
  Device device(3, 0, some_device, 2, 65);
  EXPECT_EQ(device.index(), 3);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(device.parameters()) % 256, 0u);
  EXPECT_EQ(device.gradients(), device.parameters() + 48);
  EXPECT_EQ(device.state(0), device.parameters() + 96);
  EXPECT_EQ(device.state(1), device.parameters() + 144);
  // 4 · 48 floats are 768 bytes, a multiple of 256; 1,000 bytes round to 1,024; 65 rows to 128.
  const char *begin = reinterpret_cast<const char *>(device.parameters());
  EXPECT_EQ(device.fixed<char>(0), begin + 768);
  EXPECT_EQ(device.rows<char>(0), begin + 768 + 1024);
  EXPECT_EQ(device.rows<char>(4), begin + 768 + 1024 + 4 * 128);
  EXPECT_EQ(device.arena_bytes(), 768 + 1024 + 12 * 128);
  EXPECT_EQ(device.arena_bytes(), arena_bytes(some_device, 2, 65));
}

TEST(Device, ArenaIsZeroed) {
  Device device(0, 0, some_device, 1, 3);
  const char *begin = reinterpret_cast<const char *>(device.parameters());
  for (int64_t i = 0; i < device.arena_bytes(); ++i)
    ASSERT_EQ(begin[i], 0);
}

TEST(Device, SaysWhatMemoryItLacks) {
  const std::string message =
      message_of([] { Device(2, 0, {0, 0, 0, int64_t(1) << 40}, 0, 1 << 20); });
  EXPECT_EQ(message.find("device 2: its arena takes 1152921504606846976 bytes, "), 0u) << message;
}

TEST(Device, RefusesSizesPast64Bits) {
  EXPECT_EQ(message_of([] { arena_bytes({0, 0, 0, int64_t(1) << 60}, 0, 1 << 20); }),
            "an arena does not fit in 64-bit sizes");
}

TEST(Machine, CountsAllArenasAgainstWhatIsLeft) {
  // Each would fit alone; written, they would not.
  const std::string message = message_of([] {
    const DeviceDescription large{0, 0, int64_t(1) << 36, 0};
    Machine("cpu", 1, std::vector<DeviceDescription>(1 << 12, large), 0, 1);
  });
  EXPECT_NE(message.find("its arena takes 68719476736 bytes, "), std::string::npos) << message;
}

TEST(Machine, MapsAllLogicalDevicesToTheCallingThread) {
  for (const char *devices : {"auto", "cpu", "cpu,cpu,cpu"}) {
    Machine machine(devices, 2, std::vector<DeviceDescription>(3, some_device), 0, 4);
    ASSERT_EQ(machine.count(), 3);
    EXPECT_EQ(machine.threads(), 2);
    EXPECT_EQ(machine.device(2).index(), 2);
    EXPECT_EQ(machine.device(2).physical(), machine.device(0).physical());
    EXPECT_EQ(machine.device(1).threads(), 2);
  }
}

TEST(Machine, RefusesOtherDevicesByName) {
  const auto refused = [](const char *devices) -> std::string {
    try {
      Machine(devices, 1, std::vector<DeviceDescription>(2, some_device), 0, 4);
    } catch (const Error &error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(refused("cpu:"), "`cpu:`: expected a core's number after `cpu:`");
  EXPECT_EQ(refused("cpu:-1"), "`cpu:-1`: expected a core's number after `cpu:`");
  EXPECT_EQ(refused("cpu,cpu:1"),
            "`cpu,cpu:1`: either all devices are `cpu` or all have workers, `cpu:K`");
  EXPECT_EQ(refused("cuda"),
            "`cuda`: this program was built for processors alone; nvcc builds it for GPUs too");
  EXPECT_EQ(refused("cuda:0,cuda:1"),
            "`cuda:0`: this program was built for processors alone; nvcc builds it for GPUs too");
  EXPECT_EQ(refused("tpu"),
            "`tpu`: no such device; expected `auto`, `cpu`, `cpu:K`, `cuda`, `cuda:K` or `rank:R`");
  EXPECT_EQ(refused("cpu,cpu,cpu"), "`cpu,cpu,cpu`: 3 devices for a program of 2");
  EXPECT_EQ(
      refused(""),
      "``: a device is missing; expected `auto`, `cpu`, `cpu:K`, `cuda`, `cuda:K` or `rank:R`");
  EXPECT_EQ(
      refused("cpu,"),
      "`cpu,`: a device is missing; expected `auto`, `cpu`, `cpu:K`, `cuda`, `cuda:K` or `rank:R`");
}

TEST(Machine, KeepsDevicesOfOneCoreTogether) {
  Machine machine("cpu:3,cpu:1,cpu:3", 1, std::vector<DeviceDescription>(3, some_device), 0, 4);
  EXPECT_EQ(machine.cores(), std::vector<int>({3, 1, 3}));
  EXPECT_EQ(machine.device(0).physical(), machine.device(2).physical());
  EXPECT_NE(machine.device(0).physical(), machine.device(1).physical());
  EXPECT_EQ(Machine("cpu:2", 1, {some_device, some_device}, 0, 4).cores(),
            std::vector<int>({2, 2}));
}

TEST(Device, HasMemoryForTheMicrobatchesUnderWay) {
  // 800 rows in 8 microbatches of 100, 3 of which have values at once.
  DeviceDescription description{16, 16, 0, 8};
  description.slots = 3;
  description.microbatches = 8;
  const int64_t parameters = 256;
  EXPECT_EQ(arena_bytes(description, 0, 800), parameters + 8 * 320);
  {
    Device device(0, 0, description, 0, 800);
    EXPECT_EQ(rows_at_once(description, 800), 100);
    EXPECT_EQ(device.rows<std::byte>(8), device.rows<std::byte>(0) + 8 * 128);
    EXPECT_EQ(device.end_of_rows(), device.rows<std::byte>(0) + 8 * 320);
  }
  // The output of a batch lies behind one microbatch: it needs no more than the others do, or does.
  description.output_row_bytes = 1;
  EXPECT_EQ(arena_bytes(description, 0, 800), parameters + 8 * 320);
  description.output_row_bytes = 4;
  EXPECT_EQ(arena_bytes(description, 0, 800), parameters + 8 * 128 + 4 * 832);
  {
    Device device(0, 0, description, 0, 800);
    EXPECT_EQ(device.output(), device.rows<std::byte>(0) + 8 * 128);
    EXPECT_EQ(device.end_of_rows(), device.output() + 4 * 832);
  }
  // What evaluates all rows at once has room for them.
  description.output_row_bytes = 0;
  description.evaluates_whole = true;
  EXPECT_EQ(arena_bytes(description, 0, 800), parameters + 8 * 832);
  EXPECT_EQ(rows_at_once(description, 800), 800);
}

TEST(Device, RoundsRowsUpToItsUnit) {
  const int64_t parameters = 256, row = 1 << 20;
  DeviceDescription description{16, 16, 0, row};
  EXPECT_EQ(arena_bytes(description, 0, 5), parameters + 64 * row);
  description.row_unit = 4;
  EXPECT_EQ(arena_bytes(description, 0, 5), parameters + 8 * row);
  Device device(0, 0, description, 0, 5);
  EXPECT_EQ(device.rows<std::byte>(64), device.rows<std::byte>(0) + 64 * 8);
}

// Threads share out what the device with the fewest rows has room for.
TEST(Machine, SharesOutRowsThatAllDevicesHave) {
  DeviceDescription many{16, 16, 0, 8}, few{16, 16, 0, 1 << 20};
  few.row_unit = 1;
  Machine machine("cpu", 2, {many, few}, 0, 10);
  EXPECT_EQ(machine.rows_of_a_share(), 5);
  EXPECT_LE(machine.share(1, 1).rows<std::byte>(1 << 20), machine.device(1).end_of_rows());
}

TEST(Machine, SharesOutTheRowsOfOneMicrobatch) {
  DeviceDescription description{16, 16, 0, 8};
  description.microbatches = 8;
  Machine machine("cpu", 2, {description}, 0, 800);
  EXPECT_EQ(machine.rows_of_a_share(), 64);
  EXPECT_LE(machine.share(1, 0).rows<std::byte>(8), machine.device(0).end_of_rows());
}

TEST(Machine, GivesEveryPartOfAMicrobatchMemoryOfItsOwn) {
  // 100 rows in 2 microbatches of 50, these in parts of 20; both have values at once.
  DeviceDescription description{16, 16, 0, 8};
  description.slots = description.microbatches = 2;
  Machine machine("cpu:0", 1, {description}, 0, 100);
  Schedule schedule;
  schedule.microbatches = 2;
  schedule.part_rows = 20;
  machine.make_slots(schedule, 100);
  EXPECT_EQ(machine.parts_a_microbatch(), 3);
  const std::byte *next = machine.device(0).rows<std::byte>(0);
  for (int microbatch : {0, 1})
    for (int64_t part : {0, 1, 2}) {
      Device &slot = machine.slot(0, microbatch, part);
      const int64_t rows = part < 2 ? 20 : 10;
      EXPECT_EQ(slot.rows<std::byte>(0), next);
      EXPECT_EQ(slot.rows<std::byte>(4), next + 4 * rows);
      EXPECT_EQ(slot.gradients(), machine.device(0).gradients());
      next += 8 * rows;
    }
  EXPECT_LE(next, machine.device(0).rows<std::byte>(0) + 8 * 128);
}

TEST(Machine, HasOnceWhatMicrobatchesShare) {
  // 100 rows in 2 microbatches of 50, these in parts of 20: 8 bytes a row each, and 8 together.
  DeviceDescription description{16, 16, 0, 16};
  description.slots = description.microbatches = 2;
  description.shared_row_bytes = 8;
  EXPECT_EQ(arena_bytes(description, 0, 100), 256 + 8 * 128 + 8 * 64);
  Machine machine("cpu:0", 1, {description}, 0, 100);
  Schedule schedule;
  schedule.microbatches = 2;
  schedule.part_rows = 20;
  machine.make_slots(schedule, 100);
  const Device &whole = machine.device(0);
  std::byte *const first = whole.rows<std::byte>(0);
  // Without workers there is one microbatch at a time.
  EXPECT_EQ(whole.rows<std::byte>(8), first + 8 * 64);
  for (int microbatch : {0, 1})
    for (int64_t part : {0, 1, 2}) {
      const Device &slot = machine.slot(0, microbatch, part);
      EXPECT_EQ(slot.rows<std::byte>(0), first + 8 * (50 * microbatch + 20 * part));
      EXPECT_EQ(slot.rows<std::byte>(8), first + 8 * 128 + 8 * 20 * part);
      EXPECT_LE(slot.rows<std::byte>(8) + slot.bytes_of_rows(8), whole.end_of_rows());
    }
}

TEST(Machine, RefusesThreadCountsOutOfRange) {
  EXPECT_EQ(message_of([] { Machine("cpu", 0, {some_device}, 0, 1); }),
            "threads: 0 is not in 1 to 1024");
  EXPECT_EQ(message_of([] { Machine("cpu", 1025, {some_device}, 0, 1); }),
            "threads: 1025 is not in 1 to 1024");
}

TEST(Transfer, SharesMemoryWithinOnePhysicalDevice) {
  Device a(0, 0, some_device, 0, 4), b(1, 0, some_device, 0, 4), elsewhere(2, 1, some_device, 0, 4);
  for (int i = 0; i < 12; ++i)
    a.rows<float>(0)[i] = static_cast<float>(i);
  EXPECT_EQ(transfer(a, a.rows<float>(0), b, b.rows<float>(0), 12), a.rows<float>(0));
  const float *copied = transfer(a, a.rows<float>(0), elsewhere, elsewhere.rows<float>(0), 12);
  ASSERT_EQ(copied, elsewhere.rows<float>(0));
  for (int i = 0; i < 12; ++i)
    EXPECT_EQ(copied[i], i);
}

TEST(Denormals, AreFlushed) {
  volatile float tiny = 1e-38f;
  flush_denormals();
  EXPECT_EQ(tiny * 0.01f, 0.0f);
}

} // namespace
