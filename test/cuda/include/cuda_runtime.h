// CUDA's runtime without a GPU: what mparc's backend uses of it, for a host compiler.
//
// Blocks of a kernel run one after another, their threads as fibers. Streams are queues that
// nothing is carried out of before something waits; then all of them are, interleaved at random
// (`MPAR_EMULATION_SEED`), so that a wait that is missing shows. A GPU's memory begins as NaN and
// may be touched by nothing but what streams carry out. What real CUDA would refuse is refused with
// its error; what it would leave undefined ends the process with a line that says what.
//
// `MPAR_EMULATED_GPUS`: how many there are (1). `MPAR_EMULATED_GPU_BYTES`: the memory of each (4
// GiB). `MPAR_EMULATED_FAILURE`: "cudaMalloc:3:2" lets the third call of cudaMalloc return error 2,
// "cudaMalloc:0:2" each.
// `MPAR_EMULATED_HANG`: after so many operations nothing is carried out any more.
#pragma once

#define MPAR_CUDA_EMULATION 1
#ifndef __CUDACC__
#define __CUDACC__ 1
#endif
#define CUDART_VERSION 13000

#include "emulation/api.h"
#include "emulation/device.h"
#include "emulation/fragments.h"
