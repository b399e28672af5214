// The functions of mpar::Model, which call the stages in order, and their forms for embedding
// programs.
#include "emit/FilePrinter.h"
#include "emit/PrintCalls.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

void FilePrinter::printArguments(ProgramOp program, bool inParts, llvm::raw_ostream &out) {
  CallPrinter names(index, out);
  bool predicts = program.getSymName() == "predict";
  auto arguments = program.getBlock().getArguments();
  for (BlockArgument argument : arguments) {
    if (argument.use_empty())
      continue;
    bool target = !predicts && argument == arguments.back();
    out << names.name(argument) << " = static_cast<" << pointerType(argument.getType()) << ">("
        << (target ? "batch.target"
                   : "batch.inputs[" + std::to_string(argument.getArgNumber()) + "]")
        << ")";
    if (inParts)
      out << " + first_row_ * " << getElementCount(argument.getType()).count;
    out << ";\n";
  }
}

/// The calls of the stages that stand so towards the parts of a batch.
static void printStages(const std::vector<Function> &stages, StringRef when,
                        llvm::raw_ostream &out) {
  for (const Function &stage : stages)
    if (stage.when == when)
      out << stage.name << (stage.usesRows ? "(rows);" : "();")
          << (stage.layers.empty() ? "" : " // " + inComment(stage.layers)) << "\n";
}

/// A batch that is worked through a few rows at a time.
void FilePrinter::printParts(ProgramOp program, llvm::raw_ostream &out) {
  const std::vector<Function> &stages = functions[program];
  int64_t part = program->getAttrOfType<IntegerAttr>(kRowsAPart).getInt();
  out << "batch_rows_ = batch.rows;\n\n";
  printStages(stages, "before", out);
  out << "// A few rows at a time, through all layers and back: what one leaves in the cache the "
         "next finds\n"
      << "// there. Sums over the batch are sums over the parts, in this order.\n"
      << "const int64_t part = " << part << " * machine().threads();\n"
      << "for (first_row_ = 0; first_row_ < batch_rows_; first_row_ += part) {\n"
      << "const int64_t rows = std::min(part, batch_rows_ - first_row_);\n"
      << "store_ = first_row_ == 0 ? Store::overwrite : Store::add;\n";
  printArguments(program, true, out);
  out << "\n";
  printStages(stages, "", out);
  out << "}\n";
  if (llvm::any_of(stages,
                   [](const Function &stage) { return stage.when == "after" && stage.usesRows; }))
    out << "const int64_t rows = batch.rows;\n";
  printStages(stages, "after", out);
}

int64_t leastRows(ProgramOp train) {
  int64_t least = 1;
  train.walk([&](ExtentOp extent) {
    int64_t scale = extent.getScale(), offset = extent.getOffset();
    if (scale > 0)
      least = std::max(least, -offset / scale + 1);
  });
  return least;
}

void FilePrinter::printProgram(ProgramOp program, StringRef signature, llvm::raw_ostream &out) {
  bool predicts = program.getSymName() == "predict";
  CallPrinter names(index, out);
  bool trains = program.getSymName() == "train";
  int64_t least = trains ? leastRows(program) : 1;
  out << "\n"
      << signature << " {\ncheck(batch" << (least > 1 ? ", " + std::to_string(least) : "")
      << ");\n";
  if (trains)
    out << "++step();\n";
  const std::vector<Function> &stages = functions[program];
  if (program->hasAttr(kRowsAPart)) {
    printParts(program, out);
  } else {
    if (llvm::any_of(stages, [](const Function &stage) { return stage.usesRows; }))
      out << "const int64_t rows = batch.rows;\n";
    printArguments(program, false, out);
    out << "\n";
    printStages(stages, "", out);
  }
  auto results = program.getBlock().getTerminator()->getOperands();
  out << "\n";
  if (results.size() == 2)
    out << "output = " << names.name(results[0]) << ";\n";
  out << "return " << (predicts ? "" : "*") << names.name(results.back()) << ";\n}\n";
  for (const Function &stage : stages)
    out << "\nvoid " << className << "::" << stage.name << "("
        << (stage.usesRows ? "int64_t rows" : "") << ") {\n"
        << stage.body << "}\n";
}

std::string FilePrinter::parameterName(ProgramOp program, unsigned number) {
  auto names = program->getAttrOfType<ArrayAttr>(kArgumentNames);
  return cast<StringAttr>(names[number]).getValue().rtrim('_').str();
}

void FilePrinter::printOverloads(llvm::raw_ostream &out) {
  auto parameters = [&](ProgramOp program) {
    std::string text;
    for (BlockArgument argument : program.getBlock().getArguments())
      text +=
          pointerType(argument.getType()) + parameterName(program, argument.getArgNumber()) + ", ";
    return text + "int64_t rows";
  };
  auto inputs = [&](ProgramOp program, size_t count) {
    std::string text;
    for (size_t number = 0; number < count; ++number)
      text += (number ? ", " : "") + parameterName(program, number);
    return "{rows, {" + text + "}, ";
  };
  if (ProgramOp train = index.train) {
    unsigned last = train.getBlock().getNumArguments() - 1;
    out << "\nfloat " << className << "::train_step(" << parameters(train)
        << ") {\nreturn train_step(Batch" << inputs(train, last) << parameterName(train, last)
        << "});\n}\n";
  }
  ProgramOp predict = index.predict;
  std::string type = pointerType(predict.getBlock().getTerminator()->getOperand(0).getType());
  out << "\n"
      << type << className << "::forward(" << parameters(predict) << ") {\nreturn static_cast<"
      << type << ">(predict(Batch" << inputs(predict, predict.getBlock().getNumArguments())
      << "nullptr}));\n}\n";
}

} // namespace mparc::emit
