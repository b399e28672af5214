#include "interpreter/Pieces.h"

#include "dialect/Groups.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

static DictionaryAttr pieceOf(ParameterOp parameter) {
  return parameter->getAttrOfType<DictionaryAttr>(kPiece);
}

std::optional<PieceOf> getWhole(ParameterOp parameter) {
  DictionaryAttr piece = pieceOf(parameter);
  if (!piece)
    return std::nullopt;
  return PieceOf{piece.getAs<StringAttr>("of").str(),
                 cast<RankedTensorType>(piece.getAs<TypeAttr>("type").getValue())};
}

/// Calls visit(element of the whole, element of the piece) for all elements of the piece.
static void forEachElement(DictionaryAttr piece, llvm::function_ref<void(int64_t, int64_t)> visit) {
  auto numbers = [&](StringRef name) { return piece.getAs<DenseI64ArrayAttr>(name).asArrayRef(); };
  ArrayRef<int64_t> sizes = numbers("sizes"), from = numbers("from"), to = numbers("to");
  int64_t count = 1;
  for (auto [first, end] : llvm::zip(from, to))
    count *= end - first;
  for (int64_t index = 0; index < count; ++index) {
    int64_t rest = index, step = 1, whole = 0;
    for (size_t at = sizes.size(); at-- > 0;) {
      int64_t extent = to[at] - from[at];
      whole += (from[at] + rest % extent) * step;
      step *= sizes[at];
      rest /= extent;
    }
    visit(whole, index);
  }
}

llvm::StringMap<Tensor> cutParameters(ModelOp model, const llvm::StringMap<Tensor> &wholes) {
  llvm::StringMap<Tensor> values;
  for (auto parameter : model.getBody().getOps<ParameterOp>()) {
    std::optional<PieceOf> whole = getWhole(parameter);
    auto found = wholes.find(whole ? StringRef(whole->name) : parameter.getSymName());
    if (found == wholes.end())
      continue;
    const Tensor &tensor = found->second;
    if (!whole) {
      values[parameter.getSymName()] = tensor;
      continue;
    }
    const int64_t realBytes = tensor.kind() == ElementKind::real && tensor.count() > 0
                                  ? static_cast<int64_t>(tensor.bytes().size()) / tensor.count()
                                  : 4;
    Tensor piece(tensor.kind(), getExtents(parameter.getType(), 1), realBytes);
    forEachElement(pieceOf(parameter),
                   [&](int64_t from, int64_t to) { piece.set(to, tensor.get(from)); });
    values[parameter.getSymName()] = std::move(piece);
  }
  return values;
}

LogicalResult Assembly::add(ParameterOp parameter, Tensor values) {
  std::optional<PieceOf> whole = getWhole(parameter);
  if (!whole) {
    wholes_.push_back({parameter.getSymName().str(), std::move(values), {}});
    return success();
  }
  auto known = llvm::find_if(wholes_, [&](const Whole &each) { return each.name == whole->name; });
  if (known == wholes_.end()) {
    Tensor tensor(values.kind(), getExtents(whole->type, 1), realBytes_);
    const int64_t count = tensor.count();
    wholes_.push_back({whole->name, std::move(tensor), std::vector<bool>(count)});
    known = std::prev(wholes_.end());
  }
  bool agrees = true;
  forEachElement(pieceOf(parameter), [&](int64_t to, int64_t from) {
    const double value = values.get(from), before = known->tensor.get(to);
    agrees &= !known->isSet[to] || value == before || (value != value && before != before);
    known->tensor.set(to, value);
    known->isSet[to] = true;
  });
  if (!agrees)
    return parameter.emitError("differs from what another device has of ") << whole->name;
  return success();
}

std::vector<std::pair<std::string, Tensor>> Assembly::take() {
  std::vector<std::pair<std::string, Tensor>> tensors;
  tensors.reserve(wholes_.size());
  for (Whole &whole : wholes_)
    tensors.emplace_back(std::move(whole.name), std::move(whole.tensor));
  return tensors;
}

} // namespace mparc::interpreter
