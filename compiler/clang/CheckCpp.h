// What Clang does for the emitter: formats its text, and reads it back.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <string>
#include <utility>
#include <vector>

namespace mparc::clang_tools {

/// C++ in LLVM's style at 100 columns, as the repository's own files are.
std::string formatCpp(llvm::StringRef text);

/// Parses C++ given as files of a name and a text, the first of which includes the others, with
/// `arguments` as for the compiler. Returns the first error as one line, or nothing.
std::string findError(const std::vector<std::pair<std::string, std::string>> &files,
                      const std::vector<std::string> &arguments);

} // namespace mparc::clang_tools
