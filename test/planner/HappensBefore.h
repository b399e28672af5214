// What makes a scheduled and planned program right, worked out from the definition and slowly: a
// second opinion on the compiler's verifiers.
#pragma once

#include "dialect/MpDialect.h"

#include <string>

namespace mparc {

/// Why the streams and waits of a program do not keep it from reading or writing something too
/// early or too late; empty where they do. Time grows with the cube of the instructions.
std::string findFault(mp::ProgramOp program);

} // namespace mparc
