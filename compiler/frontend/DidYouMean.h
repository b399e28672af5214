//===- DidYouMean.h - What was meant by a name that nothing has -------------===//

#ifndef MPARC_FRONTEND_DIDYOUMEAN_H
#define MPARC_FRONTEND_DIDYOUMEAN_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace mparc {

/// "; did you mean `x`?" with the nearest of the candidates, or nothing if none is near.
std::string didYouMean(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> candidates);

} // namespace mparc

#endif // MPARC_FRONTEND_DIDYOUMEAN_H
