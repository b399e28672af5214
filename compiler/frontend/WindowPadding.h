//===- WindowPadding.h - What lies beside a tensor that a kernel moves over -------===//

#ifndef MPARC_FRONTEND_WINDOWPADDING_H
#define MPARC_FRONTEND_WINDOWPADDING_H

#include "frontend/Functions.h"

namespace mparc {

using Sizes = llvm::SmallVector<int64_t, 3>;

/// More than any kernel or window needs; sums of a few are far from what 32 bits hold, in which
/// libraries of kernels count.
inline constexpr int64_t kLargestSize = int64_t(1) << 24;

/// How many elements stand before and after a dimension.
struct Margin {
  int64_t before, after;
};
using Margins = llvm::SmallVector<Margin, 3>;

/// As many on both sides of each dimension.
Margins marginsOf(llvm::ArrayRef<int64_t> padding);

/// What `padding: "same"` is for a kernel: as many elements as it reaches beyond one of them, on
/// the right one more where they are odd. Nothing, with an error, where they are too many or a
/// stride is not 1. `padding`: the index of the argument.
std::optional<Margins> marginsToSame(FunctionCall &call, unsigned padding,
                                     llvm::ArrayRef<int64_t> kernel, llvm::ArrayRef<int64_t> stride,
                                     llvm::ArrayRef<int64_t> dilation);

/// `x` with zeros in the margins of its last dimensions; nothing, with an error, if it is too
/// large.
std::optional<Tensor> padWithZeros(FunctionCall &call, Tensor x, llvm::ArrayRef<Margin> margins);

/// `x` with a number in the margins of its last dimensions.
std::optional<Tensor> padWithConstant(FunctionCall &call, Tensor x, llvm::ArrayRef<Margin> margins,
                                      double value);

/// What else stands in margins, by torch's names: the elements beside the edge, mirrored; those at
/// the edge; those from the other end.
enum class PaddingMode { zeros, reflect, replicate, circular };

/// The mode of that name, or nothing.
std::optional<PaddingMode> findPaddingMode(llvm::StringRef name);

/// `x` with margins that are filled by `mode`; nothing, with an error, where `x` has too few
/// elements to fill them.
std::optional<Tensor> pad(FunctionCall &call, Tensor x, llvm::ArrayRef<Margin> margins,
                          PaddingMode mode);

} // namespace mparc

#endif // MPARC_FRONTEND_WINDOWPADDING_H
