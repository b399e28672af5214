// What a program is run on: random numbers, or numbers from a file.
#pragma once

#include "interpreter/Interpreter.h"

#include "llvm/Support/Error.h"

namespace mparc::interpreter {

struct InputOptions {
  int64_t rows = 4;
  int64_t realBytes = 4;
  uint64_t seed = 0;
  /// Reals are uniform in [low, high); of random sign where `anySign`. The default keeps them away
  /// from zero, where relu and others are not smooth.
  double low = 0.1, high = 1;
  bool anySign = true;
  /// Integers that look up a table's rows, or are classes, are uniform over these; others in
  /// [0, classes); 0: the classes of the model's training, else 3.
  int64_t classes = 0;
};

/// Numbers for every parameter of the model and argument of the program. They depend on the seed
/// and the name alone, and are floats even where reals are doubles, so that both scalars start
/// alike.
Inputs makeRandomInputs(mp::ModelOp model, mp::ProgramOp program, const InputOptions &options);

/// Named lists of numbers: lines `name = 1.0, 2.0, …`; `#` begins a comment.
using NamedNumbers = llvm::StringMap<std::vector<double>>;
/// Fails with a message that names the line.
llvm::Expected<NamedNumbers> readNumbers(llvm::StringRef path);

/// Sets the arguments (by the program's names) and parameters (by theirs) that `numbers` names.
/// Fails where a list is not of the tensor's size.
llvm::Error setInputs(Inputs &inputs, mp::ProgramOp program, const NamedNumbers &numbers);

/// A number in its shortest form that reads back the same; `realBytes` says as which scalar.
std::string formatNumber(double value, int64_t realBytes);

} // namespace mparc::interpreter
