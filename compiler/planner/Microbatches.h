// Which stage works on which microbatch when: schedules of pipelines, and a checker that knows
// nothing of how they were made.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mparc::mp {

/// Instructions of one device that follow one another in a program, or one transfer.
struct Stage {
  enum class When { before, during, after }; // the microbatches, or for each of them

  int64_t device;    // whose stream it is carried out in; of a transfer, the receiver
  int64_t from = -1; // of a transfer: the sender
  When when = When::during;
  bool backward = false;
  int64_t cost = 1; // of a microbatch, in any unit
  /// Stages that must have finished first, for the same microbatch where both run for each.
  llvm::SmallVector<int64_t> waits;
  /// Devices whose memory it reads or writes values of a row in; its own among them where it does.
  llvm::SmallVector<int64_t> touches;
  /// Whether it adds to sums over the batch, which must go over microbatches in ascending order.
  bool sums = false;
  /// Of the backward pass: no transfer waits for it, so that it can be put off.
  bool weights = false;
  /// Adds up over replicas, after the microbatches: once what it waits for has finished, whatever
  /// else is left to do for them.
  bool reduces = false;
  /// Stages that must have finished for the microbatch before, as they set what this one reads or
  /// sets; itself among them where it does.
  llvm::SmallVector<int64_t> follows = {};

  bool isTransfer() const { return from >= 0; }
};

/// A stage, and the microbatch it works on: 0 for what runs once.
struct Turn {
  int64_t stage;
  int64_t microbatch;
  friend bool operator==(Turn a, Turn b) {
    return a.stage == b.stage && a.microbatch == b.microbatch;
  }
};
/// "stage 2 of microbatch 5".
std::string describe(Turn turn);

/// What may begin when, of what could (planner/Schedules.cpp):
/// gpipe: all forward, then all backward (Y. Huang et al., "GPipe", 2019).
/// one_forward_one_backward: a stage begins no more forward passes than the pipeline has stages
/// from it on before it has gone back through the first of them (D. Narayanan et al., "PipeDream",
/// 2019, the variant that flushes).
/// interleaved: a device that the batch visits several times takes some microbatches through one
/// of its stages, then the same through its next, and one forward for one backward once as many
/// are under way as fill the pipeline (D. Narayanan et al., "Efficient Large-Scale Language Model
/// Training on GPU Clusters Using Megatron-LM", 2021).
/// zero_bubble: what no transfer waits for, as gradients of weights, is done where a device would
/// wait (P. Qi et al., "Zero Bubble Pipeline Parallelism", 2023, ZB-H1; where the batch comes back
/// through the devices, "Pipeline Parallelism with Controllable Memory", 2024, ZB-V).
enum class ScheduleKind { gpipe, one_forward_one_backward, interleaved, zero_bubble };
std::optional<ScheduleKind> parseScheduleKind(llvm::StringRef name);

/// A total order of all turns: each device takes, whenever it is free, what it can begin first of
/// what the schedule allows. Stages stand in the order of the program. `microbatches` at least 1.
std::vector<Turn> orderTurns(llvm::ArrayRef<Stage> stages, int64_t microbatches, ScheduleKind kind);

/// How many microbatches have values on each of `devices` at once in that order, at most: the i-th
/// finds its memory where the one that many before it had its own.
llvm::SmallVector<int64_t> countSlots(llvm::ArrayRef<Stage> stages, llvm::ArrayRef<Turn> order,
                                      int64_t microbatches, int64_t devices);

/// A turn of one device, and what it waits for: on each of some other devices so many turns, of
/// those in its own order, to have finished.
struct PlannedTurn {
  struct Wait {
    int64_t device;
    int64_t turns;
  };
  Turn turn;
  llvm::SmallVector<Wait, 1> waits;
};

/// The order with the least waits: for what a stage waits for on other devices and, where it is the
/// first of its microbatch on its device, for what may still read the memory that it takes over;
/// none for what other waits imply.
std::vector<PlannedTurn> planTurns(llvm::ArrayRef<Stage> stages, llvm::ArrayRef<Turn> order,
                                   llvm::ArrayRef<int64_t> slots, int64_t microbatches);

/// Why the plan cannot be carried out rightly, or nothing. Every stage runs for every microbatch
/// once; whatever waits waits for earlier turns, so that nothing can hang; what a stage reads, and
/// what may still be read where it writes, is ordered before it by streams and waits; sums go over
/// microbatches in ascending order.
std::optional<std::string> checkTurns(llvm::ArrayRef<Stage> stages,
                                      llvm::ArrayRef<PlannedTurn> plan,
                                      llvm::ArrayRef<int64_t> slots, int64_t microbatches);

} // namespace mparc::mp
