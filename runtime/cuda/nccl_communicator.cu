// NCCL's calls: each is checked, and none is waited in for another rank.
#include "nccl_communicator.h"

#include "mpar/errors.h"

#include <chrono>
#include <cstring>
#include <utility>

namespace mpar::cuda {

#ifdef MPAR_NCCL
namespace {

const char *name_of(ncclResult_t result) {
  switch (result) {
  case ncclUnhandledCudaError:
    return "ncclUnhandledCudaError";
  case ncclSystemError:
    return "ncclSystemError";
  case ncclInternalError:
    return "ncclInternalError";
  case ncclInvalidArgument:
    return "ncclInvalidArgument";
  case ncclInvalidUsage:
    return "ncclInvalidUsage";
  case ncclRemoteError:
    return "ncclRemoteError";
  default:
    return "an error of no name";
  }
}

const char *hint_for(ncclResult_t result) {
  return result == ncclSystemError || result == ncclUnhandledCudaError || result == ncclRemoteError
             ? "; NCCL_DEBUG=WARN has it say more"
             : "";
}

bool has_nccl() {
  try {
    nccl();
    return true;
  } catch (const Error &) {
    return false;
  }
}

/// The bytes in which NCCL keeps what it tells ranks to meet by.
ncclUniqueId id_of(const std::string &meeting) {
  ncclUniqueId id;
  std::memcpy(&id, meeting.data(), sizeof id);
  return id;
}

[[noreturn]] void fail_with(ncclResult_t result, const char *call, const char *file, int line) {
  const std::string path = file, words = nccl().last_error(nullptr);
  fail(std::string(call) + " failed (" + path.substr(path.rfind('/') + 1) + ":" +
       std::to_string(line) + "): " + nccl().error_string(result) + " (" + name_of(result) + ")" +
       (words.empty() ? "" : ": " + words) + hint_for(result));
}

/// Of calls that have nothing to do with other ranks.
void check_alone(ncclResult_t result, const char *call, const char *file = __builtin_FILE(),
                 int line = __builtin_LINE()) {
  if (result != ncclSuccess)
    fail_with(result, call, file, line);
}

} // namespace

NcclCommunicator::NcclCommunicator(CudaBackend &backend, World &world, const std::string &meeting)
    : backend_(backend), world_(world) {
  backend_.use();
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  try {
    const ncclResult_t result =
        nccl().init_rank(&communicator_, world.size(), id_of(meeting), world.rank(), &config);
    check(result, "ncclCommInitRankConfig");
    register_memory(backend_.message_room(), Backend::message_bytes);
  } catch (...) {
    abort();
    throw;
  }
  backend_.set_communicator(this);
}

NcclCommunicator::~NcclCommunicator() {
  backend_.set_communicator(nullptr);
  abort();
}

void NcclCommunicator::refuse(ncclResult_t result, const char *call, const char *file, int line) {
  is_refusing_ = true;
  // Another rank that has ended, or says why it is about to, says more than NCCL can.
  if (result == ncclRemoteError || result == ncclSystemError) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point until = Clock::now() + std::chrono::seconds(1);
    world_.wait_until([&] { return Clock::now() > until; },
                      [&] { return "for " + backend_.name() + world_.place(); });
  }
  fail_with(result, call, file, line);
}

void NcclCommunicator::check(ncclResult_t result, const char *call, const char *file, int line) {
  if (result == ncclInProgress && !in_group_) {
    world_.wait_until(
        [&] {
          if (nccl().get_async_error(communicator_, &result) != ncclSuccess)
            fail(std::string("ncclCommGetAsyncError failed after ") + call);
          return result != ncclInProgress;
        },
        [&] { return "for " + backend_.name() + " in " + call + world_.place(); });
  }
  if (result != ncclSuccess && result != ncclInProgress)
    refuse(result, call, file, line);
}

void NcclCommunicator::send(int rank, const void *data, int64_t bytes) {
  if (bytes == 0)
    return;
  backend_.use();
  check(nccl().send(data, static_cast<size_t>(bytes), ncclUint8, rank, communicator_,
                    backend_.queue().copies),
        "ncclSend");
}

void NcclCommunicator::receive(int rank, void *data, int64_t bytes) {
  if (bytes == 0)
    return;
  backend_.use();
  check(nccl().receive(data, static_cast<size_t>(bytes), ncclUint8, rank, communicator_,
                       backend_.queue().copies),
        "ncclRecv");
}

void NcclCommunicator::begin_group() {
  check(nccl().group_start(), "ncclGroupStart");
  in_group_ = true;
}

void NcclCommunicator::end_group() {
  in_group_ = false;
  check(nccl().group_end(), "ncclGroupEnd");
}

void NcclCommunicator::register_memory(void *memory, int64_t bytes) {
  if (bytes == 0 || registered_.count(memory) > 0)
    return;
  backend_.use();
  void *handle = nullptr;
  check(nccl().register_memory(communicator_, memory, static_cast<size_t>(bytes), &handle),
        "ncclCommRegister");
  registered_[memory] = handle;
}

void NcclCommunicator::forget_memory(void *memory) noexcept {
  const auto found = registered_.find(memory);
  if (found == registered_.end())
    return;
  if (communicator_ && found->second)
    static_cast<void>(nccl().deregister_memory(communicator_, found->second));
  registered_.erase(found);
}

void NcclCommunicator::look() {
  if (is_refusing_)
    return;
  if (is_aborted_)
    fail("messages between GPUs after they were given up");
  ncclResult_t result = ncclSuccess;
  const ncclResult_t status = nccl().get_async_error(communicator_, &result);
  if (status != ncclSuccess)
    refuse(status, "ncclCommGetAsyncError", __FILE__, __LINE__);
  if (result != ncclSuccess && result != ncclInProgress)
    refuse(result, "a message between GPUs", __FILE__, __LINE__);
}

void NcclCommunicator::wait_until(const std::function<bool()> &done) {
  if (is_aborted_) { // what is left needs no other rank
    while (!done())
      ;
    return;
  }
  look();
  world_.wait_until(done, [&] { return "for " + backend_.name() + world_.place(); });
}

void NcclCommunicator::close() {
  if (!communicator_)
    return;
  forget_memory(backend_.message_room());
  check(nccl().finalize(communicator_), "ncclCommFinalize");
  const ncclResult_t result = nccl().destroy(std::exchange(communicator_, nullptr));
  if (result != ncclSuccess && result != ncclInProgress)
    refuse(result, "ncclCommDestroy", __FILE__, __LINE__);
}

void NcclCommunicator::abort() noexcept {
  is_aborted_ = true;
  if (communicator_)
    static_cast<void>(nccl().abort(std::exchange(communicator_, nullptr)));
}

// NCCL gives memory that is mapped for other GPUs of the machine, too, which messages between them
// need to be read and written in place: what cudaMalloc gives can be so for those of a network
// only.
void *CudaBackend::allocate_for_messages(int64_t bytes) {
  if (bytes == 0)
    return nullptr;
  if (!has_nccl()) // which is said where ranks join, after what keeps them from it anywhere
    return allocate(bytes);
  use();
  void *memory = nullptr;
  check_alone(nccl().allocate(&memory, static_cast<size_t>(bytes)), "ncclMemAlloc");
  of_nccl_.insert(memory);
  zero(memory, bytes);
  return memory;
}

void CudaBackend::release_of_nccl(void *memory) noexcept {
  static_cast<void>(nccl().release(memory));
}

std::string CudaBackend::make_meeting() {
  ncclUniqueId id;
  check_alone(nccl().get_unique_id(&id), "ncclGetUniqueId");
  std::string meeting(sizeof id, '\0');
  std::memcpy(meeting.data(), &id, sizeof id);
  return meeting;
}

std::unique_ptr<Communicator> CudaBackend::join(World &world, const std::string &meeting) {
  return std::make_unique<NcclCommunicator>(*this, world, meeting);
}

void CudaBackend::wait_for(cudaStream_t stream) {
  if (!communicator_) {
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    return;
  }
  communicator_->wait_until([&] {
    const cudaError_t status = cudaStreamQuery(stream);
    if (status == cudaErrorNotReady)
      return false;
    check(status, "cudaStreamQuery");
    return true;
  });
}

#else // without NCCL

static constexpr char without[] =
    "this program was built without NCCL, which ranks on GPUs need: its runtime is built with it "
    "where CMake finds nccl.h";

// What keeps ranks from having a GPU each is said first, where they join: any memory does until
// then.
void *CudaBackend::allocate_for_messages(int64_t bytes) { return allocate(bytes); }

void CudaBackend::release_of_nccl(void *) noexcept {}

std::string CudaBackend::make_meeting() { fail(without); }

std::unique_ptr<Communicator> CudaBackend::join(World &, const std::string &) { fail(without); }

void CudaBackend::wait_for(cudaStream_t stream) {
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

#endif

} // namespace mpar::cuda
