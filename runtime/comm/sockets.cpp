#include "sockets.h"

#include "mpar/errors.h"

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace mpar {
namespace {

using Clock = std::chrono::steady_clock;

/// What a rank says first on a connection.
struct Greeting {
  char what[16];
  int32_t rank;
  int32_t size;
  uint64_t run; // a number for the text that tells runs apart
  int32_t port; // where this rank listens; big-endian in `address` below
};

constexpr char kind[16] = "mparc-ranks-1";

struct Address {
  sockaddr_storage bytes;
  socklen_t length;
};

uint64_t hash(const std::string &text) {
  uint64_t value = 1469598103934665603u; // FNV-1a
  for (const char c : text)
    value = (value ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return value;
}

std::string error_text() { return std::strerror(errno); }

double seconds_left(Clock::time_point end) {
  return std::chrono::duration<double>(end - Clock::now()).count();
}

/// The addresses of a host, each with the port.
std::vector<Address> look_up(const std::string &host, int port) {
  addrinfo hints{}, *list = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0)
    fail("the address of rank 0, " + host + ", is not known: " + gai_strerror(error));
  std::vector<Address> addresses;
  for (const addrinfo *each = list; each; each = each->ai_next) {
    Address address{};
    std::memcpy(&address.bytes, each->ai_addr, each->ai_addrlen);
    address.length = each->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(list);
  return addresses;
}

void set_port(Address &address, int port) {
  if (address.bytes.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6 &>(address.bytes).sin6_port = htons(static_cast<uint16_t>(port));
  else
    reinterpret_cast<sockaddr_in &>(address.bytes).sin_port = htons(static_cast<uint16_t>(port));
}

int port_of(const Address &address) {
  return ntohs(address.bytes.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6 &>(address.bytes).sin6_port
                   : reinterpret_cast<const sockaddr_in &>(address.bytes).sin_port);
}

Address name_of(const Socket &socket, bool peer) {
  Address address{};
  address.length = sizeof address.bytes;
  auto *bytes = reinterpret_cast<sockaddr *>(&address.bytes);
  if ((peer ? getpeername : getsockname)(socket.get(), bytes, &address.length) != 0)
    fail("a connection between ranks is lost: " + error_text());
  return address;
}

/// Listens at an address; none where that is not this machine's or is taken.
Socket listen_at(const Address &address) {
  Socket listener(socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  if (!listener)
    return {};
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener.get(), reinterpret_cast<const sockaddr *>(&address.bytes), address.length) !=
          0 ||
      listen(listener.get(), SOMAXCONN) != 0)
    return {};
  return listener;
}

/// Reads or writes all of a small message of the beginning.
template <typename Move>
bool move_all(const Socket &socket, std::byte *data, size_t bytes, short event,
              Clock::time_point end, const Move &move) {
  for (size_t done = 0; done < bytes;) {
    pollfd polled{socket.get(), event, 0};
    const double left = seconds_left(end);
    if (left <= 0 || poll(&polled, 1, static_cast<int>(left * 1000) + 1) < 0)
      return false;
    const ssize_t moved = move(socket.get(), data + done, bytes - done);
    if (moved == 0 || (moved < 0 && errno != EINTR && errno != EAGAIN))
      return false;
    done += moved > 0 ? static_cast<size_t>(moved) : 0;
  }
  return true;
}

template <typename T>
bool read_all(const Socket &socket, T *values, size_t count, Clock::time_point end) {
  return move_all(
      socket, reinterpret_cast<std::byte *>(values), count * sizeof(T), POLLIN, end,
      [](int from, std::byte *to, size_t bytes) { return recv(from, to, bytes, MSG_DONTWAIT); });
}

template <typename T>
bool write_all(const Socket &socket, const T *values, size_t count, Clock::time_point end) {
  return move_all(socket, reinterpret_cast<std::byte *>(const_cast<T *>(values)), count * sizeof(T),
                  POLLOUT, end, [](int to, const std::byte *from, size_t bytes) {
                    return ::send(to, from, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
                  });
}

/// Connects to a listener that may not be there yet.
Socket connect_to(const std::vector<Address> &addresses, Clock::time_point end) {
  auto pause = std::chrono::milliseconds(1);
  while (true) {
    for (const Address &address : addresses) {
      Socket connection(socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (!connection ||
          connect(connection.get(), reinterpret_cast<const sockaddr *>(&address.bytes),
                  address.length) != 0)
        continue;
      if (!is_own_peer(connection))
        return connection;
      // Reset, or its port would be taken for a minute, and rank 0 is to listen there.
      const linger at_once{1, 0};
      setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    if (seconds_left(end) <= 0)
      return {};
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(200));
  }
}

/// The next connection; none after the end.
Socket accept_from(const Socket &listener, Clock::time_point end) {
  while (true) {
    pollfd polled{listener.get(), POLLIN, 0};
    const double left = seconds_left(end);
    if (left <= 0)
      return {};
    if (poll(&polled, 1, static_cast<int>(left * 1000) + 1) <= 0)
      continue;
    Socket connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection)
      return connection;
  }
}

class Meeting {
public:
  Meeting(const Launch &launch, double timeout)
      : launch_(launch), run_(hash(launch.run)), sockets_(launch.size),
        end_(Clock::now() +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout))) {}

  std::vector<Socket> meet() {
    if (launch_.rank == 0)
      receive_all();
    else
      join();
    return std::move(sockets_);
  }

private:
  Greeting greeting(int port) const {
    Greeting own{};
    std::memcpy(own.what, kind, sizeof kind);
    own.rank = launch_.rank;
    own.size = launch_.size;
    own.run = run_;
    own.port = port;
    return own;
  }

  /// Takes connections until ranks [first, size) are there. Strangers are left alone.
  void take(const Socket &listener, int first, std::vector<Address> *addresses) {
    for (int missing = launch_.size - first; missing > 0;) {
      Socket connection = accept_from(listener, end_);
      if (!connection)
        fail_missing(first);
      Greeting theirs;
      // A stranger may say nothing.
      const Clock::time_point soon = std::min(end_, Clock::now() + std::chrono::seconds(5));
      if (!read_all(connection, &theirs, 1, soon) ||
          std::memcmp(theirs.what, kind, sizeof kind) != 0 || theirs.run != run_)
        continue;
      if (theirs.size != launch_.size)
        fail("rank " + std::to_string(theirs.rank) + " was started as one of " +
             std::to_string(theirs.size) + ", rank " + std::to_string(launch_.rank) +
             " as one of " + std::to_string(launch_.size));
      if (theirs.rank < first || theirs.rank >= launch_.size || sockets_[theirs.rank])
        fail("two processes were started as rank " + std::to_string(theirs.rank));
      if (addresses) {
        Address address = name_of(connection, /*peer=*/true);
        set_port(address, theirs.port);
        (*addresses)[theirs.rank] = address;
      }
      sockets_[theirs.rank] = std::move(connection);
      --missing;
    }
  }

  [[noreturn]] void fail_missing(int first) const {
    std::string missing;
    for (int rank = first; rank < launch_.size; ++rank)
      if (!sockets_[rank] && rank != launch_.rank)
        missing += (missing.empty() ? "" : ", ") + std::to_string(rank);
    fail("rank " + missing + " of " + std::to_string(launch_.size) + " has not come");
  }

  void receive_all() {
    Socket listener;
    // What has the port may have it for a moment, as a rank does that has connected to itself.
    const Clock::time_point soon = std::min(end_, Clock::now() + std::chrono::seconds(2));
    while (!listener) {
      for (const Address &address : look_up(launch_.address, launch_.port))
        if (!listener)
          listener = listen_at(address);
      if (!listener && seconds_left(soon) <= 0)
        fail("cannot listen at " + launch_.address + ", port " + std::to_string(launch_.port) +
             ": " + error_text());
      if (!listener)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    std::vector<Address> addresses(launch_.size);
    take(listener, 1, &addresses);
    for (int rank = 1; rank < launch_.size; ++rank)
      if (!write_all(sockets_[rank], addresses.data(), addresses.size(), end_))
        fail("rank " + std::to_string(rank) + " has ended");
  }

  void join() {
    sockets_[0] = connect_to(look_up(launch_.address, launch_.port), end_);
    if (!sockets_[0])
      fail("rank 0 does not answer at " + launch_.address + ", port " +
           std::to_string(launch_.port));
    // Others reach this rank where rank 0 does.
    Address own = name_of(sockets_[0], /*peer=*/false);
    set_port(own, 0);
    const Socket listener = listen_at(own);
    if (!listener)
      fail("cannot listen for other ranks: " + error_text());
    const Greeting hello = greeting(port_of(name_of(listener, /*peer=*/false)));
    std::vector<Address> addresses(launch_.size);
    if (!write_all(sockets_[0], &hello, 1, end_) ||
        !read_all(sockets_[0], addresses.data(), addresses.size(), end_))
      fail("rank 0 has not let this one in: it has ended, or others have not come");
    for (int rank = 1; rank < launch_.rank; ++rank) {
      sockets_[rank] = connect_to({addresses[rank]}, end_);
      if (!sockets_[rank] || !write_all(sockets_[rank], &hello, 1, end_))
        fail("rank " + std::to_string(rank) + " does not answer");
    }
    take(listener, launch_.rank + 1, nullptr);
  }

  const Launch &launch_;
  uint64_t run_;
  std::vector<Socket> sockets_;
  Clock::time_point end_;
};

} // namespace

Socket::~Socket() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

bool is_own_peer(const Socket &connection) {
  Address own{}, peer{};
  own.length = peer.length = sizeof own.bytes;
  return getsockname(connection.get(), reinterpret_cast<sockaddr *>(&own.bytes), &own.length) ==
             0 &&
         getpeername(connection.get(), reinterpret_cast<sockaddr *>(&peer.bytes), &peer.length) ==
             0 &&
         own.length == peer.length && std::memcmp(&own.bytes, &peer.bytes, own.length) == 0;
}

void make_immediate(const Socket &socket) {
  const int yes = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(socket.get(), F_SETFL, fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
}

std::vector<Socket> connect_ranks(const Launch &launch, double timeout) {
  return Meeting(launch, timeout).meet();
}

} // namespace mpar
