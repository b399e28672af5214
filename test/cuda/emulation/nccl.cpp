// NCCL's calls.
#include <nccl.h>

#include "communicator.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <unistd.h>

namespace emulation {
namespace {

/// Sides that have been called since ncclGroupStart, or of one call alone.
struct Group {
  int depth = 0;
  Communicator *communicator = nullptr;
  std::vector<Side> sides;
};
Group &group() {
  static thread_local Group one;
  return one;
}

std::string &last_words() {
  static auto *words = new std::string;
  return *words;
}

ncclResult_t refuse(ncclResult_t result, const std::string &why) {
  last_words() = why;
  return result;
}

ncclResult_t injected_nccl(const char *call) {
  const auto result = static_cast<ncclResult_t>(injected(call));
  static_cast<void>(cudaGetLastError());
  return result == ncclSuccess ? result : refuse(result, std::string(call) + " is made to fail");
}

size_t size_of(ncclDataType_t type) {
  switch (type) {
  case ncclInt8:
  case ncclUint8:
    return 1;
  case ncclFloat16:
  case ncclBfloat16:
    return 2;
  case ncclInt32:
  case ncclUint32:
  case ncclFloat32:
    return 4;
  case ncclInt64:
  case ncclUint64:
  case ncclFloat64:
    return 8;
  }
  return 0;
}

ncclResult_t end_group() {
  Group &own = group();
  Communicator *const communicator = std::exchange(own.communicator, nullptr);
  std::vector<Side> sides = std::move(own.sides);
  own.sides.clear();
  if (!communicator || sides.empty())
    return ncclSuccess;
  // A call that does not block may return before it has issued anything.
  if (!communicator->blocking && random_numbers()() % 2 == 0) {
    communicator->late.push_back(std::move(sides));
    communicator->error = ncclInProgress;
    return ncclInProgress;
  }
  communicator->add(std::move(sides));
  return ncclSuccess;
}

bool is_registered(const Communicator &communicator, const Side &side) {
  for (const auto &[memory, bytes] : communicator.registered) {
    const auto *begin = static_cast<const unsigned char *>(memory);
    if (side.data >= begin && side.data + side.bytes <= begin + bytes)
      return true;
  }
  return false;
}

ncclResult_t add_side(Side side, ncclDataType_t type, Communicator *communicator) {
  side.bytes = side.count * size_of(type);
  if (!communicator || communicator->aborted || !communicator->open)
    return refuse(ncclInvalidArgument, "the communicator is not open");
  if (communicator->error == ncclInProgress)
    give_up("NCCL: a call while the one before is still in progress");
  if (side.peer < 0 || side.peer >= communicator->ranks)
    return refuse(ncclInvalidArgument, "there is no rank " + std::to_string(side.peer));
  if (side.peer == communicator->rank)
    give_up("NCCL: messages of a rank to itself are not emulated");
  int device = -1;
  if (!side.stream || stream_of(side.stream)->device != communicator->device)
    return refuse(ncclInvalidArgument, "the stream is another GPU's");
  if (side.bytes == 0)
    give_up("NCCL: a message of no bytes is not emulated");
  if (where_is(side.data, side.bytes, &device) != Where::device || device != communicator->device)
    return refuse(ncclInvalidArgument, "the memory is not the GPU's");
  if (!communicator->registered.empty() && !is_registered(*communicator, side))
    give_up("NCCL: a message of memory that is not registered, where other memory is");
  Group &own = group();
  if (own.communicator && own.communicator != communicator)
    give_up("NCCL: a group of several communicators is not emulated");
  if (!own.sides.empty() && own.sides.front().stream != side.stream)
    give_up("NCCL: a group on several streams is not emulated");
  own.communicator = communicator;
  own.sides.push_back(side);
  return own.depth > 0 ? ncclSuccess : end_group();
}

} // namespace
} // namespace emulation

using namespace emulation;

ncclResult_t ncclGetVersion(int *version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
  if (const ncclResult_t result = injected_nccl("ncclGetUniqueId"))
    return result;
  static int count = 0;
  std::memset(id, 0, sizeof *id);
  std::snprintf(id->internal, sizeof id->internal, "mpar-nccl-%d-%d", static_cast<int>(getpid()),
                count++);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *communicator, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
  const std::lock_guard lock(mutex());
  if (const ncclResult_t result = injected_nccl("ncclCommInitRankConfig"))
    return result;
  auto *made = new Communicator(id.internal, ranks, rank, current_device());
  made->blocking = !config || config->blocking != 0;
  *communicator = made;
  while (made->blocking && made->error == ncclInProgress) {
    made->poll();
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return made->error;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t *error) {
  const std::lock_guard lock(mutex());
  communicator->poll();
  // Time goes by: something is carried out, whether or not anyone waits for it.
  int left = 1;
  if (!is_capturing())
    carry_out([&left] { return left-- == 0; });
  *error = communicator->error;
  if (*error != ncclSuccess && *error != ncclInProgress)
    last_words() = communicator->words;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t communicator) {
  const std::lock_guard lock(mutex());
  if (const ncclResult_t result = injected_nccl("ncclCommFinalize"))
    return result;
  communicator->finalizing = true;
  return communicator->error = ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  const std::lock_guard lock(mutex());
  if (!communicator->units.empty())
    give_up("NCCL: a communicator is destroyed while messages are under way");
  delete communicator;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  const std::lock_guard lock(mutex());
  // What streams still have of it ends at once, whenever they come to it: it is never freed.
  communicator->aborted = true;
  communicator->units.clear();
  return ncclSuccess;
}

ncclResult_t ncclMemAlloc(void **memory, size_t bytes) {
  const std::lock_guard lock(mutex());
  if (const ncclResult_t result = injected_nccl("ncclMemAlloc"))
    return result;
  return allocate(memory, bytes) == cudaSuccess ? ncclSuccess
                                                : refuse(ncclUnhandledCudaError, "out of memory");
}

ncclResult_t ncclMemFree(void *memory) {
  return cudaFree(memory) == cudaSuccess ? ncclSuccess
                                         : refuse(ncclInvalidArgument, "it is not allocated");
}

ncclResult_t ncclCommRegister(const ncclComm_t communicator, void *memory, size_t bytes,
                              void **handle) {
  const std::lock_guard lock(mutex());
  if (const ncclResult_t result = injected_nccl("ncclCommRegister"))
    return result;
  if (where_is(memory, bytes) != Where::device ||
      !communicator->registered.emplace(memory, bytes).second)
    return refuse(ncclInvalidArgument, "memory of no GPU, or registered before");
  *handle = memory;
  return ncclSuccess;
}

ncclResult_t ncclCommDeregister(const ncclComm_t communicator, void *handle) {
  const std::lock_guard lock(mutex());
  return communicator->registered.erase(handle) == 1
             ? ncclSuccess
             : refuse(ncclInvalidArgument, "memory that is not registered");
}

ncclResult_t ncclSend(const void *data, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t communicator, cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const ncclResult_t result = injected_nccl("ncclSend"))
    return result;
  auto *bytes = const_cast<unsigned char *>(static_cast<const unsigned char *>(data));
  return add_side({true, peer, bytes, count, type, 0, stream}, type, communicator);
}

ncclResult_t ncclRecv(void *data, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t communicator, cudaStream_t stream) {
  const std::lock_guard lock(mutex());
  if (const ncclResult_t result = injected_nccl("ncclRecv"))
    return result;
  return add_side({false, peer, static_cast<unsigned char *>(data), count, type, 0, stream}, type,
                  communicator);
}

ncclResult_t ncclGroupStart() {
  ++group().depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  const std::lock_guard lock(mutex());
  if (group().depth == 0)
    return refuse(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  return --group().depth > 0 ? ncclSuccess : end_group();
}

const char *ncclGetErrorString(ncclResult_t result) {
  switch (result) {
  case ncclSuccess:
    return "no error";
  case ncclUnhandledCudaError:
    return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
  case ncclSystemError:
    return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
  case ncclInternalError:
    return "internal error - please report this issue to the NCCL developers";
  case ncclInvalidArgument:
    return "invalid argument (run with NCCL_DEBUG=WARN for details)";
  case ncclInvalidUsage:
    return "invalid usage (run with NCCL_DEBUG=WARN for details)";
  case ncclRemoteError:
    return "remote process exited or there was a network error";
  case ncclInProgress:
    return "NCCL operation in progress";
  }
  return "unknown result code";
}

const char *ncclGetLastError(ncclComm_t) { return last_words().c_str(); }
