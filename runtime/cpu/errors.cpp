// Failures of the run.
#include "mpar/errors.h"

namespace mpar {

void fail(const std::string &message) { throw Error(message); }

} // namespace mpar
