// What is ordered before what in a scheduled program: streams, and a clock for each.
#pragma once

#include "dialect/MpDialect.h"
#include "dialect/MpSchedule.h"

#include "llvm/ADT/DenseMap.h"

namespace mparc::mp {

/// Whether an operation is carried out, as against naming what is there already (reads, reshapes)
/// or being made anew by each reader.
bool isInstruction(mlir::Operation *op);

/// The value whose memory a value is, through reshapes: a result of an instruction. Null for
/// inputs, parameters and constants.
mlir::Value getSource(mlir::Value value);
/// The operation that writes the memory of a value: that of its source, or null.
mlir::Operation *getProducer(mlir::Value value);

int64_t getOrder(mlir::Operation *op);
llvm::ArrayRef<int64_t> getWaits(mlir::Operation *op);

/// The stretch of a program that is carried out once for each part of the batch (mp-cut-rows);
/// empty where there is none.
struct PartOrders {
  bool cut = false;
  int64_t first = 0, last = -1; // orders

  static bool isBefore(mlir::Operation *op);
  /// Whether an operation of a program that is cut runs in each part.
  bool isDuring(mlir::Operation *op) const;
};
PartOrders findParts(mlir::Block &block);

/// A stream: a device's compute (`3 · device`), communication (`3 · device + 1`), or what it may
/// put off in the backward pass (`3 · device + 2`; mp-split-backward).
using Stream = int64_t;
/// Whether an instruction may be put off: no transfer of the backward pass waits for it.
bool isPutOff(mlir::Operation *op);
/// The streams an instruction occupies: a transfer those of communication of both its devices.
llvm::SmallVector<Stream, 2> getStreams(mlir::Operation *op);
/// `compute`, `communication` or `weights`: what `mp.stream` says of an instruction.
llvm::StringRef getStreamName(mlir::Operation *op);

/// Vector clocks over the streams of one program, fed its instructions in order.
class Clocks {
public:
  /// Whether `earlier`, issued already, has surely finished when `op`, not yet issued, starts after
  /// `waits`.
  bool isBefore(mlir::Operation *earlier, mlir::Operation *op, llvm::ArrayRef<int64_t> waits) const;
  /// Issues an instruction with the waits it carries.
  void issue(mlir::Operation *op);

private:
  /// The last order known to have finished, by stream.
  using Clock = llvm::SmallDenseMap<Stream, int64_t, 4>;
  static bool covers(const Clock &clock, mlir::Operation *earlier);
  static void join(Clock &into, const Clock &other);

  llvm::DenseMap<Stream, Clock> streams;
  llvm::SmallVector<Clock> finished; // by order: what is known once that instruction has finished
};

} // namespace mparc::mp
