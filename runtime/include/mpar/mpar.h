// All of the runtime that an emitted program uses.
#pragma once

#include "mpar/attention.h"
#include "mpar/convolution.h"
#ifdef __CUDACC__
#include "mpar/cuda.h"
#endif
#include "mpar/device.h"
#include "mpar/errors.h"
#include "mpar/indexing.h"
#include "mpar/linear.h"
#include "mpar/loss_scaling.h"
#include "mpar/low_precision.h"
#include "mpar/map.h"
#include "mpar/model.h"
#include "mpar/normalize.h"
#include "mpar/optimizer.h"
#include "mpar/part.h"
#include "mpar/pool.h"
#include "mpar/reduce.h"
#include "mpar/replicas.h"
#include "mpar/scalar.h"
#include "mpar/shape.h"
