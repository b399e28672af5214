// Random well-typed programs of the language.
#pragma once

#include "random/Source.h"

#include <cstdint>

namespace mparc::random {

/// Where a program's rows come from.
enum class DataSource { csv, numpy, text };

/// A program, and what its data must be: rows of `inputs` numbers, of which the last `second` are
/// those of a second input (`integers` of them integers, with `truths` 0 or 1), then `targets`
/// numbers or, where `classes` is not 0, the number of a class. Where `words` is not 0 the inputs
/// are integers below it; of a text they are its bytes, and the targets the next ones.
struct Program {
  std::vector<Statement> file;
  int64_t inputs = 0, second = 0, integers = 0, targets = 0, classes = 0, words = 0;
  int64_t batch = 4;
  bool truths = false;
  DataSource source = DataSource::csv;
  bool imports = false; // its layers stand in a file of their own, where it is written to files
};

/// The program of a seed: layers of its own and of the standard library, a model, a train block.
///
/// Its numbers stay moderate: where an operation could leave the range in which f32 tells anything,
/// it is wrapped in one that does not.
///
/// `foreign`: it may call C++ functions of the header `foreignHeader`; such a program is compiled,
/// not interpreted.
/// Otherwise some programs have groups of devices and splits, which may regroup sums.
Program generate(uint64_t seed, bool foreign = false);

} // namespace mparc::random
