// Parameters that several devices have pieces of, and the whole tensors that they are pieces of.
#pragma once

#include "interpreter/Interpreter.h"

#include <optional>

namespace mparc::interpreter {

/// What a parameter is a piece of; nothing where it is whole.
struct PieceOf {
  std::string name;
  mlir::RankedTensorType type;
};
std::optional<PieceOf> getWhole(mp::ParameterOp parameter);

/// The values of every parameter of the model, by symbol, from those of whole tensors, by name.
llvm::StringMap<Tensor> cutParameters(mp::ModelOp model, const llvm::StringMap<Tensor> &wholes);

/// Whole tensors, put together of pieces as they come.
class Assembly {
public:
  explicit Assembly(int64_t realBytes) : realBytes_(realBytes) {}

  /// Adds what a parameter has, which may be whole. Fails, with a diagnostic, where it differs from
  /// what another device has of the same elements.
  mlir::LogicalResult add(mp::ParameterOp parameter, Tensor values);
  /// In the order in which the first pieces came.
  std::vector<std::pair<std::string, Tensor>> take();

private:
  struct Whole {
    std::string name;
    Tensor tensor;
    std::vector<bool> isSet; // element by element
  };
  int64_t realBytes_;
  std::vector<Whole> wholes_;
};

} // namespace mparc::interpreter
