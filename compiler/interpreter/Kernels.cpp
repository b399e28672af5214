// The reference kernels, for float and double.
#include "interpreter/Kernels.h"

#include "mpar/low_precision.h"
#include "mpar/scalar.h"

#include <cmath>
#include <limits>

using llvm::ArrayRef;
using mparc::mp::ReductionKind;

namespace mparc::interpreter {

/// Steps `position` on by one in row-major order.
static void advance(Extents &position, ArrayRef<int64_t> extents) {
  for (size_t index = extents.size(); index-- > 0;) {
    if (++position[index] < extents[index])
      return;
    position[index] = 0;
  }
}

/// Calls body with a null pointer to the type that an element of `kind` has.
template <typename Scalar, typename Body> static void dispatch(ElementKind kind, Body body) {
  switch (kind) {
  case ElementKind::real:
    return body(static_cast<Scalar *>(nullptr));
  case ElementKind::integer:
    return body(static_cast<int32_t *>(nullptr));
  case ElementKind::boolean:
    return body(static_cast<uint8_t *>(nullptr));
  case ElementKind::brain:
    return body(static_cast<mpar::bfloat16 *>(nullptr));
  case ElementKind::half:
    return body(static_cast<mpar::float16 *>(nullptr));
  }
}

template <typename Scalar> static Cell<Scalar> load(const View &view, int64_t index) {
  Cell<Scalar> cell{};
  switch (view.kind) {
  case ElementKind::real:
    cell.real = view.as<Scalar>()[index];
    break;
  case ElementKind::integer:
    cell.integer = view.as<int32_t>()[index];
    break;
  case ElementKind::boolean:
    cell.boolean = view.as<uint8_t>()[index] != 0;
    break;
  case ElementKind::brain:
    cell.real = static_cast<float>(view.as<mpar::bfloat16>()[index]);
    break;
  case ElementKind::half:
    cell.real = static_cast<float>(view.as<mpar::float16>()[index]);
    break;
  }
  return cell;
}

template <typename Scalar>
static void store(const View &view, int64_t index, const Cell<Scalar> &cell) {
  switch (view.kind) {
  case ElementKind::real:
    view.as<Scalar>()[index] = cell.real;
    return;
  case ElementKind::integer:
    view.as<int32_t>()[index] = cell.integer;
    return;
  case ElementKind::boolean:
    view.as<uint8_t>()[index] = cell.boolean;
    return;
  case ElementKind::brain:
    view.as<mpar::bfloat16>()[index] = mpar::bfloat16(static_cast<float>(cell.real));
    return;
  case ElementKind::half:
    view.as<mpar::float16>()[index] = mpar::float16(static_cast<float>(cell.real));
    return;
  }
}

template <typename Scalar>
void map(const ElementProgram &program, ArrayRef<StridedView> operands, const View &result,
         const Surroundings &surroundings) {
  llvm::SmallVector<Cell<Scalar>, 16> cells(program.cells());
  Extents position(result.extents.size(), 0);
  for (int64_t index = 0, end = result.count(); index < end; ++index) {
    for (size_t operand = 0; operand < operands.size(); ++operand)
      cells[operand] =
          load<Scalar>(operands[operand].view, offsetAt(position, operands[operand].strides));
    program.evaluate(cells.data(), position, surroundings);
    store(result, index, cells[program.resultCell()]);
    advance(position, result.extents);
  }
}

template <typename Scalar>
void copy(ArrayRef<int64_t> extents, const View &from, int64_t fromOffset,
          ArrayRef<int64_t> fromStrides, const View &to, int64_t toOffset,
          ArrayRef<int64_t> toStrides) {
  dispatch<Scalar>(from.kind, [&](auto *type) {
    using Element = std::remove_pointer_t<decltype(type)>;
    Extents position(extents.size(), 0);
    for (int64_t index = 0, end = getCount(extents); index < end; ++index) {
      to.as<Element>()[toOffset + offsetAt(position, toStrides)] =
          from.as<Element>()[fromOffset + offsetAt(position, fromStrides)];
      advance(position, extents);
    }
  });
}

template <typename Scalar> void fillZero(const View &to) {
  std::memset(to.data, 0, to.count() * getElementBytes(to.kind, sizeof(Scalar)));
}

template <typename Scalar>
void narrow(const View &view, llvm::function_ref<void(const View &)> compute) {
  const Tensor wide(ElementKind::real, view.extents, sizeof(Scalar));
  compute(wide.view());
  for (int64_t index = 0, end = view.count(); index < end; ++index)
    store(view, index, load<Scalar>(wide.view(), index));
}

template <typename Scalar> Tensor widen(const View &view) {
  Tensor wide(ElementKind::real, view.extents, sizeof(Scalar));
  for (int64_t index = 0, end = view.count(); index < end; ++index)
    store(wide.view(), index, load<Scalar>(view, index));
  return wide;
}

template <typename Scalar>
void matmul(const View &a, bool transposeA, const View &b, bool transposeB, const View &c) {
  if (c.kind != ElementKind::real)
    return narrow<Scalar>(
        c, [&](const View &wide) { matmul<Scalar>(a, transposeA, b, transposeB, wide); });
  // Operands of less precision are exact in f32, in which their products are summed.
  if (a.kind != ElementKind::real) {
    const Tensor wideA = widen<Scalar>(a), wideB = widen<Scalar>(b);
    return matmul<Scalar>(wideA.view(), transposeA, wideB.view(), transposeB, c);
  }
  const size_t rank = c.extents.size();
  const int64_t m = c.extents[rank - 2], n = c.extents[rank - 1];
  const int64_t k = a.extents[rank - (transposeA ? 2 : 1)];
  const int64_t batch = getCount(ArrayRef<int64_t>(c.extents).drop_back(2));
  const int64_t rowA = transposeA ? 1 : k, innerA = transposeA ? m : 1;
  const int64_t innerB = transposeB ? 1 : n, columnB = transposeB ? k : 1;
  for (int64_t each = 0; each < batch; ++each) {
    const Scalar *left = a.as<Scalar>() + each * m * k, *right = b.as<Scalar>() + each * k * n;
    Scalar *out = c.as<Scalar>() + each * m * n;
    for (int64_t row = 0; row < m; ++row)
      for (int64_t column = 0; column < n; ++column) {
        Scalar sum = 0;
        for (int64_t inner = 0; inner < k; ++inner)
          sum += left[row * rowA + inner * innerA] * right[inner * innerB + column * columnB];
        out[row * n + column] = sum;
      }
  }
}

template <typename Scalar>
void linear(const View &x, const View &weight, const View &bias, bool relu, const View &y,
            const Surroundings &surroundings) {
  if (y.kind != ElementKind::real)
    return narrow<Scalar>(y, [&](const View &wide) {
      const Tensor wideBias = bias.data ? widen<Scalar>(bias) : Tensor();
      linear<Scalar>(x, weight, bias.data ? wideBias.view() : View(), relu, wide, surroundings);
    });
  if (x.kind != ElementKind::real) {
    const Tensor wideX = widen<Scalar>(x), wideWeight = widen<Scalar>(weight);
    return linear<Scalar>(wideX.view(), wideWeight.view(), bias, relu, y, surroundings);
  }
  matmul<Scalar>(x, false, weight, true, y);
  const int64_t columns = y.extents[1];
  Scalar *out = y.as<Scalar>();
  for (int64_t index = 0, end = y.count(); index < end; ++index) {
    if (bias.data)
      out[index] += bias.as<Scalar>()[index % columns];
    if (relu && surroundings.trace)
      surroundings.trace->note(out[index] > 0);
    if (relu)
      out[index] = mpar::relu(out[index]);
  }
}

/// Whether `candidate` replaces `best` as the extreme; a NaN does, and is never replaced.
template <typename T> static bool isBetter(T candidate, T best, bool maximum) {
  if (best != best)
    return false;
  return candidate != candidate || (maximum ? candidate > best : candidate < best);
}

/// What a piece without rows gives to the extreme of all rows.
template <typename T> static T extremeOfNone(bool isMaximum) {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_same_v<T, uint8_t>)
    return isMaximum ? 0 : 1;
  else if constexpr (Limits::has_infinity)
    return isMaximum ? -Limits::infinity() : Limits::infinity();
  else
    return isMaximum ? Limits::lowest() : Limits::max();
}

template <typename T>
static void reduceElements(ReductionKind kind, const View &x, ArrayRef<int64_t> dimensions,
                           const View &y, Trace *trace) {
  Extents kept, keptStrides, reduced, reducedStrides, strides = getStrides(x.extents);
  for (size_t index = 0; index < x.extents.size(); ++index) {
    bool isReduced = llvm::is_contained(dimensions, static_cast<int64_t>(index));
    (isReduced ? reduced : kept).push_back(x.extents[index]);
    (isReduced ? reducedStrides : keptStrides).push_back(strides[index]);
  }
  const int64_t outer = getCount(kept), inner = getCount(reduced);
  const bool adds = kind == ReductionKind::sum || kind == ReductionKind::mean;
  Extents position(kept.size(), 0);
  for (int64_t index = 0; index < outer; ++index) {
    const T *base = x.as<T>() + offsetAt(position, keptStrides);
    T result = adds ? T(0) : inner > 0 ? *base : extremeOfNone<T>(kind == ReductionKind::maximum);
    int64_t chosen = 0;
    Extents step(reduced.size(), 0);
    for (int64_t each = 0; each < inner; ++each) {
      const T value = base[offsetAt(step, reducedStrides)];
      if (adds) {
        // Integers wrap beyond 32 bits.
        if constexpr (std::is_integral_v<T>)
          result = static_cast<T>(static_cast<uint32_t>(result) + static_cast<uint32_t>(value));
        else
          result += value;
      } else if (isBetter(value, result, kind == ReductionKind::maximum)) {
        result = value;
        chosen = each;
      }
      advance(step, reduced);
    }
    if (!adds && trace)
      trace->note(chosen);
    y.as<T>()[index] = kind == ReductionKind::mean ? result / static_cast<T>(inner) : result;
    advance(position, kept);
  }
}

template <typename Scalar>
void reduce(ReductionKind kind, const View &x, ArrayRef<int64_t> dimensions, const View &y,
            const Surroundings &surroundings) {
  if (x.kind == ElementKind::brain || x.kind == ElementKind::half)
    reduceElements<Scalar>(kind, widen<Scalar>(x).view(), dimensions, y, surroundings.trace);
  else if (x.kind == ElementKind::real)
    reduceElements<Scalar>(kind, x, dimensions, y, surroundings.trace);
  else if (x.kind == ElementKind::integer)
    reduceElements<int32_t>(kind, x, dimensions, y, nullptr);
  else
    reduceElements<uint8_t>(kind, x, dimensions, y, nullptr);
}

/// A tensor seen as [outer, extent, inner] around one dimension.
struct Lines {
  Lines(const View &x, int64_t dimension)
      : outer(getCount(ArrayRef<int64_t>(x.extents).take_front(dimension))),
        extent(x.extents[dimension]),
        inner(getCount(ArrayRef<int64_t>(x.extents).drop_front(dimension + 1))) {}
  int64_t outer, extent, inner;
};

template <typename Scalar>
void softmax(const View &x, int64_t dimension, bool logarithm, const View &y) {
  const Lines lines(x, dimension);
  for (int64_t line = 0; line < lines.outer * lines.inner; ++line) {
    const int64_t base = line / lines.inner * lines.extent * lines.inner + line % lines.inner;
    const Scalar *in = x.as<Scalar>() + base;
    Scalar *out = y.as<Scalar>() + base;
    Scalar largest = in[0], sum = 0;
    for (int64_t each = 0; each < lines.extent; ++each)
      largest = mpar::maximum(largest, in[each * lines.inner]);
    for (int64_t each = 0; each < lines.extent; ++each)
      sum += std::exp(in[each * lines.inner] - largest);
    const Scalar shift = std::log(sum);
    for (int64_t each = 0; each < lines.extent; ++each) {
      const Scalar centred = in[each * lines.inner] - largest;
      out[each * lines.inner] = logarithm ? centred - shift : std::exp(centred) / sum;
    }
  }
}

template <typename Scalar>
void argmax(const View &x, int64_t dimension, const View &y, const Surroundings &surroundings) {
  const Lines lines(x, dimension);
  dispatch<Scalar>(x.kind, [&](auto *type) {
    using Element = std::remove_pointer_t<decltype(type)>;
    if constexpr (!std::is_arithmetic_v<Element>)
      llvm_unreachable("positions are asked of f32, i32 and bool");
    else
      for (int64_t line = 0; line < lines.outer * lines.inner; ++line) {
        const Element *in =
            x.as<Element>() + line / lines.inner * lines.extent * lines.inner + line % lines.inner;
        int32_t chosen = 0;
        for (int64_t each = 1; each < lines.extent; ++each)
          if (isBetter(in[each * lines.inner], in[chosen * lines.inner], true))
            chosen = static_cast<int32_t>(each);
        if (surroundings.trace)
          surroundings.trace->note(chosen);
        y.as<int32_t>()[line] = chosen;
      }
  });
}

template <typename Scalar>
void slice(const View &x, int64_t dimension, int64_t from, const View &y) {
  Extents strides = getStrides(x.extents);
  copy<Scalar>(y.extents, x, from * strides[dimension], strides, y, 0, getStrides(y.extents));
}

template <typename Scalar>
void pad(const View &x, int64_t dimension, int64_t before, const View &y) {
  Extents strides = getStrides(y.extents);
  fillZero<Scalar>(y);
  copy<Scalar>(x.extents, x, 0, getStrides(x.extents), y, before * strides[dimension], strides);
}

template <typename Scalar> void concat(ArrayRef<View> parts, int64_t dimension, const View &y) {
  Extents strides = getStrides(y.extents);
  int64_t offset = 0;
  for (const View &part : parts) {
    copy<Scalar>(part.extents, part, 0, getStrides(part.extents), y, offset, strides);
    offset += part.extents[dimension] * strides[dimension];
  }
}

template <typename Scalar> void squaredNorm(const View &x, const View &sum, const View &y) {
  Scalar squares = 0;
  for (int64_t index = 0, end = x.count(); index < end; ++index)
    squares += x.as<Scalar>()[index] * x.as<Scalar>()[index];
  *y.as<Scalar>() = sum.data ? *sum.as<Scalar>() + squares : squares;
}

template <typename Scalar> static Scalar clip(Scalar gradientNorm, double norm) {
  const Scalar reciprocal = 1 / (gradientNorm + Scalar(1e-6));
  const Scalar scale = reciprocal * static_cast<Scalar>(norm);
  return scale > 1 ? 1 : scale;
}

template <typename Scalar> void clipScale(const View &squared, double norm, const View &y) {
  *y.as<Scalar>() = clip(std::sqrt(*squared.as<Scalar>()), norm);
}

template <typename Scalar>
void unscale(const View &squared, std::optional<double> norm, double scale, const View &y) {
  const Scalar inverse = 1 / static_cast<Scalar>(scale), sum = *squared.as<Scalar>();
  const Scalar clipped = norm ? clip(std::sqrt(sum) * inverse, *norm) : 1;
  *y.as<Scalar>() = std::isfinite(sum) ? clipped * inverse : std::nan("");
}

#define INSTANTIATE(SCALAR)                                                                        \
  template void map<SCALAR>(const ElementProgram &, ArrayRef<StridedView>, const View &,           \
                            const Surroundings &);                                                 \
  template void copy<SCALAR>(ArrayRef<int64_t>, const View &, int64_t, ArrayRef<int64_t>,          \
                             const View &, int64_t, ArrayRef<int64_t>);                            \
  template void fillZero<SCALAR>(const View &);                                                    \
  template Tensor widen<SCALAR>(const View &);                                                     \
  template void narrow<SCALAR>(const View &, llvm::function_ref<void(const View &)>);              \
  template void slice<SCALAR>(const View &, int64_t, int64_t, const View &);                       \
  template void pad<SCALAR>(const View &, int64_t, int64_t, const View &);                         \
  template void concat<SCALAR>(ArrayRef<View>, int64_t, const View &);                             \
  template void squaredNorm<SCALAR>(const View &, const View &, const View &);                     \
  template void clipScale<SCALAR>(const View &, double, const View &);                             \
  template void unscale<SCALAR>(const View &, std::optional<double>, double, const View &);        \
  template void matmul<SCALAR>(const View &, bool, const View &, bool, const View &);              \
  template void linear<SCALAR>(const View &, const View &, const View &, bool, const View &,       \
                               const Surroundings &);                                              \
  template void reduce<SCALAR>(ReductionKind, const View &, ArrayRef<int64_t>, const View &,       \
                               const Surroundings &);                                              \
  template void softmax<SCALAR>(const View &, int64_t, bool, const View &);                        \
  template void argmax<SCALAR>(const View &, int64_t, const View &, const Surroundings &);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

} // namespace mparc::interpreter
