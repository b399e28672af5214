// What replicas do together. Those of one process read what they need where it lies; what others
// have they send, on behalf of the device that has it.
#include "mpar/replicas.h"

#include "backend.h"

#include "mpar/world.h"

#include "multiversion.h"
#include "parallel.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

namespace mpar {
namespace {

constexpr int64_t block = 1024; // elements that stay in the first cache while they are added up
constexpr int64_t collectives_grain = 1 << 14;

template <typename T> MPAR_INLINE void add_elements(int64_t count, const T *more, T *sum) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    sum[i] += more[i];
}

MPAR_MULTIVERSION void add_floats(int64_t count, const float *more, float *sum) {
  add_elements(count, more, sum);
}

MPAR_MULTIVERSION void add_integers(int64_t count, const int32_t *more, int32_t *sum) {
  add_elements(count, more, sum);
}

Range intersect(Range a, Range b) {
  const int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max(begin, std::min(a.end, b.end))};
}

/// The devices of one number of all replicas.
class Peers {
public:
  Peers(const BatchPart &part, const Device &device)
      : model_(part.model()), device_(device.index()),
        active_(static_cast<int>(std::min<int64_t>(part.batch_rows, model_.replicas()))) {}

  int own() const { return model_.replica_number(); }
  int count() const { return model_.replicas(); }
  /// Those with rows in this batch: the first ones.
  int active() const { return active_; }
  Device &operator[](int replica) const {
    return model_.replica(replica).machine().device(device_);
  }
  bool all_here() const { return !model_.world(); }
  bool have_gpus() const { return model_.has_gpus(); }
  /// Where the own device is another process's: the replica that has something to send to it.
  int sender() const { return World::errand()->device / model_.machine().count(); }
  /// Sends to the own device, as what `replica` has.
  void send(int replica, const void *data, int64_t bytes) const {
    const Seat &to = (*this)[own()].seat();
    if (have_gpus())
      communicator()->send(to.rank, data, bytes);
    else
      model_.world()->send(to.rank, channel(replica), data, bytes);
  }
  /// Receives on the own device what `replica` has.
  void receive(int replica, void *data, int64_t bytes) const {
    const Seat &from = (*this)[replica].seat();
    if (have_gpus())
      communicator()->receive(from.rank, data, bytes);
    else
      model_.world()->receive(from.rank, channel(replica), data, bytes);
  }
  /// Has what `body` receives on a GPU come at once.
  template <typename Body> void together(const Body &body) const {
    if (!communicator())
      return body();
    communicator()->begin_group();
    body();
    communicator()->end_group();
  }

private:
  Communicator *communicator() const {
    return model_.world() ? model_.world()->communicator() : nullptr;
  }
  int channel(int replica) const {
    const Seat &to = (*this)[own()].seat();
    return World::channel((*this)[replica].seat().number, to.number, to.devices);
  }

  const Model &model_;
  int device_;
  int active_;
};

/// Where pieces for several replicas lie side by side, each begins with a line of 256 bytes.
constexpr int64_t elements_of_a_line = 64;

int64_t round_up_piece(int64_t count) {
  return (count + elements_of_a_line - 1) / elements_of_a_line * elements_of_a_line;
}

template <typename T> void add(int64_t count, const T *more, T *sum) {
  if constexpr (std::is_same_v<T, float>)
    add_floats(count, more, sum);
  else
    add_integers(count, more, sum);
}

/// sum_over_replicas where some are other processes': a piece at a time, so that what is received
/// needs little memory beside the arena.
template <typename T, typename Place>
void sum_over_ranks(const Peers &peers, Range range, const Place &place) {
  constexpr int64_t piece = 1 << 16; // elements
  const Device &own = peers[peers.own()];
  const int64_t most = std::min(piece, range.end - range.begin);
  std::vector<T> sum(own.here() ? most : 0), more(own.here() ? most : 0);
  for (int64_t at = range.begin; at < range.end; at += piece) {
    const int64_t count = std::min(piece, range.end - at);
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    if (!own.here()) {
      if (peers.sender() < peers.active())
        peers.send(peers.sender(), place(peers[peers.sender()]) + at, bytes);
      continue;
    }
    for (int replica = 0; replica < peers.active(); ++replica) {
      const Device &peer = peers[replica];
      const T *values = peer.here() ? place(peer) + at : more.data();
      if (!peer.here())
        peers.receive(replica, more.data(), bytes);
      if (replica == 0)
        std::copy(values, values + count, sum.data());
      else
        add(count, values, sum.data());
    }
    std::copy(sum.data(), sum.data() + count, place(own) + at);
  }
}

/// Sums `count` elements of all replicas from `at` on in place on the own device, a GPU, which
/// first receives what other processes have. Issued on the lane of copies, beside computation.
template <typename T, typename Place>
void sum_received(const Peers &peers, int64_t at, int64_t count, const Place &place) {
  const Device &own = peers[peers.own()];
  Backend &gpu = *own.backend();
  const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
  T *const room = static_cast<T *>(gpu.message_room());
  std::vector<T *> values;
  peers.together([&] {
    for (int replica = 0; replica < peers.active(); ++replica) {
      const Device &peer = peers[replica];
      values.push_back(peer.here() ? place(peer) + at : room + replica * round_up_piece(count));
      if (!peer.here())
        peers.receive(replica, values.back(), bytes);
    }
  });
  // Ascending, and nothing moved that need not be: the sum so far goes to the own values where
  // these come, as a + b is b + a.
  T *const target = place(own) + at;
  T *sum = values.front();
  if (sum != target && peers[0].here()) { // which is to stay as it is
    gpu.copy(room, gpu, sum, bytes, Lane::copies);
    sum = room;
  }
  for (int replica = 1; replica < peers.active(); ++replica) {
    T *const more = values[static_cast<size_t>(replica)];
    if (more == target) {
      gpu.add(count, sum, target, Lane::copies);
      sum = target;
    } else {
      gpu.add(count, more, sum, Lane::copies);
    }
  }
  if (sum != target)
    gpu.copy(target, gpu, sum, bytes, Lane::copies);
}

/// sum_over_ranks where devices are GPUs.
template <typename T, typename Place>
void sum_over_ranks_with_gpus(const Peers &peers, Range range, const Place &place) {
  const int64_t piece = Backend::message_bytes / static_cast<int64_t>(sizeof(T)) / peers.active() /
                        elements_of_a_line * elements_of_a_line;
  for (int64_t at = range.begin; at < range.end; at += piece) {
    const int64_t count = std::min(piece, range.end - at);
    if (peers[peers.own()].here())
      sum_received<T>(peers, at, count, place);
    else if (peers.sender() < peers.active())
      peers.send(peers.sender(), place(peers[peers.sender()]) + at,
                 count * static_cast<int64_t>(sizeof(T)));
  }
}

/// Sums `count` elements of all replicas from `at` on in memory of the own device, a GPU.
template <typename T, typename Place>
void sum_on_gpu(const Peers &peers, int64_t at, int64_t count, const Place &place) {
  const Device &own = peers[peers.own()];
  Backend &gpu = *own.backend();
  const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
  T *const sum = static_cast<T *>(gpu.scratch());
  T *const more = sum + Backend::scratch_bytes / 2 / static_cast<int64_t>(sizeof(T));
  for (int replica = 0; replica < peers.active(); ++replica) {
    const Device &peer = peers[replica];
    const T *values = place(peer) + at;
    if (replica == 0) {
      copy_with_gpus(peer, values, own, sum, bytes);
      continue;
    }
    if (peer.backend() != &gpu) {
      copy_with_gpus(peer, values, own, more, bytes);
      values = more;
    }
    gpu.add(count, values, sum, Lane::compute);
  }
  copy_with_gpus(own, sum, own, place(own) + at, bytes);
}

/// sum_over_replicas where some are GPUs: a piece at a time.
template <typename T, typename Place>
void sum_with_gpus(const Peers &peers, Range range, const Place &place) {
  constexpr int64_t piece = Backend::scratch_bytes / 2 / static_cast<int64_t>(sizeof(T));
  const Device &own = peers[peers.own()];
  std::vector<T> sum, more;
  for (int64_t at = range.begin; at < range.end; at += piece) {
    const int64_t count = std::min(piece, range.end - at);
    if (own.backend()) {
      sum_on_gpu<T>(peers, at, count, place);
      continue;
    }
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    sum.resize(static_cast<size_t>(count));
    more.resize(static_cast<size_t>(count));
    for (int replica = 0; replica < peers.active(); ++replica) {
      const Device &peer = peers[replica];
      peer.read(replica == 0 ? sum.data() : more.data(), place(peer) + at, bytes);
      if (replica > 0)
        add(count, more.data(), sum.data());
    }
    std::copy(sum.begin(), sum.end(), place(own) + at);
  }
}

/// Sums [begin, end) of what `place` gives of each device, in place on the own one.
template <typename T, typename Place>
void sum_over_replicas(const Peers &peers, Range range, const Place &place) {
  Device &own = peers[peers.own()];
  if (range.begin >= range.end)
    return;
  if (!peers.all_here())
    return peers.have_gpus() ? sum_over_ranks_with_gpus<T>(peers, range, place)
                             : sum_over_ranks<T>(peers, range, place);
  if (peers.have_gpus())
    return sum_with_gpus<T>(peers, range, place);
  parallel_parts(own, range.end - range.begin, collectives_grain, [&](int64_t first, int64_t last) {
    T sum[block];
    for (int64_t at = range.begin + first; at < range.begin + last; at += block) {
      const int64_t count = std::min(block, range.begin + last - at);
      std::memcpy(sum, place(peers[0]) + at, count * sizeof(T));
      for (int replica = 1; replica < peers.active(); ++replica)
        add(count, place(peers[replica]) + at, sum);
      std::memcpy(place(own) + at, sum, count * sizeof(T));
    }
  });
}

/// Copies [begin, end) from the device of another replica.
template <typename T, typename Place>
void fetch(const Peers &peers, int replica, Range range, const Place &place) {
  if (range.begin >= range.end)
    return;
  const int64_t bytes = (range.end - range.begin) * static_cast<int64_t>(sizeof(T));
  const Device &own = peers[peers.own()], &peer = peers[replica];
  if (!own.here()) {
    if (replica == peers.sender())
      peers.send(replica, place(peer) + range.begin, bytes);
  } else if (!peer.here()) {
    peers.receive(replica, place(own) + range.begin, bytes);
  } else if (own.backend() || peer.backend()) {
    copy_with_gpus(peer, place(peer) + range.begin, own, place(own) + range.begin, bytes);
  } else {
    std::memcpy(place(own) + range.begin, place(peer) + range.begin, static_cast<size_t>(bytes));
  }
}

/// Of a range of the trained parameters, or their gradients, what a replica answers for.
Range trained_share(const Device &device, const Peers &peers, int replica, Range range) {
  return intersect(range,
                   share_of_floats(device.description().trained_floats, replica, peers.count()));
}

template <typename Place>
void gather_trained(const BatchPart &part, Device &device, Range range, const Place &place) {
  const Peers peers(part, device);
  peers.together([&] {
    for (int replica = 0; replica < peers.count(); ++replica)
      if (replica != peers.own())
        fetch<float>(peers, replica, trained_share(device, peers, replica, range), place);
  });
}

/// How far a value lies from where the region of constant size begins: as far on all replicas.
template <typename T> auto at_place(const Device &device, const T *values) {
  const int64_t offset = reinterpret_cast<const std::byte *>(values) - device.fixed<std::byte>(0);
  return [offset](const Device &other) { return other.fixed<T>(offset); };
}

template <typename T>
void reduce_scatter_fixed(const BatchPart &part, const Device &device, const T *values,
                          int64_t count) {
  const Peers peers(part, device);
  sum_over_replicas<T>(peers, share_of_floats(count, peers.own(), peers.count()),
                       at_place(device, values));
}

template <typename T>
void all_gather_fixed(const BatchPart &part, const Device &device, const T *values, int64_t count) {
  const Peers peers(part, device);
  peers.together([&] {
    for (int replica = 0; replica < peers.count(); ++replica)
      if (replica != peers.own())
        fetch<T>(peers, replica, share_of_floats(count, replica, peers.count()),
                 at_place(device, values));
  });
}

} // namespace

void reduce_scatter_gradients(const BatchPart &part, Device &device, int64_t first, int64_t count) {
  const Peers peers(part, device);
  sum_over_replicas<float>(peers, trained_share(device, peers, peers.own(), {first, first + count}),
                           [](const Device &each) { return each.gradients(); });
}

void all_gather_gradients(const BatchPart &part, Device &device, int64_t first, int64_t count) {
  gather_trained(part, device, {first, first + count},
                 [](const Device &each) { return each.gradients(); });
}

void all_gather_parameters(const BatchPart &part, Device &device, int64_t first, int64_t count) {
  gather_trained(part, device, {first, first + count},
                 [](const Device &each) { return each.parameters(); });
}

void reduce_scatter(const BatchPart &part, Device &device, float *values, int64_t count) {
  reduce_scatter_fixed(part, device, values, count);
}

void reduce_scatter(const BatchPart &part, Device &device, int32_t *values, int64_t count) {
  reduce_scatter_fixed(part, device, values, count);
}

void all_gather(const BatchPart &part, Device &device, float *values, int64_t count) {
  all_gather_fixed(part, device, values, count);
}

void all_gather(const BatchPart &part, Device &device, int32_t *values, int64_t count) {
  all_gather_fixed(part, device, values, count);
}

} // namespace mpar
