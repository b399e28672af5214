// The training step of several replicas: each is an object of the emitted class, and all carry out
// the same functions.
#include "emit/FilePrinter.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

static void printCalls(const std::vector<Function> &stages, StringRef when, StringRef prefix,
                       StringRef part, llvm::raw_ostream &out) {
  for (const Function &stage : stages)
    if (stage.when == when)
      out << prefix << stage.name << "(" << part << ");"
          << (stage.layers.empty() ? "" : " // " + inComment(stage.layers)) << "\n";
}

void FilePrinter::printReplicas(ProgramOp program, llvm::raw_ostream &out) {
  const std::vector<Function> &stages = functions[program];
  int64_t rows = program->getAttrOfType<IntegerAttr>(kRowsAPart).getInt();
  out << "const auto begin = [&](Part &part) {\n";
  printArguments(program, "part", out);
  out << "};\n";
  out << "ReplicaStep<" << className
      << ", Part> step_of_all(*this, batch.rows);\n"
         "if (workers()) {\nstep_of_all.run_turns(parts_, begin, stages_);\n";
  printReturn(program, out);
  out << "}\n\n";
  auto run = [&](const Function &stage) {
    out << "step_of_all." << (stage.updates ? "run_shared" : "run") << "(&" << className
        << "::" << stage.name << ");"
        << (stage.layers.empty() ? "" : " // " + inComment(stage.layers)) << "\n";
  };
  for (const Function &stage : stages)
    if (stage.when == "before")
      run(stage);
  if (rows > 0)
    out << "// One replica after the other takes its rows, " << rows
        << " of them at a time through all layers and\n"
           "// back: what one leaves in the cache the next finds there.\n";
  else
    out << "// One replica after the other takes its rows, a microbatch at a time: within one "
           "they\n"
           "// depend on one another.\n";
  out << "step_of_all.for_each_with_rows([&](" << className << " &replica, Part &whole) {\n"
      << (rows > 0 ? "for_each_part(whole, " + std::to_string(rows) + ", "
                   : "for_each_microbatch(whole, ")
      << "[&](Part &part) {\nbegin(part);\n\n";
  printCalls(stages, "", "replica.", "part", out);
  out << "});\n";
  if (rows > 0) {
    printSums(program, out);
    out << "whole.add_gradients();\n";
  }
  out << "});\n\n// What follows is carried out by all, stage by stage.\n";
  for (const Function &stage : stages)
    if (stage.when == "after")
      run(stage);
}

} // namespace mparc::emit
