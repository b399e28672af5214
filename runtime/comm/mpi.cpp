// Messages over MPI. A module of its own, which programs load where they were started by MPI: one
// that was not neither needs it nor waits for it to begin.
//
// Several threads may have messages, but only one at a time is in MPI (MPI_THREAD_SERIALIZED, by a
// lock): no call blocks, so that nothing is gained by more, and every MPI has that level.
#include "mpar/transport.h"

#include <mpi.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace mpar {
namespace {

/// Fails with MPI's own words.
void check(int error, const char *call) {
  if (error == MPI_SUCCESS)
    return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  throw std::runtime_error(std::string(call) + ": " +
                           std::string(text, static_cast<size_t>(length)));
}

/// MPI counts in int: what is longer goes in pieces.
constexpr int64_t longest_piece = int64_t(1) << 30;

struct MpiMessage final : Transport::Message {
  explicit MpiMessage(std::mutex &mutex) : mutex(mutex) {}
  ~MpiMessage() override {
    if (requests.empty())
      return;
    const std::lock_guard lock(mutex);
    for (MPI_Request &request : requests)
      if (request != MPI_REQUEST_NULL) {
        MPI_Cancel(&request);
        MPI_Request_free(&request);
      }
  }
  std::mutex &mutex;
  std::vector<MPI_Request> requests;
};

class MpiTransport final : public Transport {
public:
  MpiTransport() {
    int provided = MPI_THREAD_SINGLE;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_SERIALIZED)
      throw std::runtime_error("this MPI is not for programs of several threads");
    check(MPI_Comm_dup(MPI_COMM_WORLD, &communicator_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(communicator_, &rank_);
    MPI_Comm_size(communicator_, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Message> send(int peer, int channel, const void *data, int64_t bytes) override {
    return move(bytes, [&](int64_t at, int count, MPI_Request *request) {
      check((synchronous_ ? MPI_Issend : MPI_Isend)(static_cast<const char *>(data) + at, count,
                                                    MPI_BYTE, peer, channel, communicator_,
                                                    request),
            "MPI_Isend");
    });
  }

  std::unique_ptr<Message> receive(int peer, int channel, void *data, int64_t bytes) override {
    return move(bytes, [&](int64_t at, int count, MPI_Request *request) {
      check(MPI_Irecv(static_cast<char *>(data) + at, count, MPI_BYTE, peer, channel, communicator_,
                      request),
            "MPI_Irecv");
    });
  }

  bool test(Message &message) override {
    auto &own = static_cast<MpiMessage &>(message);
    const std::lock_guard lock(mutex_);
    int over = 0;
    check(MPI_Testall(static_cast<int>(own.requests.size()), own.requests.data(), &over,
                      MPI_STATUSES_IGNORE),
          "MPI_Testall");
    if (over)
      own.requests.clear();
    return over;
  }

  void close() override {
    const std::lock_guard lock(mutex_);
    MPI_Comm_free(&communicator_);
    check(MPI_Finalize(), "MPI_Finalize");
  }

private:
  template <typename Begin> std::unique_ptr<Message> move(int64_t bytes, const Begin &begin) {
    const std::lock_guard lock(mutex_);
    auto message = std::make_unique<MpiMessage>(mutex_);
    int64_t at = 0;
    do {
      const int64_t count = std::min(bytes - at, longest_piece);
      begin(at, static_cast<int>(count), &message->requests.emplace_back());
      at += count;
    } while (at < bytes);
    return message;
  }

  /// For tests: no message is kept anywhere, a send is over when its receive has begun.
  const bool synchronous_ = std::getenv("MPAR_MPI_SYNCHRONOUS") != nullptr;
  std::mutex mutex_;
  MPI_Comm communicator_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
};

} // namespace
} // namespace mpar

/// What the runtime looks for in the module.
extern "C" mpar::Transport *mpar_open_mpi() { return new mpar::MpiTransport(); }
