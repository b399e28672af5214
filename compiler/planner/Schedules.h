// What each schedule demands of the order of turns: what must come before what, and what goes
// first.
#pragma once

#include "planner/Microbatches.h"

namespace mparc::mp {

/// One schedule of one pipeline. What it demands comes on top of what stages wait for.
class ScheduleRule {
public:
  ScheduleRule(llvm::ArrayRef<Stage> stages, int64_t microbatches, ScheduleKind kind);

  /// Turns that the schedule wants done before `turn` begins.
  llvm::SmallVector<Turn, 2> getBefore(Turn turn) const;
  /// Of stages that can begin at the same time the least goes first.
  int64_t getUrgency(int64_t stage) const;

private:
  /// Stages of one device and direction that follow one another, transfers aside: what the
  /// literature calls a stage.
  struct Group {
    int64_t device;
    bool backward, weights;
    int64_t first, last;   // stages
    int64_t place = 0;     // among those of its direction, in the order of the program; -1: weights
    int64_t visit = 0;     // among those of its device and direction
    int64_t visits = 1;    // of its device
    int64_t lastPlace = 0; // of its device, forward
  };
  using Turns = llvm::SmallVector<Turn, 2>;
  void findGroups(bool splitsWeights);
  const Group *find(bool backward, int64_t device, int64_t visit) const;
  void addGpipe(const Group &group, Turns &turns) const;
  void addOneForwardOneBackward(const Group &group, int64_t microbatch, Turns &turns) const;
  void addInterleaved(const Group &group, int64_t microbatch, Turns &turns) const;
  void addZeroBubble(const Group &group, int64_t microbatch, Turns &turns) const;

  llvm::ArrayRef<Stage> stages;
  int64_t microbatches;
  ScheduleKind kind;
  std::vector<Group> groups;
  std::vector<int64_t> groupFrom; // by stage: the group that begins with it, or -1
  int64_t stagesForward = 0, devices = 0;
  bool revisits = false; // whether the batch comes to a device again, forward
};

} // namespace mparc::mp
