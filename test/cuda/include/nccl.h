// NCCL without a GPU: what mparc's runtime uses of it, between real processes of one machine.
//
// Messages are what streams carry out: one of them is over when both its sides have come. As in
// NCCL, what a communicator is given goes on in the order in which it was issued, on whatever
// streams; only what is issued as a group goes on at once. Sides that do not fit together (other
// sizes, other types, one of them captured in a graph and the other not, two ranks that wait for
// one another) end the process with a line that says what, where NCCL would hang or overrun. So do
// messages of memory that is not registered, where other memory is.
//
// `MPAR_EMULATED_NCCL_LOG`: a file, to which ".RANK" is added, with a line for all that is issued
// at once. `MPAR_EMULATED_NCCL_DEAF`: a rank that has ended is not noticed, as NCCL may not.
// `MPAR_EMULATED_FAILURE` (see cuda_runtime.h) knows calls of NCCL's, too, and its error numbers.
#pragma once

#include <cuda_runtime.h>

#include <climits>
#include <cstddef>

#define NCCL_MAJOR 2
#define NCCL_MINOR 28
#define NCCL_PATCH 9
#define NCCL_VERSION(major, minor, patch) ((major) * 10000 + (minor) * 100 + (patch))
#define NCCL_VERSION_CODE NCCL_VERSION(NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH)
#define NCCL_UNIQUE_ID_BYTES 128

namespace emulation {
struct Communicator;
}
using ncclComm_t = emulation::Communicator *;

struct ncclUniqueId {
  char internal[NCCL_UNIQUE_ID_BYTES];
};

enum ncclResult_t {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7
};

enum ncclDataType_t {
  ncclInt8 = 0,
  ncclUint8 = 1,
  ncclInt32 = 2,
  ncclUint32 = 3,
  ncclInt64 = 4,
  ncclUint64 = 5,
  ncclFloat16 = 6,
  ncclFloat32 = 7,
  ncclFloat64 = 8,
  ncclBfloat16 = 9
};

struct ncclConfig_t {
  int blocking;
};
#define NCCL_CONFIG_INITIALIZER {INT_MIN}

extern "C" {
ncclResult_t ncclGetVersion(int *version);
ncclResult_t ncclGetUniqueId(ncclUniqueId *id);
ncclResult_t ncclCommInitRankConfig(ncclComm_t *communicator, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config);
ncclResult_t ncclCommFinalize(ncclComm_t communicator);
ncclResult_t ncclCommDestroy(ncclComm_t communicator);
ncclResult_t ncclCommAbort(ncclComm_t communicator);
ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t *error);
ncclResult_t ncclMemAlloc(void **memory, size_t bytes);
ncclResult_t ncclMemFree(void *memory);
ncclResult_t ncclCommRegister(const ncclComm_t communicator, void *memory, size_t bytes,
                              void **handle);
ncclResult_t ncclCommDeregister(const ncclComm_t communicator, void *handle);
ncclResult_t ncclSend(const void *data, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t communicator, cudaStream_t stream);
ncclResult_t ncclRecv(void *data, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t communicator, cudaStream_t stream);
ncclResult_t ncclGroupStart();
ncclResult_t ncclGroupEnd();
const char *ncclGetErrorString(ncclResult_t result);
const char *ncclGetLastError(ncclComm_t communicator);
}
