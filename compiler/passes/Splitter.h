// One program while its groups are taken apart.
#pragma once

#include "passes/Reshard.h"
#include "passes/SplitOperations.h"

#include "llvm/ADT/DenseSet.h"

#include <map>

namespace mparc::mp {

/// Where a parameter lies: all programs read it there.
struct SpreadParameter {
  Group group;
  Layout layout;
};
using SpreadParameters = llvm::DenseMap<mlir::Attribute, SpreadParameter>; // by symbol

/// Bytes of a value, of 64 rows where it has some: what moving it costs.
double countBytesOf(mlir::Value value);

/// Spreads the operations of groups over their devices, in program order.
class Splitter {
public:
  Splitter(ProgramOp program, SpreadParameters &parameters)
      : program(program), parameters(parameters), resharder(program.getContext()) {}
  mlir::LogicalResult run();

private:
  mlir::LogicalResult visit(mlir::Operation *op);
  void keep(mlir::Operation *op);
  mlir::LogicalResult expand(mlir::Operation *op, const Group &group);
  SpreadParameter place(mlir::Attribute parameter, mlir::RankedTensorType type, const Group &group);
  void expandRead(ReadOp read, const Group &group);
  void expandGradient(GradientOp gradient);
  void expandAssign(AssignOp assign, const Group &group);
  void expandSquaredNorm(SquaredNormOp norm, const Group &group);
  void expandPieces(mlir::Operation *op, const Group &group, llvm::ArrayRef<Layout> operands,
                    llvm::ArrayRef<Layout> results);
  void choose(mlir::Operation *op, const Group &group, llvm::SmallVector<Layout> &operands,
              llvm::SmallVector<Layout> &results);
  std::optional<State> findWanted(mlir::Value value, const Group &group, unsigned axis) const;
  State stateOf(mlir::Value value, const Group &group, unsigned axis) const;
  bool isParameter(mlir::Value value) const;
  const Spread &convert(mlir::Value value, const Group &group, const Layout &layout);
  void shareCopies();
  void eraseDead();
  void cluster();

  ProgramOp program;
  SpreadParameters &parameters;
  Resharder resharder;
  llvm::DenseSet<mlir::Operation *> backward, replaced;
  llvm::DenseMap<mlir::Value, Spread> spreads;
  using Key = std::pair<void *, std::vector<int64_t>>;
  static Key keyOf(mlir::Value value, const Group &group, const Layout &layout);
  std::map<Key, Spread> conversions;
  Statistics statistics;
};

} // namespace mparc::mp
