// How long a training step takes.
#pragma once

#include "mpar/data_loader.h"
#include "mpar/model.h"
#include "mpar/train.h"

#include <cstdint>
#include <string>

namespace mpar {

/// Trains so many steps on the first batch, after some that are not counted, and says in one line
/// the median time of a step: from its beginning to that of the next. On GPUs that is by events of
/// the first one; then the time in which the host issues or launches a step, and the memory that
/// this process's GPUs have given, are said too.
std::string run_benchmark(Model &model, const Dataset &train, const TrainingSettings &settings,
                          int64_t steps);

} // namespace mpar
