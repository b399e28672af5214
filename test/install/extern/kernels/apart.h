#pragma once
#include "mpar/extern.h"

inline void negate(mpar::Device &, mpar::View<const float> x, mpar::View<float> y) {
  for (int64_t i = 0; i < x.count(); ++i)
    y.data[i] = -x.data[i];
}
