// What functors and the values in them are called: after what they compute.
#include "emit/Emit.h"
#include "emit/Functors.h"
#include "emit/Identifiers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

//===- What operations compute together
//-------------------------------------------------------------===//

static bool isConstant(Value value, double wanted) {
  auto constant = value.getDefiningOp<ConstantOp>();
  auto number = constant ? dyn_cast<FloatAttr>(constant.getValue()) : nullptr;
  return number && number.getValueAsDouble() == wanted;
}

/// `a > 0 ? b : 0`.
static bool isReluGradient(Operation *op) {
  auto select = dyn_cast<SelectOp>(op);
  auto compare = select ? select.getCondition().getDefiningOp<CompareOp>() : nullptr;
  return compare && compare.getKind() == ComparisonKind::gt && isConstant(compare.getB(), 0) &&
         isConstant(select.getB(), 0);
}

bool isSquare(Operation *op) { return isa<MulOp>(op) && op->getOperand(0) == op->getOperand(1); }

/// `t * t` of a difference t that nothing else reads.
static bool isSquaredDifference(Operation *op) {
  auto difference = isSquare(op) ? op->getOperand(0).getDefiningOp<SubOp>() : nullptr;
  return difference &&
         llvm::all_of(difference->getUsers(), [op](Operation *user) { return user == op; });
}

/// The factor of a product that is a derivative and read by nothing else; null where neither is.
static Operation *derivativeIn(Operation *op) {
  if (isa<MulOp>(op))
    for (Value factor : op->getOperands())
      if (Operation *from = factor.getDefiningOp();
          from && from->hasOneUse() && getPlainName(from).ends_with("_derivative"))
        return from;
  return nullptr;
}

/// `1 / count`.
static bool isOneOverCount(Value value) {
  auto quotient = value.getDefiningOp<DivOp>();
  return quotient && isConstant(quotient->getOperand(0), 1) &&
         quotient->getOperand(1).getDefiningOp<ExtentOp>();
}

/// `t + t` of `t = 1 / count * a`: what the mean of squares hands back to each.
static bool isMeanSquareGradient(MapOp map) {
  Value given = cast<YieldOp>(map.getBody().front().getTerminator()).getValue();
  if (auto rounded = given.getDefiningOp<CastOp>())
    given = rounded.getX();
  auto twice = given.getDefiningOp<AddOp>();
  auto share = twice && twice->getOperand(0) == twice->getOperand(1)
                   ? twice->getOperand(0).getDefiningOp<MulOp>()
                   : nullptr;
  return share &&
         ((isOneOverCount(share->getOperand(0)) && isa<BlockArgument>(share->getOperand(1))) ||
          (isOneOverCount(share->getOperand(1)) && isa<BlockArgument>(share->getOperand(0))));
}

//===- Names
//----------------------------------------------------------------------------------------===//

/// A cast of what the loop reads or gives, which its types say.
static bool isConversion(Operation *op) {
  auto cast = dyn_cast<CastOp>(op);
  return cast && isa<FloatType>(cast.getX().getType()) && isa<FloatType>(cast.getType()) &&
         (isa<BlockArgument>(cast.getX()) ||
          llvm::all_of(cast->getUsers(), [](Operation *user) { return isa<YieldOp>(user); }));
}

/// Whether the word for what reads an operation says it too.
static bool isSaidByReader(Operation *op) {
  Operation *reader = *op->user_begin();
  return (isa<CompareOp>(op) && op->hasOneUse() && isReluGradient(reader)) ||
         (isa<SubOp>(op) && isSquaredDifference(reader)) || derivativeIn(reader) == op;
}

/// What an operation does, as a word of a functor's name.
static std::string wordOf(Operation *op) {
  if (isReluGradient(op))
    return "ReluGradient";
  if (isSquaredDifference(op))
    return "SquaredDifference";
  if (isSquare(op))
    return "Square";
  if (Operation *derivative = derivativeIn(op))
    return toCamelCase(getPlainName(derivative).drop_back(StringRef("_derivative").size())) +
           "Gradient";
  if (isa<AddOp>(op) && op->getOperand(0) == op->getOperand(1))
    return "Twice";
  if (isOneOverCount(op->getResult(0)))
    return "OneOverCount";
  if (isa<DivOp>(op) && isConstant(op->getOperand(0), 1))
    return "Reciprocal";
  if (isa<DivOp>(op) && op->getOperand(1).getDefiningOp<ExtentOp>())
    return "DivideByCount";
  if (isa<DropoutMaskOp>(op))
    return "Dropout";
  return toCamelCase(getPlainName(op));
}

/// The last words that the names of all these values have in common, without the numbers that tell
/// equal names apart: of `layer1_out_grad` and `layer2_out_grad` it is `out_grad`.
static std::string commonName(ArrayRef<MapOp> maps) {
  SmallVector<StringRef> common;
  for (auto [number, map] : llvm::enumerate(maps)) {
    auto name = map->getAttrOfType<StringAttr>(kName);
    SmallVector<StringRef> words;
    if (name)
      name.getValue().split(words, '_', -1, /*KeepEmpty=*/false);
    while (!words.empty() && llvm::all_of(words.back(), llvm::isDigit))
      words.pop_back();
    if (number == 0)
      common = words;
    size_t equal = 0;
    while (equal < std::min(words.size(), common.size()) &&
           words[words.size() - 1 - equal] == common[common.size() - 1 - equal])
      ++equal;
    common.erase(common.begin(), common.end() - equal);
  }
  return common.empty() ? "chain" : llvm::join(common, "_");
}

/// More operations than this are too many to name one by one.
static constexpr size_t kMostNamed = 4;

std::string describeFunctor(ArrayRef<MapOp> same) {
  MapOp map = same.front();
  if (isMeanSquareGradient(map))
    return "MeanSquareGradient";
  std::vector<std::string> words;
  bool converts = false;
  for (Operation &op : map.getBody().front()) {
    if (isa<ConstantOp, ExtentOp, IndexOp, YieldOp>(op) || op.use_empty() || isSaidByReader(&op))
      continue;
    if (isConversion(&op))
      converts = true;
    else
      words.push_back(wordOf(&op));
  }
  if (words.empty())
    return converts ? "Cast" : "Copy";
  std::string name =
      words.size() <= kMostNamed ? llvm::join(words, "") : toCamelCase(commonName(same));
  return isReserved(name) ? name + "Value" : name;
}

std::string describeOperation(Operation *op) {
  if (isSquare(op))
    return "square";
  StringRef plain = getPlainName(op);
  StringRef noun = llvm::StringSwitch<StringRef>(isa<CallScalarOp>(op) ? "" : plain)
                       .Case("add", "sum")
                       .Case("sub", "difference")
                       .Case("mul", "product")
                       .Case("div", "quotient")
                       .Cases("compare", "and", "or", "not", "condition")
                       .Case("dropout_mask", "scale")
                       .Default("");
  return noun.empty() ? (plain + "_value").str() : noun.str();
}

} // namespace mparc::emit
