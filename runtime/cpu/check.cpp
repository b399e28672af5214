// The proof that a schedule orders what it touches, and the traps laid for what it does not say.
#include "mpar/check.h"

#include "mpar/errors.h"
#include "mpar/replicas.h"
#include "mpar/world.h"

#include "rank_check.h"
#include "touches.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace mpar {

namespace {

using When = StageDescription::When;
using Region = MemoryAccess::Region;

constexpr int longest_delay = 200; // microseconds

void fill(std::byte *begin, const std::byte *end) {
  for (; end - begin >= static_cast<ptrdiff_t>(sizeof poison); begin += sizeof poison)
    std::memcpy(begin, &poison, sizeof poison);
}

bool holds_poison(const std::byte *begin, const std::byte *end) {
  for (uint32_t word; end - begin >= static_cast<ptrdiff_t>(sizeof word); begin += sizeof word) {
    std::memcpy(&word, begin, sizeof word);
    if (word == poison)
      return true;
  }
  return false;
}

} // namespace

TurnChecker::TurnChecker(std::vector<Machine *> machines, const Schedule &schedule)
    : machines_(std::move(machines)), schedule_(schedule),
      all_(replicate(schedule, replicas(), devices_each())),
      finished_(new std::atomic<int64_t>[all_devices()]) {
  for (int device = 0; device < static_cast<int>(all_devices()); ++device)
    delays_.emplace_back(static_cast<unsigned>(device) + 1);
  make_clocks();
  prove();
  find_dying();
}

TurnChecker::~TurnChecker() = default;

int TurnChecker::device_of(size_t turn) const { return all_.stages[all_.turns[turn].stage].device; }

int TurnChecker::replica_of(size_t turn) const {
  return all_.turns[turn].stage / static_cast<int>(schedule_.stages.size());
}

int TurnChecker::stage_of(size_t turn) const {
  return all_.turns[turn].stage % static_cast<int>(schedule_.stages.size());
}

void TurnChecker::make_clocks() {
  const auto devices = all_devices();
  std::vector<std::vector<size_t>> turns(devices); // by device
  for (size_t turn = 0; turn < all_.turns.size(); ++turn) {
    const int own = device_of(turn);
    std::vector<int64_t> clock(devices, 0);
    auto join = [&](size_t other) {
      for (size_t device = 0; device < devices; ++device)
        clock[device] = std::max(clock[device], clocks_[other][device]);
      int64_t &known = clock[static_cast<size_t>(device_of(other))];
      known = std::max(known, numbers_[other] + 1);
    };
    if (!turns[own].empty())
      join(turns[own].back());
    for (const Turn::Wait &wait : all_.turns[turn].waits) {
      if (wait.turns < 1 || wait.turns > static_cast<int64_t>(turns[wait.device].size()))
        fail_to_wait(all_, all_.turns[turn], wait);
      join(turns[wait.device][static_cast<size_t>(wait.turns - 1)]);
    }
    numbers_.push_back(static_cast<int64_t>(turns[own].size()));
    clocks_.push_back(std::move(clock));
    turns[own].push_back(turn);
  }
}

bool TurnChecker::ordered(size_t earlier, size_t later) const {
  return clocks_[later][static_cast<size_t>(device_of(earlier))] > numbers_[earlier];
}

size_t TurnChecker::turn_of(int stage, int microbatch) const {
  for (size_t turn = 0; turn < all_.turns.size(); ++turn)
    if (all_.turns[turn].stage == stage && all_.turns[turn].microbatch == microbatch)
      return turn;
  return all_.turns.size();
}

void TurnChecker::prove() {
  std::vector<std::vector<Touch>> touches(all_devices()); // by device, those of this rank
  const Touches all(machines_, schedule_, all_);
  for (size_t number = 0; number < all_.turns.size(); ++number)
    for (const Touch &touch : all.of(number))
      if (device(touch.device).here())
        touches[touch.device].push_back(touch);
  prove_ordered(all_, touches, [this](const Touch &earlier, const Touch &later) {
    return ordered(earlier.turn, later.turn);
  });
  const World *world = device(0).seat().world;
  if (!world)
    return;
  std::vector<int> ranks;
  ranks.reserve(all_devices());
  for (size_t number = 0; number < all_devices(); ++number)
    ranks.push_back(device(number).seat().rank);
  prove_rank(all, ranks, world->rank(), turns_of_rank(all_, ranks, world->rank()));
}

const Device &TurnChecker::device(size_t number) const {
  const auto each = static_cast<size_t>(devices_each());
  return machines_[number / each]->device(static_cast<int>(number % each));
}

void TurnChecker::find_dying() {
  dying_ = mpar::find_dying(schedule_, devices_each());
  // What another device may still be reading stays as it is.
  for (size_t stage = 0; stage < dying_.size(); ++stage)
    for (Dying &dying : dying_[stage])
      for (const auto *list : {&schedule_.reads, &schedule_.writes})
        for (const MemoryAccess &access : *list) {
          if (access.device != dying.device || access.region != Region::rows ||
              access.stage >= static_cast<int>(stage) ||
              schedule_.stages[access.stage].when != When::during)
            continue;
          for (int microbatch = 0; microbatch < schedule_.microbatches; ++microbatch)
            if (!ordered(turn_of(access.stage, microbatch),
                         turn_of(static_cast<int>(stage), microbatch)))
              dying.intervals = subtract(dying.intervals, {{access.begin, access.end}});
        }
}

int64_t TurnChecker::rows_of_part(size_t turn, int64_t part) const {
  const int64_t own = rows_of_replica(rows_, replica_of(turn), replicas()).count;
  const int64_t rows =
      rows_of_microbatch(own, all_.turns[turn].microbatch, schedule_.microbatches).count;
  const int64_t most = schedule_.part_rows > 0 ? schedule_.part_rows : rows;
  return std::max<int64_t>(0, std::min(most, rows - part * most));
}

void TurnChecker::begin_step(int64_t rows) {
  rows_ = rows;
  for (int device = 0; device < static_cast<int>(all_devices()); ++device) {
    finished_[static_cast<size_t>(device)] = 0;
    const Device &whole = this->device(static_cast<size_t>(device));
    if (!whole.here())
      continue;
    fill(whole.rows<std::byte>(0), whole.end_of_rows());
  }
}

void TurnChecker::delay(int device) {
  std::mt19937 &random = delays_[static_cast<size_t>(device)];
  if (random() % 2 == 0)
    std::this_thread::sleep_for(
        std::chrono::microseconds(random() % static_cast<unsigned>(longest_delay)));
}

void TurnChecker::begin(size_t number) {
  delay(device_of(number));
  // Of other ranks' turns it knows by what they send.
  for (size_t device = 0; device < clocks_[number].size(); ++device)
    if (this->device(device).here() &&
        finished_[device].load(std::memory_order_relaxed) < clocks_[number][device])
      fail(describe(number) + " began when device " + std::to_string(device) + " had finished " +
           std::to_string(finished_[device]) + " turns, not the " +
           std::to_string(clocks_[number][device]) + " that its waits are for");
  look_for_poison(number);
}

void TurnChecker::begin_sending(size_t number, int device) {
  delay(device);
  look_for_poison(number);
}

void TurnChecker::look_for_poison(size_t number) const {
  const int stage = stage_of(number), microbatch = all_.turns[number].microbatch;
  Machine &machine = *machines_[static_cast<size_t>(replica_of(number))];
  if (schedule_.stages[stage].when != When::during)
    return;
  for (const MemoryAccess &access : schedule_.reads) {
    if (access.stage != stage || access.region != Region::rows || access.partly ||
        !machine.device(access.device).here())
      continue;
    for (int64_t part = 0; part < machine.parts_a_microbatch(); ++part) {
      const Device &view = machine.slot(access.device, microbatch, part);
      // Values lie close to one another only where the part is as large as it can be.
      const int64_t room = view.bytes_of_rows(1), bytes = access.end - access.begin;
      const std::byte *const first = view.rows<std::byte>(access.begin);
      const std::byte *const last = first + (access.once ? bytes : view.bytes_of_rows(bytes));
      const int64_t rows = rows_of_part(number, part);
      if (rows > 0 && (access.once || rows == room) && holds_poison(first, last))
        fail(describe(number) + " reads memory on device " +
             std::to_string(replica_of(number) * devices_each() + access.device) +
             " that nothing has written");
    }
  }
}

void TurnChecker::end(size_t number) {
  const int stage = stage_of(number), microbatch = all_.turns[number].microbatch;
  Machine &machine = *machines_[static_cast<size_t>(replica_of(number))];
  if (schedule_.stages[stage].when == When::during)
    for (const Dying &dying : dying_[static_cast<size_t>(stage)])
      for (int64_t part = 0;
           machine.device(dying.device).here() && part < machine.parts_a_microbatch(); ++part) {
        const Device &view = machine.slot(dying.device, microbatch, part);
        for (const auto &[begin, end] : dying.intervals)
          fill(view.rows<std::byte>(begin),
               view.rows<std::byte>(begin) + view.bytes_of_rows(end - begin));
      }
  finished_[static_cast<size_t>(device_of(number))].fetch_add(1, std::memory_order_relaxed);
}

} // namespace mpar
