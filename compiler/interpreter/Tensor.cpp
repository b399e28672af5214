// Sizes of tensors, and access to elements of any kind.
#include "interpreter/Tensor.h"

#include "mpar/low_precision.h"

#include <cmath>

using namespace mlir;

namespace mparc::interpreter {

ElementKind getElementKind(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (element.isBF16())
    return ElementKind::brain;
  if (element.isF16())
    return ElementKind::half;
  if (isa<FloatType>(element))
    return ElementKind::real;
  return element.isInteger(1) ? ElementKind::boolean : ElementKind::integer;
}

Extents getExtents(Type tensor, int64_t rows) {
  Extents extents;
  for (mp::DimensionAttr dimension : mp::getDimensions(tensor))
    extents.push_back(dimension.getStaticSize() *
                      (dimension.hasBatch() ? dimension.getRowPiece().size(rows) : 1));
  return extents;
}

int64_t getCount(ArrayRef<int64_t> extents) {
  int64_t count = 1;
  for (int64_t extent : extents)
    count *= extent;
  return count;
}

Extents getStrides(ArrayRef<int64_t> extents) {
  Extents strides(extents.size());
  int64_t step = 1;
  for (size_t index = extents.size(); index-- > 0;) {
    strides[index] = step;
    step *= extents[index];
  }
  return strides;
}

int64_t offsetAt(ArrayRef<int64_t> position, ArrayRef<int64_t> strides) {
  int64_t offset = 0;
  for (size_t index = 0; index < position.size(); ++index)
    offset += position[index] * strides[index];
  return offset;
}

double Tensor::get(int64_t index) const {
  View elements = view();
  switch (kind_) {
  case ElementKind::real:
    return realBytes_ == 4 ? elements.as<float>()[index] : elements.as<double>()[index];
  case ElementKind::integer:
    return elements.as<int32_t>()[index];
  case ElementKind::boolean:
    return elements.as<uint8_t>()[index];
  case ElementKind::brain:
    return static_cast<float>(elements.as<mpar::bfloat16>()[index]);
  case ElementKind::half:
    return static_cast<float>(elements.as<mpar::float16>()[index]);
  }
  llvm_unreachable("all kinds are listed");
}

void Tensor::set(int64_t index, double value) {
  View elements = view();
  switch (kind_) {
  case ElementKind::real:
    if (realBytes_ == 4)
      elements.as<float>()[index] = static_cast<float>(value);
    else
      elements.as<double>()[index] = value;
    return;
  case ElementKind::integer:
    elements.as<int32_t>()[index] = static_cast<int32_t>(value);
    return;
  case ElementKind::boolean:
    elements.as<uint8_t>()[index] = value != 0;
    return;
  case ElementKind::brain:
    elements.as<mpar::bfloat16>()[index] = mpar::bfloat16(static_cast<float>(value));
    return;
  case ElementKind::half:
    elements.as<mpar::float16>()[index] = mpar::float16(static_cast<float>(value));
    return;
  }
}

bool Tensor::sameBits(const Tensor &other) const {
  if (kind_ != other.kind_ || extents_ != other.extents_ || realBytes_ != other.realBytes_)
    return false;
  if (bytes_ == other.bytes_)
    return true;
  if (kind_ == ElementKind::integer || kind_ == ElementKind::boolean)
    return false;
  for (int64_t index = 0, end = count(); index < end; ++index) {
    double a = get(index), b = other.get(index);
    bool same = std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
    if (!same)
      return false;
  }
  return true;
}

} // namespace mparc::interpreter
