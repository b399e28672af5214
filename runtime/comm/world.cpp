// What ranks tell one another beside the values of tensors, all of it in plain messages.
#include "mpar/world.h"

#include "../cpu/patience.h"
#include "communicator.h"
#include "mpar/device.h"
#include "mpar/errors.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

namespace mpar {
namespace {

// Channels below those of devices.
constexpr int control_channel = 0, common_channel = 1;
// Looking is a call of the transport, and ranks may be more than cores.
constexpr int looks = 100;
// Seconds, for who listens at all.
constexpr double long_enough = 1;

} // namespace

/// How one rank tells another that it ends.
struct World::Control {
  enum Kind : int32_t {
    leave,
    failed,
    lost,
    stalled,
    yielded, // to one that has stalled
  };
  struct Notice {
    int32_t kind;
    int32_t rank;
  };

  std::mutex mutex;
  std::vector<Notice> notices; // by rank; memory of `receives`
  std::vector<std::unique_ptr<Transport::Message>> receives;
  bool stopping = false;
  bool said = false; // why this rank ends
};

/// A rank has waited too long, and says what for: so do all.
struct World::Stalled {
  int rank;
};

World::World(std::unique_ptr<Transport> transport, double timeout)
    : transport_(std::move(transport)), rank_(transport_->rank()), size_(transport_->size()),
      local_rank_(rank_), timeout_(timeout), control_(std::make_unique<Control>()) {
  control_->notices.resize(size_);
  control_->receives.resize(size_);
  for (int peer = 0; peer < size_; ++peer)
    if (peer != rank_)
      control_->receives[peer] = transport_->receive(
          peer, control_channel, &control_->notices[peer], sizeof(Control::Notice));
}

World::~World() = default;

Process World::process() const { return {size_, rank_, local_rank_}; }

void World::set_communicator(std::unique_ptr<Communicator> communicator) {
  communicator_ = std::move(communicator);
}

Errand *&World::errand() {
  static thread_local Errand *current = nullptr;
  return current;
}

void World::look_for_stops() {
  const std::lock_guard lock(control_->mutex);
  for (int peer = 0; peer < size_; ++peer) {
    std::unique_ptr<Transport::Message> &receive = control_->receives[peer];
    if (!receive || !transport_->test(*receive))
      continue;
    receive.reset();
    const Control::Notice notice = control_->notices[peer];
    if (notice.kind == Control::failed)
      throw Stopped();
    if (notice.kind == Control::stalled)
      throw Stalled{peer};
    if (notice.kind == Control::lost && notice.rank != rank_)
      throw PeerLost(notice.rank, "ended");
  }
}

std::string World::place() const {
  if (const Errand *errand = World::errand())
    return ", at " + describe_turn(*errand->schedule, *errand->turn) + ", device " +
           std::to_string(errand->schedule->stages[errand->turn->stage].device);
  return std::string(" ") + activity_;
}

void World::wait(Transport::Message &message, int peer) {
  wait_until([&] { return transport_->test(message); },
             [&] { return "for rank " + std::to_string(peer) + place(); });
}

void World::wait_until(const std::function<bool()> &done,
                       const std::function<std::string()> &what) {
  try {
    wait_or_fail(done, what);
  } catch (...) {
    if (communicator_)
      communicator_->abort();
    throw;
  }
}

void World::wait_or_fail(const std::function<bool()> &done,
                         const std::function<std::string()> &what) {
  Patience patience(looks);
  try {
    while (!done()) {
      const Errand *errand = World::errand();
      if (errand && errand->given_up && errand->given_up())
        throw Stopped();
      patience.wait();
      if (patience.spinning())
        continue;
      look_for_stops();
      if (communicator_)
        communicator_->look();
      if (!patience.is_over(timeout_))
        continue;
      give_up(Control::stalled, -1, "has waited " + seconds_text(timeout_) + " s " + what());
    }
  } catch (const Stalled &stalled) {
    give_up(Control::yielded, -1,
            "was waiting " + what() + ", when rank " + std::to_string(stalled.rank) + " gave up");
  } catch (const PeerLost &lost) {
    fail_without(lost.peer, what());
  }
}

void World::fail_without(int lost, const std::string &what) {
  give_up(Control::lost, lost,
          "rank " + std::to_string(lost) + " has ended; this rank was waiting " + what);
}

void World::give_up(int32_t kind, int lost, const std::string &why) {
  say(why);
  notify(kind, lost, long_enough);
  fail(why);
}

void World::say(const std::string &message) {
  {
    const std::lock_guard lock(control_->mutex);
    if (std::exchange(control_->said, true))
      return;
  }
  if (speaker_)
    speaker_(message);
}

std::unique_ptr<Transport::Message> World::begin(bool sends, int peer, int channel, void *data,
                                                 int64_t bytes) {
  try {
    return sends ? transport_->send(peer, channel, data, bytes)
                 : transport_->receive(peer, channel, data, bytes);
  } catch (const PeerLost &lost) {
    fail_without(lost.peer, "for rank " + std::to_string(peer) + place());
  }
}

void World::send(int peer, int channel, const void *data, int64_t bytes) {
  std::unique_ptr<Transport::Message> message =
      begin(/*sends=*/true, peer, channel, const_cast<void *>(data), bytes);
  if (Errand *errand = World::errand())
    errand->sent.push_back(std::move(message));
  else
    wait(*message, peer);
}

void World::receive(int peer, int channel, void *data, int64_t bytes) {
  const std::unique_ptr<Transport::Message> message =
      begin(/*sends=*/false, peer, channel, data, bytes);
  wait(*message, peer);
}

void World::broadcast(int root, void *data, int64_t bytes) {
  if (rank_ != root)
    return receive(root, common_channel, data, bytes);
  std::vector<std::unique_ptr<Transport::Message>> sent(size_);
  for (int peer = 0; peer < size_; ++peer)
    if (peer != root)
      sent[peer] = begin(/*sends=*/true, peer, common_channel, data, bytes);
  for (int peer = 0; peer < size_; ++peer)
    if (sent[peer])
      wait(*sent[peer], peer);
}

std::vector<std::string> World::gather(const std::string &text) {
  if (rank_ > 0) {
    const auto bytes = static_cast<int64_t>(text.size());
    send(0, common_channel, &bytes, sizeof bytes);
    send(0, common_channel, text.data(), bytes);
    return {};
  }
  std::vector<std::string> texts{text};
  for (int peer = 1; peer < size_; ++peer) {
    int64_t bytes = 0;
    receive(peer, common_channel, &bytes, sizeof bytes);
    std::string &theirs = texts.emplace_back(static_cast<size_t>(bytes), '\0');
    receive(peer, common_channel, theirs.data(), bytes);
  }
  return texts;
}

void World::barrier() {
  gather("");
  char done = 0;
  broadcast(0, &done, 1);
}

void World::together(const std::function<void()> &work, const std::function<void()> &undo) {
  std::exception_ptr thrown;
  try {
    work();
  } catch (const Stopped &) {
    throw;
  } catch (...) {
    thrown = std::current_exception();
  }
  // The lowest rank that has failed is the one to speak.
  int speaker = -1;
  try {
    const std::vector<std::string> failed = gather(thrown ? "failed" : "");
    for (size_t rank = failed.size(); rank-- > 0;)
      if (!failed[rank].empty())
        speaker = static_cast<int>(rank);
    broadcast(0, &speaker, sizeof speaker);
  } catch (const Stopped &) { // the speaker was faster
    if (undo)
      undo();
    throw;
  }
  if (speaker < 0)
    return;
  if (undo)
    undo();
  if (speaker == rank_)
    std::rethrow_exception(thrown);
  throw Stopped();
}

void World::notify(int32_t kind, int rank, double seconds) {
  {
    const std::lock_guard lock(control_->mutex);
    if (control_->stopping)
      return;
    control_->stopping = true;
  }
  // All hear of it before any is waited for: a launcher ends all ranks when one has ended.
  const Control::Notice notice{kind, rank};
  std::vector<std::unique_ptr<Transport::Message>> sent(size_);
  for (int peer = 0; peer < size_; ++peer)
    if (peer != rank_ && peer != rank)
      try {
        sent[peer] = transport_->send(peer, control_channel, &notice, sizeof notice);
      } catch (const std::exception &) {
        continue; // it has ended already
      }
  // Until each has said that it ends, too, which it does once it has said why.
  const auto is_over = [&](int peer) {
    if (!sent[peer])
      return true;
    try {
      const std::lock_guard lock(control_->mutex);
      const std::unique_ptr<Transport::Message> &answer = control_->receives[peer];
      return transport_->test(*sent[peer]) &&
             (kind == Control::leave || !answer || transport_->test(*answer));
    } catch (const std::exception &) {
      return true;
    }
  };
  Patience patience(looks);
  for (int peer = 0; peer < size_; ++peer)
    while (!is_over(peer) && !patience.is_over(seconds))
      patience.wait();
}

void World::stop_others(int lost) {
  notify(lost < 0 ? Control::failed : Control::lost, lost, long_enough);
}

void World::acknowledge() {
  constexpr double a_moment = 0.2;
  notify(Control::leave, -1, a_moment);
}

void World::close() {
  const Control::Notice notice{Control::leave, rank_};
  set_activity("at the end");
  if (communicator_)
    communicator_->close();
  communicator_.reset();
  std::vector<std::unique_ptr<Transport::Message>> sent(size_);
  for (int peer = 0; peer < size_; ++peer)
    if (peer != rank_)
      sent[peer] = begin(/*sends=*/true, peer, control_channel,
                         const_cast<Control::Notice *>(&notice), sizeof notice);
  for (int peer = 0; peer < size_; ++peer) {
    if (peer == rank_)
      continue;
    wait(*sent[peer], peer);
    // Looking for stops, on the way, may have seen it already.
    const std::unique_ptr<Transport::Message> notice_of_peer = std::move(control_->receives[peer]);
    if (notice_of_peer)
      wait(*notice_of_peer, peer);
    if (notice_of_peer && control_->notices[peer].kind != Control::leave)
      throw Stopped();
  }
  transport_->close();
}

std::unique_ptr<World> open_world(const Launch &launch, double timeout) {
  try {
    auto world = std::make_unique<World>(
        launch.kind == Launch::Kind::mpi ? open_mpi() : open_tcp(launch, timeout), timeout);
    world->set_local_rank(launch.local_rank);
    return world;
  } catch (const Error &) {
    throw;
  } catch (const std::runtime_error &error) {
    fail(error.what());
  }
}

} // namespace mpar
