// Finds functions in C++ headers of the user's, and holds them to their declarations.
#pragma once

#include <string>
#include <vector>

namespace mparc::clang_tools {

/// An operation as the user declared it.
struct ForeignOperation {
  std::string function;            // with its namespaces: "my::swish"
  std::string gradient;            // likewise; empty: it has none
  std::vector<std::string> inputs; // their elements' types in C++: "float", "int32_t", "bool"
  std::string result;              // likewise
};

/// Where something stands in a header; no file: nowhere.
struct HeaderPlace {
  std::string file;
  unsigned line = 0, column = 0;
};

/// What the header says of one operation.
struct ForeignFunction {
  bool isElementWise = false; // else it takes whole tensors
  /// Empty: the functions are there and fit. What is wrong with them otherwise, and where the
  /// function stands whose signature is `got`, where there is one.
  std::string error, got;
  HeaderPlace place;
  bool isGradient = false; // it is the gradient that is wrong
};

/// What came of reading a header.
struct Header {
  bool isFound = true;
  /// The first error of the header's text, at its place; empty: it parses, and has a function for
  /// each operation.
  std::string error;
  HeaderPlace place;
  std::vector<ForeignFunction> functions;
  /// What functions there are, with their namespaces, but those of the system and of the runtime.
  std::vector<std::string> names;
  /// What was read: the header, and all that it includes.
  std::vector<std::string> files;
};

/// Reads `#include "header"` from the current folder as C++17 with `arguments` as for the compiler,
/// the runtime's headers among its include paths, and looks the operations up in it.
Header readHeader(const std::string &header, const std::vector<std::string> &arguments,
                  const std::vector<ForeignOperation> &operations);

} // namespace mparc::clang_tools
