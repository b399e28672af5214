// DimensionsAttr and their factors: text form, sizes, and agreement with the tensor's shape.
#include "dialect/MpDialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mparc::mp;

#define GET_ATTRDEF_CLASSES
#include "dialect/MpAttributes.cpp.inc"

void MpDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/MpAttributes.cpp.inc"
      >();
}

int64_t DimensionAttr::getStaticSize() const {
  int64_t size = 1;
  for (FactorAttr factor : getFactors())
    if (!ShapedType::isDynamic(factor.getSize()))
      size *= factor.getSize();
  return size;
}

bool DimensionAttr::hasBatch() const {
  return llvm::any_of(getFactors(),
                      [](FactorAttr factor) { return ShapedType::isDynamic(factor.getSize()); });
}

RowPiece DimensionAttr::getRowPiece() const {
  for (FactorAttr factor : getFactors())
    if (ShapedType::isDynamic(factor.getSize()))
      return {factor.getPiece(), factor.getPieces()};
  return {};
}

int64_t DimensionAttr::getSize() const {
  return hasBatch() ? ShapedType::kDynamic : getStaticSize();
}

std::string DimensionAttr::str() const {
  if (!getLabel().empty())
    return getLabel().str();
  std::string text;
  for (FactorAttr factor : getFactors())
    text += (text.empty() ? "" : "*") +
            (factor.getName().empty() ? std::to_string(factor.getSize()) : factor.getName().str());
  return text.empty() ? "1" : text;
}

// factor ::= integer | name `=` integer | name piece?          (a bare name is the batch)
// piece ::= `[` integer `of` integer `]`
static FailureOr<FactorAttr> parseFactor(AsmParser &parser) {
  int64_t size;
  auto number = parser.parseOptionalInteger(size);
  if (number.has_value())
    return failed(*number) ? FailureOr<FactorAttr>(failure())
                           : FactorAttr::get(parser.getContext(), "", size);
  std::string name;
  if (parser.parseKeywordOrString(&name))
    return failure();
  if (succeeded(parser.parseOptionalLSquare())) {
    int64_t piece, pieces;
    if (parser.parseInteger(piece) || parser.parseKeyword("of") || parser.parseInteger(pieces) ||
        parser.parseRSquare())
      return failure();
    return FactorAttr::get(parser.getContext(), name, ShapedType::kDynamic, piece, pieces);
  }
  if (failed(parser.parseOptionalEqual()))
    return FactorAttr::get(parser.getContext(), name, ShapedType::kDynamic);
  if (parser.parseInteger(size))
    return failure();
  return FactorAttr::get(parser.getContext(), name, size);
}

// dimension ::= (label `:`)? factor (`*` factor)*
static FailureOr<DimensionAttr> parseDimension(AsmParser &parser) {
  StringRef label;
  SmallVector<FactorAttr> factors;
  auto first = parseFactor(parser);
  if (failed(first))
    return failure();
  if (succeeded(parser.parseOptionalColon())) {
    label = first->getName();
    first = parseFactor(parser);
    if (failed(first))
      return failure();
  }
  factors.push_back(*first);
  while (succeeded(parser.parseOptionalStar())) {
    auto next = parseFactor(parser);
    if (failed(next))
      return failure();
    factors.push_back(*next);
  }
  if (label.empty() && factors.size() == 1)
    label = factors.front().getName();
  return DimensionAttr::get(parser.getContext(), label, factors);
}

Attribute DimensionsAttr::parse(AsmParser &parser, Type) {
  SmallVector<DimensionAttr> dimensions;
  if (parser.parseLess())
    return {};
  if (succeeded(parser.parseOptionalGreater()))
    return DimensionsAttr::get(parser.getContext(), dimensions);
  auto each = [&]() -> ParseResult {
    auto dimension = parseDimension(parser);
    if (failed(dimension))
      return failure();
    dimensions.push_back(*dimension);
    return success();
  };
  if (parser.parseCommaSeparatedList(each) || parser.parseGreater())
    return {};
  return DimensionsAttr::get(parser.getContext(), dimensions);
}

void DimensionsAttr::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::interleaveComma(getDimensions(), printer, [&](DimensionAttr dimension) {
    ArrayRef<FactorAttr> factors = dimension.getFactors();
    bool named = factors.size() == 1 && factors.front().getName() == dimension.getLabel();
    if (!dimension.getLabel().empty() && !named) {
      printer.printKeywordOrString(dimension.getLabel());
      printer << ": ";
    }
    if (factors.empty())
      printer << 1;
    llvm::interleave(
        factors, printer,
        [&](FactorAttr factor) {
          if (!factor.getName().empty())
            printer.printKeywordOrString(factor.getName());
          if (!factor.getName().empty() && !ShapedType::isDynamic(factor.getSize()))
            printer << '=';
          if (!ShapedType::isDynamic(factor.getSize()))
            printer << factor.getSize();
          if (factor.getPieces() != 1)
            printer << '[' << factor.getPiece() << " of " << factor.getPieces() << ']';
        },
        "*");
  });
  printer << '>';
}

LogicalResult DimensionsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type,
                                             function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.size() != getDimensions().size())
    return emitError() << "expected " << shape.size() << " dimensions, got "
                       << getDimensions().size();
  for (auto [size, dimension] : llvm::zip(shape, getDimensions()))
    if (size != dimension.getSize())
      return emitError() << "dimension " << dimension.str() << " is not of the tensor's size";
  return success();
}
