// What is checked of each random program.
#pragma once

#include "random/Source.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mparc::random {

struct CheckOptions {
  std::string stdlibDirectory;
  uint64_t seed = 0; // of parameters, inputs and dropout
  int64_t rows = 4;
  bool parts = false;             // work through the batch in parts, too
  bool replicas = false;          // carry out those of several replicas, too
  bool finiteDifferences = false; // check gradients in double, too
};

/// What came of a check.
struct Verdict {
  enum class Kind {
    passed,
    refused, // by the front end: the program is not well-typed
    failed,
  };
  Kind kind = Kind::passed;
  std::string message;
  bool isFinite = true; // the loss
  int64_t transfers = 0;
  int64_t differences = 0; // elements of gradients compared with finite differences
};

/// Checks a program:
/// - it is well-typed, and every pass and verifier of the pipeline accepts it;
/// - every phase gives the same bits as the graph, in calls under every way of treating buffers;
/// - as placed and with everything on device 0 it gives the same bits: output, loss and gradients;
/// - so it does without `@recompute`;
/// - the same holds of a batch that is worked through two rows at a time, whose results are those
/// of the
///   whole batch but for rounding;
/// - microbatches in the order and the memory of their schedule give the bits of one after the
/// other;
/// - three replicas, each in memory of its own, give what one gives but for rounding, and the same
/// bits whether they share out the optimiser or not;
/// - no value moves twice to one device, none moves that nothing reads, none by way of a third;
/// - where asked for, its gradients agree with finite differences in double, of the program in
/// f32.
Verdict check(const std::vector<Statement> &file, const CheckOptions &options);

/// Takes `microbatches` from a program that cannot be cut into them, as its rows depend on one
/// another before the loss.
void dropMicrobatches(std::vector<Statement> &file, const CheckOptions &options);

/// Takes `@split(in)` and the like from a program in which a layer is called with what has such a
/// name from elsewhere too, `[batch, out, in]`: the layers are spread over their groups whole.
void dropSplits(std::vector<Statement> &file, const CheckOptions &options);

/// The smallest program, by leaving out statements or putting simpler ones in their place, that
/// still fails.
std::vector<Statement> reduce(std::vector<Statement> file, const CheckOptions &options);

} // namespace mparc::random
