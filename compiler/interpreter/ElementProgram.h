// Element-wise operations as the interpreter runs them: the body of an mp.map, or a single
// operation, compiled to a list of instructions over numbered cells.
#pragma once

#include "interpreter/Tensor.h"

namespace mparc::interpreter {

/// One element, of a kind that the instruction reading it knows.
template <typename Scalar> union Cell {
  Scalar real;
  int32_t integer;
  uint8_t boolean;
};

/// The number of an element in the whole tensor of the whole batch: first + Σ position · stride.
struct Numbering {
  int64_t first = 0;
  Extents strides;
};

/// What a run knows and an operation may ask for.
struct Surroundings {
  int64_t rows = 1; // of the whole batch
  uint64_t seed = 0;
  uint64_t step = 1;
  Trace *trace = nullptr;                 // notes decisions at kinks where given
  double lossScale = 1;                   // what a loss whose gradients are in f16 is multiplied by
  int64_t partRows = 0;                   // of the part of the batch at hand; 0: of the whole
  std::vector<Numbering> numberings = {}; // of the dropout masks of the operation at hand
};

enum class Opcode {
  neg,
  relu,
  gelu,
  geluTanh,
  geluDerivative,
  geluTanhDerivative,
  silu,
  siluDerivative,
  sigmoid,
  tanh,
  exp,
  log,
  sqrt,
  rsqrt,
  abs,
  sign,
  sin,
  cos,
  logicalNot,
  add,
  sub,
  mul,
  div,
  remainder,
  pow,
  minimum,
  maximum,
  binaryCrossEntropy,
  binaryCrossEntropyDerivative,
  logicalAnd,
  logicalOr,
  compare,
  leakyRelu,
  clamp,
  select,
  cast,
  constant,
  extent,
  dropoutMask,
  index,
};

struct Instruction {
  Opcode opcode;
  ElementKind kind = ElementKind::real; // of the operands; of a select, of its values
  ElementKind resultKind = ElementKind::real;
  int operands[3] = {0, 0, 0};  // cells
  double numbers[2] = {0, 0};   // attributes: slope, bounds, a constant, p
  int64_t integers[2] = {0, 0}; // a dimension, scale and offset, a comparison, which mask
  uint64_t key = 0;             // of a dropout mask
};

/// Operands come in cells 0 … n-1; instruction i writes cell n + i.
class ElementProgram {
public:
  /// Compiles the body of a map, or one element-wise operation, constant, extent, mask or iota.
  /// Fails, with a diagnostic, on an operation it does not know.
  static mlir::FailureOr<ElementProgram> compile(mlir::Operation *op);

  int cells() const { return operands_ + static_cast<int>(instructions_.size()); }
  int resultCell() const { return result_; }

  /// Computes all cells. `position`: of the element in the result, a number a dimension.
  template <typename Scalar>
  void evaluate(Cell<Scalar> *cells, llvm::ArrayRef<int64_t> position,
                const Surroundings &surroundings) const;

private:
  mlir::FailureOr<int> append(mlir::Operation *op, llvm::function_ref<int(mlir::Value)> cellOf);

  int operands_ = 0;
  int result_ = 0;
  int masks_ = 0;
  std::vector<Instruction> instructions_;
};

} // namespace mparc::interpreter
