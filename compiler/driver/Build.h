// Building and running what is emitted, with the system's C++ compiler.
#pragma once

#include "driver/Files.h"
#include "driver/Options.h"

namespace mparc {

/// Where emitted C++ finds the runtime's headers, those beside the model, and the user's.
std::vector<std::string> includeFlags(const Options &options, const Installation &installation);

/// Compiles and links C++ into the program of `-o`. The exit status, 1 after an error that names
/// the command.
int buildProgram(const std::string &source, const Options &options,
                 const Installation &installation);

/// Builds in a temporary folder, removes it, and becomes the program: its exit status is mparc's.
/// Returns only after an error.
int runProgram(const std::string &source, const Options &options, const Installation &installation);

} // namespace mparc
