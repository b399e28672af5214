// Tensors as the interpreter holds them: elements of one of three kinds, row-major and contiguous.
#pragma once

#include "dialect/MpDialect.h"

#include <cstring>
#include <string>
#include <vector>

namespace mparc::interpreter {

/// What an element is. Real is f32 in the program and the interpreter's scalar, float or double,
/// here; brain and half are bf16 and f16, rounded as in the program.
enum class ElementKind { real, integer, boolean, brain, half };

/// The kind of an element type or of a tensor's elements.
ElementKind getElementKind(mlir::Type type);

/// The bytes one element takes where reals take `realBytes`.
inline int64_t getElementBytes(ElementKind kind, int64_t realBytes) {
  switch (kind) {
  case ElementKind::real:
    return realBytes;
  case ElementKind::integer:
    return 4;
  case ElementKind::boolean:
    return 1;
  case ElementKind::brain:
  case ElementKind::half:
    return 2;
  }
  llvm_unreachable("all kinds are listed");
}

/// Extents, outermost first.
using Extents = llvm::SmallVector<int64_t, 4>;

/// The extents of a tensor type where the batch has `rows` rows.
Extents getExtents(mlir::Type tensor, int64_t rows);
int64_t getCount(llvm::ArrayRef<int64_t> extents);
/// Steps in elements along each dimension of a contiguous tensor.
Extents getStrides(llvm::ArrayRef<int64_t> extents);

/// Σ position · stride.
int64_t offsetAt(llvm::ArrayRef<int64_t> position, llvm::ArrayRef<int64_t> strides);

/// Elements that someone else owns.
struct View {
  ElementKind kind = ElementKind::real;
  Extents extents;
  void *data = nullptr;

  int64_t count() const { return getCount(extents); }
  template <typename T> T *as() const { return static_cast<T *>(data); }
};

/// Elements and their extents. Booleans are bytes, 0 or 1.
class Tensor {
public:
  Tensor() = default;
  Tensor(ElementKind kind, Extents extents, int64_t realBytes)
      : kind_(kind), realBytes_(realBytes), extents_(std::move(extents)),
        bytes_(getCount(extents_) * getElementBytes(kind, realBytes)) {}

  View view() const { return {kind_, extents_, const_cast<std::byte *>(bytes_.data())}; }
  ElementKind kind() const { return kind_; }
  const Extents &extents() const { return extents_; }
  int64_t count() const { return getCount(extents_); }
  const std::vector<std::byte> &bytes() const { return bytes_; }

  /// Element `index` as a double, whatever it is; exact, as doubles hold floats and i32.
  double get(int64_t index) const;
  /// Sets element `index`, rounding to what it is.
  void set(int64_t index, double value);

  /// Whether kind, extents and every bit are the same; where NaN, whether both are.
  bool sameBits(const Tensor &other) const;

private:
  ElementKind kind_ = ElementKind::real;
  int64_t realBytes_ = 4;
  Extents extents_;
  std::vector<std::byte> bytes_;
};

/// The decisions a run takes at kinks (signs at relu, comparisons, positions of maxima), hashed:
/// two runs with equal traces evaluate the same smooth function.
class Trace {
public:
  void note(int64_t decision) {
    hash_ = (hash_ ^ static_cast<uint64_t>(decision + 1)) * 0x100000001b3ULL;
  }
  uint64_t hash() const { return hash_; }

private:
  uint64_t hash_ = 0xcbf29ce484222325ULL;
};

} // namespace mparc::interpreter
