//===- Source.h - Where something stands in the user's text ---------------===//
//
// Positions and ranges of text, independent of MLIR so that the syntax tree stays a light header.
// Diagnostics.h turns them into MLIR locations.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_SOURCE_H
#define MPARC_FRONTEND_SOURCE_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace mparc {

/// A place between two bytes of a buffer. Lines and columns count from 1, columns in bytes of
/// UTF-8.
struct Position {
  uint32_t offset = 0;
  uint32_t line = 1;
  uint32_t column = 1;
};

/// The half-open stretch [begin, end) of one buffer of the llvm::SourceMgr; buffer 0 is no place.
struct SourceRange {
  unsigned buffer = 0;
  Position begin;
  Position end;

  bool isValid() const { return buffer != 0; }
};

/// The range from the start of `first` to the end of `last`; both lie in one buffer.
inline SourceRange join(const SourceRange &first, const SourceRange &last) {
  return {first.buffer, first.begin, last.end};
}

/// A name as the user wrote it, and where. The text points into the buffer of the llvm::SourceMgr,
/// which must outlive it.
struct Identifier {
  llvm::StringRef text;
  SourceRange range;

  explicit operator bool() const { return !text.empty(); }
};

} // namespace mparc

#endif // MPARC_FRONTEND_SOURCE_H
