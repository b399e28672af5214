// NCCL, as far as it is used: loaded where several processes have GPUs, so that programs which run
// as one need it neither to be built nor to begin.
#pragma once

#ifdef MPAR_NCCL
#include <nccl.h>

#include <string>

namespace mpar::cuda {

struct NcclLibrary {
  decltype(&ncclGetUniqueId) get_unique_id;
  decltype(&ncclCommInitRankConfig) init_rank;
  decltype(&ncclCommFinalize) finalize;
  decltype(&ncclCommDestroy) destroy;
  decltype(&ncclCommAbort) abort;
  decltype(&ncclCommGetAsyncError) get_async_error;
  decltype(&ncclMemAlloc) allocate;
  decltype(&ncclMemFree) release;
  decltype(&ncclCommRegister) register_memory;
  decltype(&ncclCommDeregister) deregister_memory;
  decltype(&ncclSend) send;
  decltype(&ncclRecv) receive;
  decltype(&ncclGroupStart) group_start;
  decltype(&ncclGroupEnd) group_end;
  decltype(&ncclGetErrorString) error_string;
  decltype(&ncclGetLastError) last_error;
  decltype(&ncclGetVersion) get_version;
};

/// Loads it when it is first asked for. Fails, in one line, where it is not there or too old.
const NcclLibrary &nccl();

} // namespace mpar::cuda
#endif
