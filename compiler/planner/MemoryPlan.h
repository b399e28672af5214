// Where every value of a program lies: lifetimes from the total order, and offsets from lifetimes.
#pragma once

#include "dialect/MpDialect.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

#include <vector>

namespace mparc::mp {

/// A stretch of a device's arena that holds one value after another (in-place operations), all of
/// one size.
struct Allocation {
  mlir::Value first; // the value that lies there first
  int64_t device;
  bool perRow;        // bytes count a row of the batch
  int64_t bytes;      // a multiple of 4 a row, or of 256
  int64_t begin, end; // orders: alive in [begin, end]
  int64_t offset = -1;
  bool shared = false; // by all microbatches: alive within one stage
};

/// The bytes that hold a value, a row or altogether. A piece of the rows is held as if it were all:
/// parts of a batch may have any number of rows, of which the largest piece is no fixed share.
int64_t getHeldBytes(mlir::Type tensor);

/// The plan of one program.
struct MemoryPlan {
  std::vector<Allocation> allocations;
  /// By result of an instruction, in program order: its allocation.
  llvm::MapVector<mlir::Value, size_t> of;

  /// The bytes from offset 0 that the allocations of a device and kind span, and the most that is
  /// alive at once: no plan can do with less.
  int64_t getExtent(int64_t device, bool perRow) const;
  /// Of the bytes a row, those before what microbatches share.
  int64_t getKeptExtent(int64_t device) const;
  int64_t getPeak(int64_t device, bool perRow) const;
  /// What the rows of a device's values are rounded up to a multiple of at run time, so that each
  /// value begins at a multiple of 256 bytes: a power of two, at most 64.
  int64_t getRowUnit(int64_t device) const;
};

/// Plans a scheduled program: all values but gradients, which have a place already. On `sharing`
/// devices values of a row that live within one stage lie behind all others, for one microbatch
/// after another to use; the program has then been divided into stages.
MemoryPlan planMemory(ProgramOp program, const llvm::SmallDenseSet<int64_t> &sharing = {});

/// The devices of @train, planned without sharing, whose arenas are smaller with it at the
/// program's batch: where several microbatches are under way at once. Divides the program into
/// stages. Replicas share nothing, as what they add up, and where stages end for that, is decided
/// when the memory is planned.
llvm::SmallDenseSet<int64_t> chooseSharing(ProgramOp train, const MemoryPlan &plan);

/// Gives every allocation of one device and kind its offset, so that those alive at the same time
/// do not overlap and the whole spans little more than what is alive at once. Some hundred passes
/// over the values where they are few, one to four where they are many thousands.
void chooseOffsets(std::vector<Allocation *> group);

} // namespace mparc::mp
