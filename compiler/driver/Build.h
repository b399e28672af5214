// Building and running what is emitted, with the system's C++ compiler.
#pragma once

#include "driver/Files.h"
#include "driver/Options.h"

namespace mparc {

/// Compiles and links C++ into a program. The exit status, 1 after an error that names the command.
int buildProgram(const std::string &source, const std::string &program,
                 const Installation &installation);

/// Builds in a temporary folder, removes it, and becomes the program: its exit status is mparc's.
/// Returns only after an error.
int runProgram(const std::string &source, const Options &options, const Installation &installation);

} // namespace mparc
