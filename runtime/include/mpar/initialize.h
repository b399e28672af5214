// First values of parameters, as PyTorch's initialisers compute them.
#pragma once

#include "mpar/model.h"
#include "mpar/random.h"

namespace mpar {

/// The bounds of `nn.Linear`'s weights: torch.nn.init.kaiming_uniform_(weight, a=sqrt(5)) for `fan`
/// inputs, in double and in PyTorch's order of operations.
double kaiming_uniform_bound(double fan);

/// The bounds of torch.nn.init.xavier_uniform_ with gain 1.
double xavier_uniform_bound(double fan_in, double fan_out);

/// Fills `count` contiguous floats, drawing from `generator` exactly what PyTorch would draw.
void initialize(const Initializer &initializer, Generator &generator, float *values, int64_t count);

/// The same for a buffer whose elements may be of another type, which draws nothing: `values` is
/// where they lie.
void initialize(const Initializer &initializer, ElementType type, Generator &generator,
                float *values, int64_t count);

} // namespace mpar
