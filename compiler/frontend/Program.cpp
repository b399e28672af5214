//===- Program.cpp - A file and all that it imports -----------------------===//

#include "frontend/Program.h"
#include "frontend/Diagnostics.h"
#include "frontend/Parser.h"
#include "frontend/Tokens.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

#include <set>

namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace mparc {

unsigned openSource(llvm::SourceMgr &sources, llvm::StringRef name, std::string &why) {
  // The system would silently read only what stands before a NUL.
  fs::file_status status;
  if (name.empty() || name.contains('\0')) {
    why = "that is no name of a file";
  } else if (std::error_code code = fs::status(name, status)) {
    why = code == std::errc::no_such_file_or_directory ? "there is no such file" : code.message();
  } else if (fs::is_directory(status)) {
    why = "that is a directory";
  } else if (!fs::is_regular_file(status)) {
    why = "that is not a regular file";
  } else if (status.getSize() > maxSourceSize) {
    why = "the file is larger than 4 MiB";
  } else {
    auto contents = llvm::MemoryBuffer::getFile(name);
    if (contents)
      return sources.AddNewSourceBuffer(std::move(*contents), llvm::SMLoc());
    why = contents.getError().message();
  }
  return 0;
}

namespace {

/// Longer names of files are shortened in messages.
constexpr size_t maxNameLength = 256;

/// One name for every way to write the path of a file.
std::string canonicalPath(llvm::StringRef name) {
  llvm::SmallString<128> real;
  if (fs::real_path(name, real))
    return name.str();
  return real.str().str();
}

} // namespace

Program parseProgram(llvm::SourceMgr &sources, llvm::ArrayRef<unsigned> buffers,
                     Diagnostics &diagnostics) {
  Program program;
  std::set<std::string> seen;
  auto nameOf = [&](unsigned buffer) {
    return sources.getMemoryBuffer(buffer)->getBufferIdentifier();
  };
  for (unsigned buffer : buffers) {
    seen.insert(canonicalPath(nameOf(buffer)));
    program.files.push_back(parseFile(sources, buffer, diagnostics));
  }
  // The list grows while it is walked.
  for (size_t i = 0; i < program.files.size(); ++i) {
    for (const ast::ImportDecl &import : program.files[i]->imports) {
      llvm::SmallString<128> name;
      if (path::is_relative(import.path))
        name = path::parent_path(nameOf(program.files[i]->buffer));
      path::append(name, import.path);
      if (!import.path.empty() && !seen.insert(canonicalPath(name)).second)
        continue;
      std::string why;
      unsigned buffer = openSource(sources, import.path.empty() ? import.path : name.str(), why);
      if (buffer == 0) {
        diagnostics.error(import.pathRange,
                          "cannot import " + quote(name, maxNameLength) + ": " + why);
        program.files[i]->isBroken = true;
        continue;
      }
      program.files.push_back(parseFile(sources, buffer, diagnostics));
    }
  }
  return program;
}

} // namespace mparc
