//===- HeaderReader.h - What the front end asks of whoever reads C++ --------===//

#ifndef MPARC_FRONTEND_HEADERREADER_H
#define MPARC_FRONTEND_HEADERREADER_H

#include <functional>
#include <string>
#include <vector>

namespace mparc {

/// An operation as its declaration has it; elements' types in C++: "float", "int32_t", "bool".
struct ExternRequest {
  std::string function;
  /// Empty: it has none.
  std::string gradient;
  std::vector<std::string> inputs;
  std::string result;
};

/// A place in a header; no file: nowhere.
struct HeaderPlace {
  std::string file;
  unsigned line = 0, column = 0;
};

/// What a header says of one operation.
struct ExternAnswer {
  /// Else it takes whole tensors.
  bool isElementWise = true;
  /// What is wrong with it, if anything, and the signature at `place` that is.
  std::string error, got;
  HeaderPlace place;
  bool isGradient = false;
};

struct HeaderAnswer {
  bool isFound = true;
  /// The first error in the header's own text, at `place`; else there is an answer a request.
  std::string error;
  HeaderPlace place;
  std::vector<ExternAnswer> operations;
  /// The functions that it has, with their namespaces.
  std::vector<std::string> names;
};

/// Reads a header: a path, or a name to be looked for in the user's include folders.
using HeaderReader = std::function<HeaderAnswer(const std::string &header,
                                                const std::vector<ExternRequest> &operations)>;

} // namespace mparc

#endif // MPARC_FRONTEND_HEADERREADER_H
