// Whether a function of a header is what an operation's declaration says.
#pragma once

#include "clang/ReadHeader.h"

namespace clang {
class ASTContext;
} // namespace clang

namespace mparc::clang_tools {

ForeignFunction matchFunction(clang::ASTContext &context, const ForeignOperation &operation);

/// The functions of the user, with their namespaces, in the order in which they stand.
std::vector<std::string> namesOfFunctions(clang::ASTContext &context);

} // namespace mparc::clang_tools
