// The bodies of maps as C++ functors: one expression where it is short, named parts where it is
// not.
#include "emit/Functors.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <charconv>
#include <cmath>

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

std::string elementTypeName(Type element) {
  if (element.isF32())
    return "float";
  if (element.isBF16())
    return "bfloat16";
  if (element.isF16())
    return "float16";
  return element.isInteger(1) ? "bool" : "int32_t";
}

/// The place of `item` in `list`, to which it is added where it is new.
template <typename T> static size_t indexIn(std::vector<T> &list, const T &item) {
  auto place = llvm::find(list, item);
  if (place == list.end())
    place = list.insert(list.end(), item);
  return place - list.begin();
}

/// Which of the numberings is a mask's.
static size_t findNumbering(const FunctorNeeds &needs, DropoutMaskOp mask) {
  return llvm::find_if(needs.numberings,
                       [&](DropoutMaskOp known) {
                         return known.getWholeAttr() == mask.getWholeAttr() &&
                                known.getFromAttr() == mask.getFromAttr();
                       }) -
         needs.numberings.begin();
}

FunctorNeeds getFunctorNeeds(MapOp map) {
  FunctorNeeds needs;
  for (Operation &op : map.getBody().front()) {
    if (auto extent = dyn_cast<ExtentOp>(op))
      indexIn(needs.extents,
              {int64_t(extent.getScale()), int64_t(extent.getOffset()), extent.getOfPart()});
    else if (auto index = dyn_cast<IndexOp>(op))
      indexIn(needs.positions, int64_t(index.getDimension()));
    else if (auto mask = dyn_cast<DropoutMaskOp>(op))
      needs.masks.push_back(mask);
    else
      continue;
    if (auto mask = dyn_cast<DropoutMaskOp>(op))
      if (findNumbering(needs, mask) == needs.numberings.size())
        needs.numberings.push_back(mask);
  }
  return needs;
}

static std::string numbered(StringRef name, size_t index) {
  return index == 0 ? name.str() : (name + "_" + Twine(index + 1)).str();
}

/// A float literal that reads back as the same float.
static std::string floatLiteral(double number) {
  if (std::isnan(number))
    return "NAN";
  if (std::isinf(number))
    return number > 0 ? "INFINITY" : "-INFINITY";
  char digits[32]; // the shortest that read back as the same float
  std::string text(digits,
                   std::to_chars(digits, digits + sizeof digits, static_cast<float>(number)).ptr);
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text + "f";
}

std::string literal(ConstantOp constant) {
  Attribute value = constant.getValue();
  double number = 0;
  int64_t integer = 0;
  if (auto real = dyn_cast<FloatAttr>(value)) {
    number = real.getValueAsDouble();
    integer = static_cast<int64_t>(number);
  } else {
    auto given = cast<IntegerAttr>(value);
    integer = given.getType().isInteger(1) ? given.getValue().getZExtValue() : given.getInt();
    number = static_cast<double>(integer);
  }
  Type element = getElementTypeOrSelf(constant.getType());
  if (element.isF32())
    return floatLiteral(number);
  if (element.isBF16() || element.isF16())
    return std::string(element.isBF16() ? "mpar::bfloat16(" : "mpar::float16(") +
           floatLiteral(number) + ")";
  if (element.isInteger(1))
    return number != 0 ? "true" : "false";
  return integer == INT32_MIN ? "INT32_MIN" : std::to_string(integer);
}

namespace {

/// C++'s precedence, loosest first.
enum Precedence { conditional, either, both, equality, relation, sum, product, sign, leaf };

struct Expression {
  std::string text;
  Precedence precedence;
};

/// Turns the operations of a map's body into expressions over the functor's arguments.
class BodyPrinter {
public:
  explicit BodyPrinter(MapOp op) : map(op), needs(getFunctorNeeds(op)) {}
  std::string print();

private:
  Expression evaluate(Operation *op);
  Expression apply(StringRef pattern, Operation *op);
  std::string arguments();
  std::string fields();

  MapOp map;
  FunctorNeeds needs;
  llvm::DenseMap<Value, Expression> expressions;
};

} // namespace

static std::string argumentName(unsigned index) {
  return index < 8 ? std::string(1, char('a' + index)) : "x" + std::to_string(index);
}

static Precedence precedenceOf(StringRef pattern) {
  if (pattern.starts_with("$0 ? "))
    return conditional;
  if (pattern.starts_with("-") || pattern.starts_with("!"))
    return sign;
  if (!pattern.starts_with("$0 "))
    return leaf;
  StringRef infix = pattern.drop_front(3);
  if (infix.starts_with("||"))
    return either;
  if (infix.starts_with("&&"))
    return both;
  if (infix.starts_with("==") || infix.starts_with("!="))
    return equality;
  if (infix.starts_with("<") || infix.starts_with(">"))
    return relation;
  return infix.starts_with("*") || infix.starts_with("/") ? product : sum;
}

/// Whether an operand needs parentheses. Those on the right of an operator of the same precedence
/// do: without them the order of rounding would be another. Compilers warn of `&&` bare in `||`.
static bool needsParentheses(Precedence inner, Precedence outer, unsigned index) {
  if (outer == leaf)
    return false;
  if (outer == either || outer == both || outer == equality || outer == relation)
    return inner < sum;
  return inner < outer || (inner == outer && (index > 0 || outer == conditional || outer == sign));
}

Expression BodyPrinter::apply(StringRef pattern, Operation *op) {
  if (pattern == "$0") // the operand itself, which binds as before
    return expressions.find(op->getOperand(0))->second;
  Precedence precedence = precedenceOf(pattern);
  std::string text;
  // scalar.h has all functions, and overloads of <cmath> must not take their place.
  size_t call = pattern.find('(');
  StringRef callee = pattern.take_front(call);
  bool isFunction = call != StringRef::npos && !callee.empty() &&
                    llvm::all_of(callee, [](char c) { return llvm::isAlnum(c) || c == '_'; });
  if (isFunction && callee != "float" && callee != "int32_t")
    text = "mpar::";
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '$') {
      text += pattern[i];
      continue;
    }
    unsigned index = pattern[++i] - '0';
    const Expression &operand = expressions.find(op->getOperand(index))->second;
    // A cast to bool compares inside its own parentheses.
    Precedence outer = pattern.starts_with("($0 != 0)") ? equality : precedence;
    bool wrap = needsParentheses(operand.precedence, outer, index);
    text += wrap ? "(" + operand.text + ")" : operand.text;
  }
  return {text, precedence};
}

Expression BodyPrinter::evaluate(Operation *op) {
  if (auto scalar = dyn_cast<ScalarExpression>(op))
    return apply(scalar.getExpression(), op);
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    std::string text = literal(constant);
    return {text, text.front() == '-' ? sign : leaf};
  }
  if (auto extent = dyn_cast<ExtentOp>(op)) {
    Extent wanted{int64_t(extent.getScale()), int64_t(extent.getOffset()), extent.getOfPart()};
    return {numbered("count", indexIn(needs.extents, wanted)), leaf};
  }
  if (auto index = dyn_cast<IndexOp>(op))
    return {numbered("i", indexIn(needs.positions, int64_t(index.getDimension()))), leaf};
  auto mask = cast<DropoutMaskOp>(op);
  std::string key = numbered("key", llvm::find(needs.masks, mask) - needs.masks.begin());
  return {"mpar::dropout_scale<float>(seed, step, " + key + ", " +
              numbered("element", findNumbering(needs, mask)) + ", " +
              floatLiteral(mask.getP().convertToDouble()) + ")",
          leaf};
}

std::string BodyPrinter::arguments() {
  std::vector<std::string> list;
  for (BlockArgument argument : map.getBody().getArguments())
    list.push_back(elementTypeName(argument.getType()) + " " +
                   argumentName(argument.getArgNumber()));
  for (size_t index = 0; index < needs.positions.size(); ++index)
    list.push_back("int32_t " + numbered("i", index));
  for (size_t index = 0; index < needs.numberings.size(); ++index)
    list.push_back("int64_t " + numbered("element", index));
  return llvm::join(list, ", ");
}

std::string BodyPrinter::fields() {
  std::string text;
  for (size_t index = 0; index < needs.extents.size(); ++index)
    text += "  float " + numbered("count", index) + ";\n";
  if (!needs.masks.empty())
    text += "  uint64_t seed;\n  uint64_t step;\n";
  for (size_t index = 0; index < needs.masks.size(); ++index)
    text += "  uint64_t " + numbered("key", index) + ";\n";
  return text;
}

/// An expression longer than this gets a name.
static constexpr size_t kLongExpression = 64;

std::string BodyPrinter::print() {
  Block &body = map.getBody().front();
  for (BlockArgument argument : body.getArguments())
    expressions[argument] = {argumentName(argument.getArgNumber()), leaf};
  std::string statements, result;
  llvm::StringMap<size_t> numbers; // of parts of one kind
  for (Operation &op : body) {
    if (auto yield = dyn_cast<YieldOp>(op)) {
      result = expressions.find(yield.getValue())->second.text;
      break;
    }
    if (op.use_empty())
      continue;
    Expression expression = evaluate(&op);
    bool last = isa<YieldOp>(*op.user_begin());
    bool isName = llvm::all_of(expression.text, [](char c) {
      return llvm::isAlnum(c) || c == '_' || c == '.' || c == '-';
    });
    bool named =
        !isName && (!op.hasOneUse() || (expression.text.size() > kLongExpression && !last));
    if (named) {
      std::string noun = describeOperation(&op);
      std::string name = numbered(noun, numbers[noun]++);
      statements += "    const " + elementTypeName(op.getResult(0).getType()) + " " + name + " = " +
                    expression.text + ";\n";
      expression = {name, leaf};
    }
    expressions[op.getResult(0)] = expression;
  }
  return fields() + "  MPAR_HOST_DEVICE " + elementTypeName(getElementTypeOrSelf(map.getType())) +
         " operator()(" + arguments() + ") const {\n" + statements + "    return " + result +
         ";\n  }\n";
}

std::string printFunctorBody(MapOp map) { return BodyPrinter(map).print(); }

} // namespace mparc::emit
