// Messages between GPUs of several processes, by NCCL.
#pragma once

#include "../communicator.h"
#include "cuda_backend.h"
#include "mpar/world.h"
#include "nccl_library.h"

#include <functional>
#include <map>
#include <string>

#ifdef MPAR_NCCL
namespace mpar::cuda {

/// All of it point to point: sums have an order of their own, which NCCL's would not keep. Its
/// calls do not block, so that a rank that does not come ends with the watchdog's line.
class NcclCommunicator final : public Communicator {
public:
  NcclCommunicator(CudaBackend &backend, World &world, const std::string &meeting);
  NcclCommunicator(const NcclCommunicator &) = delete;
  NcclCommunicator &operator=(const NcclCommunicator &) = delete;
  ~NcclCommunicator() override;
  void send(int rank, const void *data, int64_t bytes) override;
  void receive(int rank, void *data, int64_t bytes) override;
  void begin_group() override;
  void end_group() override;
  void register_memory(void *memory, int64_t bytes) override;
  void forget_memory(void *memory) noexcept override;
  void look() override;
  void close() override;
  void abort() noexcept override;

  /// Returns when done() is true; fails where NCCL or another rank has.
  void wait_until(const std::function<bool()> &done);

private:
  /// Fails where a call has; waits for one that is still in progress.
  void check(ncclResult_t result, const char *call, const char *file = __builtin_FILE(),
             int line = __builtin_LINE());
  [[noreturn]] void refuse(ncclResult_t result, const char *call, const char *file, int line);

  CudaBackend &backend_;
  World &world_;
  ncclComm_t communicator_ = nullptr; // null: none yet, or aborted
  bool is_aborted_ = false;
  bool in_group_ = false;
  bool is_refusing_ = false;            // something has gone wrong, and why is being found out
  std::map<void *, void *> registered_; // by where it begins: NCCL's handle
};

} // namespace mpar::cuda
#endif
