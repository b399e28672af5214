// The processes of a run: how they are found, what they tell one another, and how all of them end.
#pragma once

#include "mpar/schedule.h"
#include "mpar/transport.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mpar {

class Communicator;
struct Process;

/// Ends this process after another one has said why: nothing more is to be printed.
class Stopped : public std::exception {
public:
  const char *what() const noexcept override { return "another rank has failed"; }
};

/// What the thread at hand carries out, for what it sends: a turn, on behalf of a device of this
/// rank.
struct Errand {
  const Schedule *schedule;
  const Turn *turn;
  int device;
  /// What has been begun to be sent, and is to be waited for before the memory changes.
  std::vector<std::unique_ptr<Transport::Message>> sent;
  /// Whether the step is to end, as another thread has failed.
  std::function<bool()> given_up;
};

/// One process's view of all. Messages may be sent and received by several threads at once, as far
/// as they are on different channels; all else by one thread, and by all ranks in the same order.
class World {
public:
  /// `timeout`: seconds that a rank waits for another; see Workers.
  World(std::unique_ptr<Transport> transport, double timeout);
  World(const World &) = delete;
  World &operator=(const World &) = delete;
  ~World();

  int rank() const { return rank_; }
  int size() const { return size_; }
  void set_timeout(double seconds) { timeout_ = seconds; }
  /// Which this process is of those of its machine.
  void set_local_rank(int rank) { local_rank_ = rank; }
  Process process() const;
  /// What ranks wait for outside of turns, for messages: "with the loss".
  void set_activity(const char *activity) { activity_ = activity; }

  /// Sends to another rank. Within an errand it goes on at once and the errand keeps the message;
  /// else returns when it is over.
  void send(int peer, int channel, const void *data, int64_t bytes);
  /// Returns when the bytes are there.
  void receive(int peer, int channel, void *data, int64_t bytes);
  /// Waits until messages are over. Throws Error, naming what is waited for, after the timeout and
  /// where the peer has ended; Stopped where another rank has failed and said so.
  void wait(Transport::Message &message, int peer);
  /// The same of anything else: returns once done() is true. `what`: who is waited for, and where.
  void wait_until(const std::function<bool()> &done, const std::function<std::string()> &what);
  /// What the calling thread is at: ", at forward_on_0 of microbatch 2, device 0".
  std::string place() const;

  /// What carries messages between GPUs; null: there is none. It is aborted when waiting fails, so
  /// that what GPUs still have to do comes to its end.
  Communicator *communicator() const { return communicator_.get(); }
  void set_communicator(std::unique_ptr<Communicator> communicator);

  /// Gives all ranks what `root` has.
  void broadcast(int root, void *data, int64_t bytes);
  /// All ranks' texts, by rank, on rank 0; elsewhere nothing.
  std::vector<std::string> gather(const std::string &text);
  /// Returns when all ranks have called it.
  void barrier();
  /// Whether all ranks succeed at `work`: where one throws, it throws on there, and Stopped at the
  /// others; before that, `undo` is called everywhere.
  void together(const std::function<void()> &work, const std::function<void()> &undo = {});

  /// The channel on which clocks are compared.
  static constexpr int clock_channel = 2;
  /// Channels of messages between devices, numbered as in the program of all replicas.
  static int channel(int from, int to, int devices) { return 16 + from * devices + to; }

  /// Who prints why this rank ends: it, before the others hear that it does, since a launcher ends
  /// all ranks once one of them has ended. May be called on any thread.
  void set_speaker(std::function<void(const std::string &)> speaker) {
    speaker_ = std::move(speaker);
  }
  /// Says why this rank ends, unless that has been said.
  void say(const std::string &message);
  /// Tells the others to end: this rank has said why or, with `lost`, the rank that has ended.
  void stop_others(int lost = -1);
  /// Tells the others that this rank has seen that it is to end, and is about to.
  void acknowledge();
  /// Takes leave after all has been done.
  void close();

  /// The errand of the calling thread; null: none.
  static Errand *&errand();

private:
  void look_for_stops();
  /// Sends how this rank ends to all but `rank`, and waits so long, at most, for their answers.
  void notify(int32_t kind, int rank, double seconds);
  void wait_or_fail(const std::function<bool()> &done, const std::function<std::string()> &what);
  /// Says why, tells the others how this rank ends, and throws Error.
  [[noreturn]] void give_up(int32_t kind, int lost, const std::string &why);
  [[noreturn]] void fail_without(int lost, const std::string &what);
  std::unique_ptr<Transport::Message> begin(bool sends, int peer, int channel, void *data,
                                            int64_t bytes);

  std::unique_ptr<Transport> transport_;
  int rank_;
  int size_;
  int local_rank_;
  double timeout_;
  std::unique_ptr<Communicator> communicator_;
  std::function<void(const std::string &)> speaker_;
  const char *activity_ = "at the start";
  struct Control;
  struct Stalled;
  std::unique_ptr<Control> control_;
};

/// How this process was started, as far as its environment says.
struct Launch {
  enum class Kind { alone, mpi, tcp };
  Kind kind = Kind::alone;
  int rank = 0;
  int size = 1;
  std::string address; // tcp: where rank 0 listens
  int port = 0;
  std::string run;    // tcp: what tells this run from others
  int local_rank = 0; // of those on this machine
};

/// Looks at the variables of Open MPI's mpirun, of torchrun and of Slurm. Fails where they
/// contradict one another.
Launch find_launch();

/// Joins the other processes. Fails where they are not all there within `timeout` seconds.
std::unique_ptr<World> open_world(const Launch &launch, double timeout);

/// Messages over TCP: every rank is connected with every other.
std::unique_ptr<Transport> open_tcp(const Launch &launch, double timeout);
/// Over MPI, of the module that the runtime was built with.
std::unique_ptr<Transport> open_mpi();

} // namespace mpar
