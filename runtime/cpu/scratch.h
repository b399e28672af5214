// Memory that kernels work in.
#pragma once

#include <cstdint>

namespace mpar {

/// At least `count` floats of the calling thread, aligned to 64 bytes; kept from call to call,
/// freed with the thread. The next call may move them. Fails, naming `what` they are for, where
/// there is no memory.
float *scratch(int64_t count, const char *what);

} // namespace mpar
