// C++ identifiers made of the user's names.
#pragma once

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSet.h"

#include <string>

namespace mparc::emit {

/// `block.3.attn` → `block_3_attn`. The result begins with a letter, does not end in an underscore,
/// which members do, and is no keyword, macro or name of the runtime's interface.
std::string makeIdentifier(llvm::StringRef name);
/// Whether emitted code may not define this name.
bool isReserved(llvm::StringRef name);
/// `binary_cross_entropy` → `BinaryCrossEntropy`.
std::string toCamelCase(llvm::StringRef name);

/// Names of one scope, each given once: the second `h` is `h_2`.
class Scope {
public:
  std::string unique(llvm::StringRef name);
  void reserve(llvm::StringRef name) { taken.insert(name); }

private:
  llvm::StringSet<> taken;
  llvm::StringMap<unsigned> next;
};

} // namespace mparc::emit
