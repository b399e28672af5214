// Messages between the processes of one machine, as the emulation's NCCL sends them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace emulation {

/// What one rank has to do with the others. No call waits.
class Links {
public:
  /// `name`: of the run; `own`: what all others are told of this rank.
  Links(std::string name, int ranks, int rank, std::string own);
  Links(const Links &) = delete;
  Links &operator=(const Links &) = delete;
  ~Links();

  /// Goes on to meet the others; true once all are there.
  bool meet();
  /// What a rank has told of itself.
  const std::string &told(int peer) const { return told_[static_cast<size_t>(peer)]; }
  void send(int peer, const std::string &message);
  /// The next message of a rank; false: none has come whole.
  bool receive(int peer, std::string &message);
  /// Whether all has left that was sent.
  bool is_flushed();
  bool is_lost(int peer) const;

private:
  struct Link {
    int file = -1;
    std::string in, out;
    bool lost = false;
  };

  static bool pump(Link &link);
  static bool take(Link &link, std::string &message);
  void add(int file);

  std::string name_;
  int rank_;
  std::string own_;
  int listener_;
  std::vector<Link> links_;     // by rank
  std::vector<Link> strangers_; // that have not said yet who they are
  std::vector<std::string> told_;
};

} // namespace emulation
