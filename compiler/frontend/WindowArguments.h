//===- WindowArguments.h - What functions of windows are given --------------------===//

#ifndef MPARC_FRONTEND_WINDOWARGUMENTS_H
#define MPARC_FRONTEND_WINDOWARGUMENTS_H

#include "frontend/WindowPadding.h"

namespace mparc {

/// The number of dimensions that a function's name ends in: 2 of `conv2d`.
unsigned spatialCount(const FunctionCall &call);

/// One int for all spatial dimensions, or a list of one for each; nothing, with an error, where it
/// is neither. `otherwise`: where none is given.
std::optional<Sizes> readSizes(FunctionCall &call, unsigned index, int64_t least,
                               llvm::ArrayRef<int64_t> otherwise);

/// Whether `x` has so many dimensions before the spatial ones, and no batch among those; else an
/// error says so.
bool checkRank(FunctionCall &call, const Tensor &x, unsigned before);

/// x's dimensions but the spatial ones, then as many positions as the window has over each;
/// nothing, with an error, where it does not fit. `dilation`: empty where elements are adjacent.
std::optional<Dimensions> positionsOf(FunctionCall &call, const Tensor &x,
                                      llvm::ArrayRef<int64_t> kernel,
                                      llvm::ArrayRef<int64_t> stride,
                                      llvm::ArrayRef<int64_t> padding,
                                      llvm::ArrayRef<int64_t> dilation, bool isCeil = false);

} // namespace mparc

#endif // MPARC_FRONTEND_WINDOWARGUMENTS_H
