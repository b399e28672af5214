// Which bytes of which arena a stage reads and writes.
#pragma once

#include "dialect/MpDialect.h"

#include <cstdint>
#include <vector>

namespace mparc::mp {

/// Bytes [begin, end) of a region of a device's arena; of `rows`, a row. `once`: of a value there
/// that a part has without rows, which fills no more than its own bytes from `begin` rows' bytes
/// on.
struct MemoryRange {
  int64_t device;
  RegionKind region;
  int64_t begin, end;
  bool once = false;
  bool partly = false; // only a piece of the rows lies there
  bool shared = false; // by all microbatches, as what lies there lives within one stage
};

/// Of which every replica adds up a share over all of them, or fetches the others' shares.
struct CollectiveRange {
  MemoryRange range;
  bool gathers;
};

struct StageMemory {
  std::vector<MemoryRange> reads;  // of what other stages have written
  std::vector<MemoryRange> writes; // its own values, those that no other stage reads included
  std::vector<CollectiveRange> collectives;
};

/// The memory of each stage of a planned program that has been divided, ranges that touch one
/// another as one. Inputs are in no arena. `shared`: what a transfer has brought is read where it
/// came from, too, as it is that between devices that share memory.
std::vector<StageMemory> findStageMemory(ProgramOp program, bool shared = false);

} // namespace mparc::mp
