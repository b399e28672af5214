// Writing files whole or not at all, and where the parts of an installation are.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"

#include <string>

namespace mparc {

/// Prints `mparc: message` as one line on standard error; returns 1, the exit status of a failure.
int fail(const llvm::Twine &message);

/// Writes a file by way of a temporary one beside it, so that it is never half-written; `-` is
/// standard output. False after an error, which is reported.
bool writeFile(const std::string &path, llvm::StringRef text);

/// Whether what is written to one path would be in the other: not where it is a device, as
/// /dev/null.
bool isSameFile(const std::string &a, const std::string &b);

/// A word of a command as a shell reads it: in single quotes where it has to be.
std::string quoteForShell(llvm::StringRef word);

/// The parts of mparc that are not in the program: where the program stands in an installed prefix,
/// those of the prefix, else those of the build it comes from.
struct Installation {
  std::string stdlib;  // the folder of the standard library's .mp files
  std::string include; // of the runtime's headers
  std::string library; // libmpar.a
};
Installation findInstallation(const char *program);

} // namespace mparc
