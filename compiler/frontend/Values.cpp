//===- Values.cpp - How diagnostics write values ----------------------------===//

#include "frontend/Values.h"

#include "llvm/ADT/StringExtras.h"

namespace mparc {

std::string describe(mlir::Type element) {
  if (element.isF32())
    return "f32";
  if (element.isBF16())
    return "bf16";
  if (element.isF16())
    return "f16";
  return element.isInteger(1) ? "bool" : "i32";
}

std::string describe(mlir::Type element, llvm::ArrayRef<mp::DimensionAttr> dimensions) {
  std::string text = describe(element) + "[";
  llvm::StringRef separator;
  for (mp::DimensionAttr dimension : dimensions) {
    text += separator;
    separator = ", ";
    if (!dimension.hasBatch()) {
      text += std::to_string(dimension.getSize());
      continue;
    }
    for (mp::FactorAttr factor : dimension.getFactors())
      if (mlir::ShapedType::isDynamic(factor.getSize()))
        text += factor.getName();
    if (dimension.getStaticSize() != 1)
      text += " * " + std::to_string(dimension.getStaticSize());
  }
  return text + "]";
}

std::string describe(const Devices &devices) {
  std::string text = devices.size() == 1 ? "device " : "devices ";
  for (auto [number, device] : llvm::enumerate(devices))
    text += (number ? ", " : "") + std::to_string(device);
  return text;
}

std::string describe(const Tensor &tensor) {
  return describe(tensor.element(), tensor.dimensions());
}

bool holdsLayers(const Value &value) {
  if (const std::vector<Value> *elements = asList(value))
    return llvm::any_of(*elements, holdsLayers);
  return std::holds_alternative<Instance *>(value) || std::holds_alternative<ArrayRefValue>(value);
}

std::string describe(const Value &value) {
  struct Visitor {
    std::string operator()(Poison) { return "nothing"; }
    std::string operator()(None) { return "`none`"; }
    std::string operator()(const Number &number) {
      if (number.hasBatch())
        return "the run-time size `" + number.str() + "`";
      return (number.isInteger() ? "the int " : "the float ") + number.str();
    }
    std::string operator()(bool value) { return value ? "`true`" : "`false`"; }
    std::string operator()(const std::string &text) { return "the string \"" + text + "\""; }
    std::string operator()(const Tensor &tensor) { return describe(tensor); }
    std::string operator()(Instance *) { return "a layer"; }
    std::string operator()(const ArrayRefValue &) { return "an array of layers"; }
    std::string operator()(const std::shared_ptr<const Tuple> &tuple) {
      return std::to_string(tuple->values.size()) + " values";
    }
    std::string operator()(const std::shared_ptr<const List> &list) {
      return "a list of " + std::to_string(list->elements.size());
    }
  };
  return std::visit(Visitor(), value);
}

} // namespace mparc
