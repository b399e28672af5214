// Messages over TCP: one connection between any two ranks, on which the messages of all channels
// follow one another. What arrives before it is asked for is kept.
#include "sockets.h"

#include "mpar/errors.h"
#include "mpar/world.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace mpar {
namespace {

/// What goes before the bytes of a message.
struct Header {
  int64_t channel;
  int64_t bytes;
};

class TcpTransport;

struct TcpMessage final : Transport::Message {
  TcpMessage(TcpTransport &owner, int peer, int channel, void *data, int64_t bytes, bool sends)
      : owner(owner), peer(peer), channel(channel), data(static_cast<std::byte *>(data)),
        bytes(bytes), sends(sends) {}
  ~TcpMessage() override;

  TcpTransport &owner;
  int peer;
  int channel;
  std::byte *data;
  int64_t bytes;
  bool sends;
  bool over = false;
};

class TcpTransport final : public Transport {
public:
  TcpTransport(int rank, std::vector<Socket> sockets) : rank_(rank), peers_(sockets.size()) {
    for (size_t peer = 0; peer < sockets.size(); ++peer) {
      peers_[peer].socket = std::move(sockets[peer]);
      if (static_cast<int>(peer) != rank)
        make_immediate(peers_[peer].socket);
    }
  }

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(peers_.size()); }

  std::unique_ptr<Message> send(int peer, int channel, const void *data, int64_t bytes) override {
    auto message = std::make_unique<TcpMessage>(*this, peer, channel, const_cast<void *>(data),
                                                bytes, /*sends=*/true);
    const std::lock_guard lock(mutex_);
    if (peers_[peer].ended)
      throw PeerLost(peer, "ended");
    peers_[peer].outgoing.push_back({{channel, bytes}, 0, message.get(), {}});
    write(peers_[peer]);
    return message;
  }

  std::unique_ptr<Message> receive(int peer, int channel, void *data, int64_t bytes) override {
    auto message = std::make_unique<TcpMessage>(*this, peer, channel, data, bytes, /*sends=*/false);
    const std::lock_guard lock(mutex_);
    auto &early = peers_[peer].early[channel];
    if (early.empty()) {
      peers_[peer].wanted[channel].push_back(message.get());
      return message;
    }
    check_size(bytes, static_cast<int64_t>(early.front().size()), channel);
    if (bytes > 0)
      std::memcpy(data, early.front().data(), static_cast<size_t>(bytes));
    early.pop_front();
    message->over = true;
    return message;
  }

  bool test(Message &message) override {
    auto &own = static_cast<TcpMessage &>(message);
    const std::lock_guard lock(mutex_);
    if (!own.over)
      progress();
    if (!own.over && peers_[own.peer].ended)
      throw PeerLost(own.peer, "ended");
    return own.over;
  }

  void close() override {}

  /// A message is given up: its memory is not touched any more.
  void forget(TcpMessage &message) {
    const std::lock_guard lock(mutex_);
    if (message.over)
      return;
    Peer &peer = peers_[message.peer];
    if (!message.sends) {
      auto &wanted = peer.wanted[message.channel];
      wanted.erase(std::remove(wanted.begin(), wanted.end(), &message), wanted.end());
      if (peer.incoming.message == &message)
        peer.incoming.redirect();
      return;
    }
    for (auto each = peer.outgoing.begin(); each != peer.outgoing.end(); ++each)
      if (each->message == &message) {
        if (each->done == 0) {
          peer.outgoing.erase(each);
        } else {
          each->kept.assign(message.data, message.data + message.bytes);
          each->message = nullptr;
        }
        return;
      }
  }

private:
  /// A message that is being sent, its header first.
  struct Outgoing {
    Header header;
    int64_t done; // bytes, those of the header among them
    TcpMessage *message;
    std::vector<std::byte> kept; // where nobody waits for it any more
  };
  /// What is being received.
  struct Incoming {
    Header header;
    int64_t done = 0; // bytes, those of the header among them
    TcpMessage *message = nullptr;
    std::vector<std::byte> kept; // where nobody has asked for it yet

    std::byte *place() { return message ? message->data : kept.data(); }
    void redirect() {
      kept.assign(message->data, message->data + message->bytes);
      message = nullptr;
    }
  };
  struct Peer {
    Socket socket;
    std::deque<Outgoing> outgoing;
    Incoming incoming;
    std::map<int, std::deque<TcpMessage *>> wanted; // by channel, as are
    std::map<int, std::deque<std::vector<std::byte>>> early;
    bool ended = false;
  };

  static constexpr int64_t header_bytes = sizeof(Header);

  static void check_size(int64_t asked, int64_t came, int channel) {
    if (asked != came)
      throw std::runtime_error("a message of " + std::to_string(came) + " bytes where " +
                               std::to_string(asked) + " are expected, on channel " +
                               std::to_string(channel));
  }

  /// Moves on whatever can be moved.
  void progress() {
    std::vector<pollfd> &polled = polled_;
    polled.clear();
    for (Peer &peer : peers_) {
      short events = POLLIN;
      if (!peer.outgoing.empty())
        events |= POLLOUT;
      polled.push_back({peer.ended ? -1 : peer.socket.get(), events, 0});
    }
    if (poll(polled.data(), polled.size(), 0) <= 0)
      return;
    for (size_t peer = 0; peer < peers_.size(); ++peer) {
      if (polled[peer].fd < 0)
        continue;
      if (polled[peer].revents & POLLOUT)
        write(peers_[peer]);
      if (polled[peer].revents & (POLLIN | POLLHUP | POLLERR))
        read(peers_[peer]);
    }
  }

  void write(Peer &peer) {
    while (!peer.outgoing.empty() && !peer.ended) {
      Outgoing &out = peer.outgoing.front();
      const std::byte *data = out.message ? out.message->data : out.kept.data();
      const int64_t whole = header_bytes + out.header.bytes;
      iovec pieces[2];
      int count = 0;
      if (out.done < header_bytes)
        pieces[count++] = {reinterpret_cast<std::byte *>(&out.header) + out.done,
                           static_cast<size_t>(header_bytes - out.done)};
      const int64_t from = std::max<int64_t>(0, out.done - header_bytes);
      if (from < out.header.bytes)
        pieces[count++] = {const_cast<std::byte *>(data) + from,
                           static_cast<size_t>(out.header.bytes - from)};
      msghdr call{};
      call.msg_iov = pieces;
      call.msg_iovlen = static_cast<size_t>(count);
      const ssize_t sent = sendmsg(peer.socket.get(), &call, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EINTR)
        continue;
      if (sent < 0) {
        // What has arrived before the connection broke is still to be read.
        if (errno != EAGAIN && errno != EWOULDBLOCK)
          read(peer);
        return;
      }
      out.done += sent;
      if (out.done < whole)
        return;
      if (out.message)
        out.message->over = true;
      peer.outgoing.pop_front();
    }
  }

  void read(Peer &peer) {
    while (!peer.ended) {
      Incoming &in = peer.incoming;
      const bool in_header = in.done < header_bytes;
      std::byte *to = in_header ? reinterpret_cast<std::byte *>(&in.header) + in.done
                                : in.place() + (in.done - header_bytes);
      const int64_t left =
          in_header ? header_bytes - in.done : in.header.bytes - (in.done - header_bytes);
      if (left > 0) {
        const ssize_t got = recv(peer.socket.get(), to, static_cast<size_t>(left), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
          continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
          return;
        if (got <= 0) {
          peer.ended = true;
          return;
        }
        in.done += got;
      }
      if (in_header && in.done == header_bytes)
        begin_message(peer);
      if (in.done == header_bytes + in.header.bytes && in.done >= header_bytes)
        end_message(peer);
    }
  }

  /// Finds out where the message goes whose header is there.
  void begin_message(Peer &peer) {
    Incoming &in = peer.incoming;
    if (in.header.bytes < 0)
      throw std::runtime_error("a message of no size");
    auto &wanted = peer.wanted[static_cast<int>(in.header.channel)];
    if (wanted.empty()) {
      in.kept.resize(static_cast<size_t>(in.header.bytes));
      return;
    }
    TcpMessage *const message = wanted.front();
    wanted.pop_front();
    if (message->bytes != in.header.bytes)
      in.kept.resize(static_cast<size_t>(in.header.bytes));
    check_size(message->bytes, in.header.bytes, message->channel);
    in.message = message;
  }

  void end_message(Peer &peer) {
    Incoming in = std::move(peer.incoming);
    peer.incoming = {};
    const int channel = static_cast<int>(in.header.channel);
    auto &wanted = peer.wanted[channel];
    if (in.message) {
      in.message->over = true;
    } else if (wanted.empty()) {
      peer.early[channel].push_back(std::move(in.kept));
    } else { // asked for while it came
      TcpMessage *message = wanted.front();
      wanted.pop_front();
      check_size(message->bytes, in.header.bytes, channel);
      if (message->bytes > 0)
        std::memcpy(message->data, in.kept.data(), in.kept.size());
      message->over = true;
    }
  }

  int rank_;
  std::mutex mutex_;
  std::vector<Peer> peers_;
  std::vector<pollfd> polled_;
};

TcpMessage::~TcpMessage() { owner.forget(*this); }

} // namespace

std::unique_ptr<Transport> open_tcp(const Launch &launch, double timeout) {
  return std::make_unique<TcpTransport>(launch.rank, connect_ranks(launch, timeout));
}

} // namespace mpar
