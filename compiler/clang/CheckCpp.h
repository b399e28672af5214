// What Clang does for the emitter: formats its text, and reads it back.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <string>
#include <vector>

namespace mparc::clang_tools {

/// C++ in LLVM's style at 100 columns, as the repository's own files are.
std::string formatCpp(llvm::StringRef text);

/// Parses a C++ file, given as text, with `arguments` as for the compiler. Returns its first error as
/// one line, or nothing.
std::string findError(llvm::StringRef text, const std::vector<std::string> &arguments);

} // namespace mparc::clang_tools
