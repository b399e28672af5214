// The data of a random program.
#pragma once

#include "random/Generate.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"

namespace mparc::random {

/// Makes rows for the program, a batch and a short one, and gives each file's name and text to
/// `write`: data.csv, data.txt, or x.npy, y.npy and for a second input z.npy.
void writeData(const Program &program, uint64_t seed,
               llvm::function_ref<void(llvm::StringRef name, const std::string &text)> write);

} // namespace mparc::random
