#include "links.h"

#include "emulation.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace emulation {
namespace {

/// An address that is no file and ends with the process.
sockaddr_un address_of(const std::string &name, int rank, socklen_t &length) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = name + "-" + std::to_string(rank);
  std::memcpy(address.sun_path + 1, text.data(), text.size());
  length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return address;
}

int open_socket() {
  const int file = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file < 0)
    give_up("no socket for NCCL: %s", std::strerror(errno));
  return file;
}

std::string with_size(const std::string &message) {
  const uint64_t size = message.size();
  return std::string(reinterpret_cast<const char *>(&size), sizeof size) + message;
}

} // namespace

Links::Links(std::string name, int ranks, int rank, std::string own)
    : name_(std::move(name)), rank_(rank), own_(std::move(own)), listener_(open_socket()),
      links_(static_cast<size_t>(ranks)), told_(static_cast<size_t>(ranks)) {
  socklen_t length = 0;
  const sockaddr_un address = address_of(name_, rank, length);
  if (bind(listener_, reinterpret_cast<const sockaddr *>(&address), length) != 0 ||
      listen(listener_, ranks) != 0)
    give_up("two ranks %d of one communicator", rank);
  told_[static_cast<size_t>(rank)] = own_;
}

Links::~Links() {
  close(listener_);
  for (std::vector<Link> *all : {&links_, &strangers_})
    for (const Link &link : *all)
      if (link.file >= 0)
        close(link.file);
}

void Links::add(int file) {
  Link &link = strangers_.emplace_back();
  link.file = file;
  link.out = with_size(std::to_string(rank_) + " " + own_);
}

bool Links::meet() {
  // Those below are called, and say who they are like those that call.
  for (int peer = 0; peer < rank_; ++peer) {
    Link &link = links_[static_cast<size_t>(peer)];
    if (link.file >= 0)
      continue;
    const int file = open_socket();
    socklen_t length = 0;
    const sockaddr_un address = address_of(name_, peer, length);
    if (connect(file, reinterpret_cast<const sockaddr *>(&address), length) != 0) {
      close(file); // it is not there yet
      continue;
    }
    link.file = file;
    link.out = with_size(std::to_string(rank_) + " " + own_);
  }
  for (int file; (file = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
    add(file);
  std::string message;
  for (size_t i = 0; i < strangers_.size(); ++i) {
    pump(strangers_[i]);
    if (!take(strangers_[i], message))
      continue;
    const auto peer = static_cast<size_t>(std::stoi(message));
    told_[peer] = message.substr(message.find(' ') + 1);
    links_[peer] = std::move(strangers_[i]);
    strangers_.erase(strangers_.begin() + static_cast<std::ptrdiff_t>(i--));
  }
  bool all = true;
  for (size_t peer = 0; peer < links_.size(); ++peer) {
    if (static_cast<int>(peer) == rank_)
      continue;
    Link &link = links_[peer];
    if (told_[peer].empty() && link.file >= 0) {
      pump(link);
      if (take(link, message))
        told_[peer] = message.substr(message.find(' ') + 1);
    }
    all = all && !told_[peer].empty();
  }
  return all && is_flushed();
}

bool Links::pump(Link &link) {
  while (!link.out.empty() && !link.lost) {
    const ssize_t sent = ::send(link.file, link.out.data(), link.out.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      link.lost = errno != EAGAIN && errno != EINTR;
      break;
    }
    link.out.erase(0, static_cast<size_t>(sent));
  }
  char bytes[1 << 16];
  while (!link.lost) {
    const ssize_t got = recv(link.file, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      break;
    if (got <= 0)
      link.lost = true;
    else
      link.in.append(bytes, static_cast<size_t>(got));
  }
  return link.out.empty();
}

bool Links::take(Link &link, std::string &message) {
  uint64_t size = 0;
  if (link.in.size() < sizeof size)
    return false;
  std::memcpy(&size, link.in.data(), sizeof size);
  if (link.in.size() < sizeof size + size)
    return false;
  message = link.in.substr(sizeof size, size);
  link.in.erase(0, sizeof size + size);
  return true;
}

void Links::send(int peer, const std::string &message) {
  Link &link = links_[static_cast<size_t>(peer)];
  link.out += with_size(message);
  pump(link);
}

bool Links::receive(int peer, std::string &message) {
  Link &link = links_[static_cast<size_t>(peer)];
  pump(link);
  return take(link, message);
}

bool Links::is_flushed() {
  bool all = true;
  for (Link &link : links_)
    all = (link.file < 0 || pump(link) || link.lost) && all;
  return all;
}

bool Links::is_lost(int peer) const { return links_[static_cast<size_t>(peer)].lost; }

} // namespace emulation
