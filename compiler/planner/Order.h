// What must come before what in a program, and the order, streams and waits that see to it.
#pragma once

#include "planner/Streams.h"

#include <vector>

namespace mparc::mp {

/// Which instructions each instruction of a program must come after, memory that is reused aside.
class Dependences {
public:
  explicit Dependences(ProgramOp program);

  /// The instructions whose results `op` reads. An update comes after whatever computes a gradient
  /// of its device, and after whatever reads a parameter that it changes, be it through a transfer,
  /// whose copy may be the parameter itself. An assignment likewise, of its buffer.
  std::vector<mlir::Operation *> get(mlir::Operation *op) const;

private:
  llvm::DenseMap<int64_t, std::vector<mlir::Operation *>> beforeUpdate;             // by device
  llvm::DenseMap<mlir::Attribute, std::vector<mlir::Operation *>> beforeAssignment; // by buffer
};

/// The least waits that order `op`, which is issued next, after all of `earlier`: none for what
/// streams or other waits order already. Ascending.
llvm::SmallVector<int64_t> findWaits(const Clocks &clocks, mlir::Operation *op,
                                     std::vector<mlir::Operation *> earlier);

/// Numbers the instructions of a program as they stand, and gives each its stream and its waits.
void assignOrder(ProgramOp program);

} // namespace mparc::mp
