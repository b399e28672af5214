#include "communicator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulation {
namespace {

constexpr char announcing = 'a', carrying = 'c';

std::string describe(const Side &side) {
  return std::string(side.sends ? "sends " : "receives ") + std::to_string(side.count) +
         " of type " + std::to_string(side.type) + (side.sends ? " to rank " : " from rank ") +
         std::to_string(side.peer);
}

std::string describe(const Told &told) {
  return std::string(told.sends ? "sends " : "receives ") + std::to_string(told.count) +
         " of type " + std::to_string(told.type) + (told.captured ? ", captured" : "");
}

} // namespace

Communicator::Communicator(const std::string &name, int ranks, int rank, int device)
    : links(name, ranks, rank, "gpu " + std::to_string(device)), ranks(ranks), rank(rank),
      device(device), peers_(static_cast<size_t>(ranks)) {}

void Communicator::add(std::vector<Side> sides) {
  Stream *const stream = sides.front().stream;
  const bool captured = stream->capture != nullptr;
  add_external(stream,
               [this, sides = std::move(sides), captured] { return issue(sides, captured); });
}

Operation Communicator::issue(std::vector<Side> sides, bool captured) {
  auto unit = std::make_shared<Unit>(Unit{std::move(sides), captured});
  for (Side &side : unit->sides)
    side.number = peers_[static_cast<size_t>(side.peer)].issued[side.sends]++;
  units.push_back(unit);
  note(*unit);
  return {[this, unit] { return is_done(*unit); },
          [this, unit] {
            if (!aborted)
              units.pop_front();
            return true;
          },
          true};
}

void Communicator::note(const Unit &unit) const {
  const char *const path = std::getenv("MPAR_EMULATED_NCCL_LOG");
  if (!path)
    return;
  FILE *const file = std::fopen((std::string(path) + "." + std::to_string(rank)).c_str(), "a");
  if (!file)
    give_up("%s cannot be written", path);
  std::string line = unit.captured ? "captured" : "issued";
  for (const Side &side : unit.sides)
    line += "; " + describe(side);
  std::fprintf(file, "%s\n", line.c_str());
  std::fclose(file);
}

bool Communicator::is_done(Unit &unit) {
  if (aborted)
    return true;
  if (units.front().get() != &unit)
    return false;
  if (!unit.announced)
    announce(unit);
  listen();
  bool all = true;
  for (Side &side : unit.sides)
    all = match(side, unit) && all;
  if (!all)
    look_for_deadlock(unit);
  return all;
}

void Communicator::announce(Unit &unit) {
  unit.announced = true;
  for (int peer = 0; peer < ranks; ++peer) {
    std::string message(1, announcing);
    for (const Side &side : unit.sides) {
      const Told told{side.sends, unit.captured, side.type, 0, side.count, side.number};
      if (side.peer == peer)
        message.append(reinterpret_cast<const char *>(&told), sizeof told);
    }
    if (message.size() > 1)
      links.send(peer, message);
  }
}

void Communicator::listen() {
  std::string message;
  for (int number = 0; number < ranks; ++number) {
    if (number == rank)
      continue;
    Peer &peer = peers_[static_cast<size_t>(number)];
    while (links.receive(number, message)) {
      if (message[0] == carrying) {
        uint64_t which = 0;
        std::memcpy(&which, message.data() + 1, sizeof which);
        peer.arrived[which] = message.substr(1 + sizeof which);
        continue;
      }
      peer.at_hand.resize((message.size() - 1) / sizeof(Told));
      std::memcpy(peer.at_hand.data(), message.data() + 1, message.size() - 1);
      for (const Told &told : peer.at_hand)
        peer.told[told.sends][told.number] = told;
    }
  }
}

bool Communicator::match(Side &side, const Unit &unit) {
  if (side.done)
    return true;
  Peer &peer = peers_[static_cast<size_t>(side.peer)];
  const auto found = peer.told[!side.sends].find(side.number);
  if (found == peer.told[!side.sends].end())
    return false;
  const Told &told = found->second;
  if (told.count != side.count || told.type != side.type)
    give_up("NCCL: rank %d %s, which %s", rank, describe(side).c_str(), describe(told).c_str());
  if (told.captured != static_cast<int32_t>(unit.captured))
    give_up("NCCL: rank %d %s, %s in a graph, which the other side is%s", rank,
            describe(side).c_str(), unit.captured ? "captured" : "not captured",
            unit.captured ? " not" : "");
  if (side.sends) {
    std::string message(1, carrying);
    message.append(reinterpret_cast<const char *>(&side.number), sizeof side.number);
    message.append(reinterpret_cast<const char *>(side.data), side.bytes);
    links.send(side.peer, message);
  } else {
    const auto arrived = peer.arrived.find(side.number);
    if (arrived == peer.arrived.end())
      return false;
    std::memcpy(side.data, arrived->second.data(), side.bytes);
    peer.arrived.erase(arrived);
  }
  peer.told[!side.sends].erase(found);
  ++peer.done[side.sends];
  return side.done = true;
}

void Communicator::look_for_deadlock(const Unit &unit) {
  for (int number = 0; number < ranks; ++number) {
    const Peer &peer = peers_[static_cast<size_t>(number)];
    const Side *own = nullptr;
    for (const Side &side : unit.sides)
      if (side.peer == number && !side.done && peer.told[!side.sends].count(side.number) == 0)
        own = &side;
    const Told *theirs = nullptr;
    for (const Told &told : peer.at_hand) {
      const bool is_done = told.number < peer.done[!told.sends];
      const bool is_meant =
          std::any_of(unit.sides.begin(), unit.sides.end(), [&](const Side &side) {
            return side.peer == number && side.sends != static_cast<bool>(told.sends) &&
                   side.number == told.number;
          });
      if (!is_done && !is_meant)
        theirs = &told;
    }
    if (own && theirs)
      give_up("NCCL: rank %d %s, while that one %s from or to this: they wait for one another",
              rank, describe(*own).c_str(), describe(*theirs).c_str());
  }
}

void Communicator::poll() {
  if (aborted)
    return;
  if (!open && error == ncclInProgress && links.meet()) {
    open = true;
    error = ncclSuccess;
    for (int peer = 0; peer < ranks; ++peer)
      if (peer != rank && links.told(peer) == links.told(rank)) {
        error = ncclInvalidUsage;
        words = "Duplicate GPU detected: rank " + std::to_string(peer) + " and rank " +
                std::to_string(rank);
      }
    return;
  }
  if (!open)
    return;
  if (!late.empty()) {
    for (std::vector<Side> &sides : late)
      add(std::move(sides));
    late.clear();
    error = ncclSuccess;
  }
  if (finalizing && units.empty() && links.is_flushed())
    error = ncclSuccess;
  // A rank that has ended is noticed by those who wait for it.
  links.is_flushed();
  if (std::getenv("MPAR_EMULATED_NCCL_DEAF") || units.empty() || !units.front()->announced)
    return;
  for (const Side &side : units.front()->sides)
    if (!side.done && links.is_lost(side.peer) &&
        peers_[static_cast<size_t>(side.peer)].arrived.count(side.number) == 0) {
      error = ncclRemoteError;
      words = "rank " + std::to_string(side.peer) + " has closed its connection";
    }
}

} // namespace emulation
