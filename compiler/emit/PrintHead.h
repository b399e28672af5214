// The parts of an emitted file that state facts: its head, and the description the runtime reads.
#pragma once

#include "emit/Emit.h"
#include "emit/Text.h"

#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

namespace mparc::emit {

/// What an emitted program and reports say of a stage of @train.
struct StageFacts {
  std::string function;
  std::string place; // where its first layer is declared: `autoencoder.mp:3`; may be empty
  std::string when;  // `before`, `during` or `after` the microbatches
  int64_t device;
  int64_t from = -1; // of a transfer: the sender
  /// Of a transfer, what it moves, a row and besides; of a collective, what replicas sum or gather.
  int64_t rowBytes = 0, fixedBytes = 0;
};
/// The stages of @train of a model that has been prepared for emission.
std::vector<StageFacts> describeStages(const ModelIndex &index);

/// What the file is, what it was made of, and what each device holds.
void printHead(const ModelIndex &index, const EmitOptions &options, llvm::raw_ostream &out);
/// Of the description, how workers carry out a step; nothing where the model has one device.
void printSchedule(const ModelIndex &index, llvm::raw_ostream &out);
/// The static member function `describe_accesses` of a model with a schedule: the memory that its
/// stages touch.
void printAccesses(const ModelIndex &index, llvm::raw_ostream &out);
/// The static member function `describe`.
void printDescription(const ModelIndex &index, const EmitOptions &options, llvm::raw_ostream &out);

} // namespace mparc::emit
