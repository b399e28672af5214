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

/// What a run knows and an operation may ask for.
struct Surroundings {
  int64_t rows = 1; // of the whole batch
  uint64_t seed = 0;
  uint64_t step = 1;
  int64_t first = 0;      // the result's first element's number in the whole batch
  Trace *trace = nullptr; // notes decisions at kinks where given
  Extents strides = {};   // of the numbers of elements in the whole batch; none: they are in order
  double lossScale = 1;   // what a loss whose gradients are in f16 is multiplied by
  int64_t partRows = 0;   // of the part of the batch at hand; 0: of the whole
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
  int64_t integers[2] = {0, 0}; // a dimension, scale and offset, a comparison
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

  /// Computes all cells. `position`: of the element in the result, a number a dimension; `linear`
  /// its number among all elements.
  template <typename Scalar>
  void evaluate(Cell<Scalar> *cells, llvm::ArrayRef<int64_t> position, int64_t linear,
                const Surroundings &surroundings) const;

private:
  mlir::FailureOr<int> append(mlir::Operation *op, llvm::function_ref<int(mlir::Value)> cellOf);

  int operands_ = 0;
  int result_ = 0;
  std::vector<Instruction> instructions_;
};

} // namespace mparc::interpreter
