// How the runtime reports a failure: one exception type, whose text is one clear line.
#pragma once

#include <stdexcept>
#include <string>

namespace mpar {

/// A failure of the run. `what()` is the whole message: one line, lower case, no full stop, naming
/// what failed (a file, a device, a parameter). `run_program` prints it and exits with status 1; a
/// program that embeds a model catches it.
class Error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Throws Error.
[[noreturn]] void fail(const std::string &message);

} // namespace mpar
