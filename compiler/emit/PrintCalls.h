// One operation of the last level as one call of the runtime.
#pragma once

#include "emit/Functors.h"
#include "emit/Text.h"

#include "llvm/Support/raw_ostream.h"

#include <set>

namespace mparc::emit {

/// Prints operations into the body of one function, and notes what the body refers to.
class CallPrinter {
public:
  /// `part`: what the code at hand calls the rows it works on, which have the values that functions
  /// share.
  CallPrinter(const ModelIndex &index, llvm::raw_ostream &out, llvm::StringRef part = "part")
      : index(index), out(out), part(part) {}

  /// The result's pointer, then the call that fills it.
  void print(mlir::Operation *op);
  /// The C++ expression of a value's pointer.
  std::string name(mlir::Value value);

  /// Logical devices referred to as `d0`, `d1`, ….
  std::set<int64_t> devices;
  bool usesRows = false;
  std::set<std::pair<int64_t, int64_t>> pieces; // of the rows, by number and count

private:
  /// Whether the operation at hand works on a part of the batch's rows.
  bool inParts = false;

  void printCall(mlir::Operation *op);
  void call(mp::LinearOp op);
  void call(mp::MatmulOp op);
  void call(mp::ReduceOp op);
  void call(mp::SoftmaxOp op);
  void call(mp::LogSoftmaxOp op);
  void call(mp::ArgmaxOp op);
  void call(mp::AttentionOp op);
  void call(mp::AttentionGradientOp op);
  void call(mp::LayerNormOp op);
  void call(mp::LayerNormGradientOp op);
  void call(mp::RmsNormOp op);
  void call(mp::RmsNormGradientOp op);
  void call(mp::MapOp op);
  void call(mp::BroadcastOp op);
  void call(mp::PermuteOp op);
  void call(mp::SliceOp op);
  void call(mp::PadOp op);
  void call(mp::ConcatOp op);
  void call(mp::ConstantOp op);
  void call(mp::ExtentOp op);
  void call(mp::SquaredNormOp op);
  void call(mp::ClipScaleOp op);
  void call(mp::LossScaleOp op);
  void call(mp::UnscaleOp op);
  void call(mp::UpdateOp op);
  void call(mp::ReduceScatterOp op);
  void call(mp::AllGatherOp op);
  void call(mp::AssignOp op);
  void call(mp::GatherOp op);
  void call(mp::ScatterAddOp op);
  void call(mp::CheckIndexOp op);
  void call(mp::CrossEntropyOp op);
  void call(mp::CrossEntropyGradientOp op);
  void call(mp::CallTensorOp op);
  void call(mp::ConvOp op);
  void call(mp::ConvInputGradientOp op);
  void call(mp::ConvWeightGradientOp op);
  void call(mp::MaxPoolOp op);
  void call(mp::MaxPoolGradientOp op);
  void call(mp::AvgPoolOp op);
  void call(mp::AvgPoolGradientOp op);

  /// The arguments that calls on the rows of a table begin with: its rows, their elements, how many
  /// ids.
  void indexed(llvm::StringRef function, mlir::Operation *op, mlir::Value table, mlir::Value ids);
  void declareResult(mlir::Value result);
  /// `16, 4, 2, 64, 64, 32, 32`: what attention's kernels ask of the operands' shapes.
  std::string headSizes(mlir::Value q, mlir::Value k, mlir::Value v);
  /// The same of what views see, the first of q, k and v being view number `query`.
  std::string seenSizes(mlir::ArrayAttr views, unsigned query);
  /// `{16, 4, 2, 64, 64, 32, 32, Causal::yes}` of attention or its gradient.
  template <typename Op> std::string attentionSizes(Op op, unsigned query);
  /// `, {qkv + 128, 49152, 32, 384}`: where the heads of a tensor lie.
  std::string seen(mlir::Value tensor, mp::ViewAttr view);
  /// `rows, 64`: normalizations of how many elements.
  std::string normSizes(mlir::Value x, int64_t dimensions);
  /// `rows * 3`: the product of all dimensions but the last.
  std::string countBeforeLast(mlir::Value value, size_t count);
  /// A convolution of x, or a gradient of it.
  template <typename Op> void convolution(Op op, mlir::Value x, mlir::Value weight);
  /// A pooling of x, or the gradient of one; `further` arguments after its sizes.
  template <typename Op> void pooling(Op op, mlir::Value x, mlir::Value y, llvm::StringRef further);
  /// The names of values, `nullptr` for one that is missing, each after a comma.
  std::string names(mlir::ValueRange values);
  void printTransfer(mp::TransferOp op);
  /// `softmax(d0, outer, extent, inner, x, y)` and its like.
  void alongDimension(llvm::StringRef function, mlir::Operation *op, mlir::Value input,
                      int64_t dimension);
  /// A copy of `shape` between strides, from `x + from` to `y + to`.
  void copy(mlir::Operation *op, mlir::Type shape, mlir::Value x, llvm::StringRef xStrides,
            const std::string &from, llvm::StringRef yStrides, const std::string &to);
  /// Where position `from` of a dimension with such a step begins: ` + rows * 4`; empty at 0.
  std::string offset(mp::ElementCount step, int64_t from);
  /// Where a piece of the rows begins in the dimension that has the batch.
  std::string offset(mp::ElementCount step, mp::DimensionAttr piece);

  /// Declares what functions name each for themselves, where this one has not.
  void declarePlace(mlir::Value value);
  std::string device(mlir::Operation *op);
  std::string size(mp::ElementCount count);
  std::string place(mlir::Value result);
  /// An extent as a float.
  std::string extent(const Extent &wanted);
  /// A mask's operand: each element's number in the whole batch.
  std::string elementNumbers(mp::DropoutMaskOp mask, mlir::Type tensor);
  /// `, part.store` where a call adds up what the parts of a batch give.
  static std::string store(mlir::Operation *op);
  /// `{rows, 4}`: the extents of a tensor.
  std::string shape(mlir::Type tensor);
  /// The step in elements along each dimension of a contiguous tensor.
  llvm::SmallVector<mp::ElementCount> strides(mlir::Type tensor);
  llvm::SmallVector<mp::ElementCount> strides(llvm::ArrayRef<mp::DimensionAttr> dimensions);
  std::string list(llvm::ArrayRef<mp::ElementCount> sizes);
  /// Steps through `operand` along the dimensions of a result that `map` lays it over.
  std::string mappedStrides(mlir::Value operand, llvm::ArrayRef<int64_t> map);

  const ModelIndex &index;
  llvm::raw_ostream &out;
  std::string part;
  llvm::DenseSet<mlir::Value> declared;
};

} // namespace mparc::emit
