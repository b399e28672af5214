// The functions of mpar::Model, which call the stages in order, and their forms for embedding
// programs.
#include "emit/FilePrinter.h"
#include "emit/PrintCalls.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

void FilePrinter::printArguments(ProgramOp program, StringRef part, llvm::raw_ostream &out) {
  CallPrinter names(index, out, part);
  bool predicts = program.getSymName() == "predict";
  auto arguments = program.getBlock().getArguments();
  for (BlockArgument argument : arguments) {
    if (argument.use_empty())
      continue;
    bool target = !predicts && argument == arguments.back();
    out << names.name(argument) << " = " << (target ? "target_rows<" : "input_rows<")
        << elementTypeName(getElementTypeOrSelf(argument.getType())) << ">(" << part << ", batch, "
        << (target ? "" : std::to_string(argument.getArgNumber()) + ", ")
        << getElementCount(argument.getType()).count << ");\n";
  }
}

/// The calls of the stages that stand so towards the parts of a batch.
static void printStages(const std::vector<Function> &stages, StringRef when, StringRef part,
                        llvm::raw_ostream &out) {
  for (const Function &stage : stages)
    if (stage.when == when)
      out << stage.name << "(" << part << ");"
          << (stage.layers.empty() ? "" : " // " + inComment(stage.layers)) << "\n";
}

/// Sums over the batch that are no gradients: those the runtime knows how to add up itself.
void FilePrinter::printSums(ProgramOp program, llvm::raw_ostream &out) {
  for (Operation &op : program.getBlock())
    for (Value result : op.getResults()) {
      if (!op.hasAttr(kAccumulate) || !isMember(result) ||
          getPlace(result).getRegion() != RegionKind::fixed)
        continue;
      out << "sum_over_threads<" << elementTypeName(getElementTypeOrSelf(result.getType()))
          << ">(whole, " << getDevice(&op).value_or(0) << ", " << getPlace(result).getOffset()
          << ", " << getElementCount(result.getType()).count << "); // " << getName(result) << "\n";
    }
}

void FilePrinter::printStageTable(ProgramOp program, llvm::raw_ostream &out) {
  out << "\n// In the order of the schedule below.\nconst " << className << "::Stage " << className
      << "::stages_[] = {\n";
  llvm::interleave(
      functions[program], out,
      [&](const Function &stage) { out << "&" << className << "::" << stage.name; }, ", ");
  out << "};\n";
}

/// The step of devices that have workers: every stage by its number, in turns.
void FilePrinter::printTurns(ProgramOp program, llvm::raw_ostream &out) {
  out << "if (workers()) {\n"
         "run_turns(whole, parts_, begin, [this](Part &part, int stage) { "
         "(this->*stages_[stage])(part); });\n";
  printReturn(program, out);
  out << "}\n";
}

/// The device that has a result of a program.
static std::string deviceOf(Value result) {
  Operation *op = result.getDefiningOp();
  while (auto reshape = dyn_cast_or_null<ReshapeOp>(op))
    op = reshape.getInput().getDefiningOp();
  return std::to_string(op ? getDevice(op).value_or(0) : 0);
}

/// A batch that is worked through a few rows at a time.
void FilePrinter::printParts(ProgramOp program, llvm::raw_ostream &out) {
  const std::vector<Function> &stages = functions[program];
  int64_t rows = program->getAttrOfType<IntegerAttr>(kRowsAPart).getInt();
  printStages(stages, "before", "whole", out);
  bool trains = program.getSymName() == "train";
  if (!trains)
    out << "\n// " << rows
        << " rows of a microbatch at a time go through all layers, in the memory of one; the "
           "output "
           "is kept.\n"
        << "for_each_part(whole, " << rows << ", [&](Part &part) {\n";
  else if (rows > 0)
    out << "\n// " << rows
        << " rows at a time go through all layers and back: what one leaves in the cache the next "
           "finds\n"
        << "// there. Sums over the batch are sums over these parts, in order.\n"
        << "for_each_part(whole, " << rows << ", [&](Part &part) {\n";
  else
    out << "\n// A microbatch at a time goes through all layers and back: its rows depend on one "
           "another.\n"
        << "for_each_microbatch(whole, [&](Part &part) {\n";
  if (program->hasAttr(kTurns))
    out << "begin(part);\n";
  else
    printArguments(program, "part", out);
  out << "\n";
  printStages(stages, "", "part", out);
  if (!trains) {
    Value output = program.getBlock().getTerminator()->getOperand(0);
    out << "keep_output(part, " << deviceOf(output) << ", "
        << CallPrinter(index, out, "part").name(output) << ");\n";
  }
  out << "});\n";
  // Threads share out microbatches only where rows are the same whoever takes them.
  if (rows > 0)
    printSums(program, out);
  for (const Function &stage : stages)
    if (rows > 0 && stage.when == "after" && stage.readsGradients) {
      out << "whole.add_gradients();\n";
      break;
    }
  // Nothing reads what updates write: they come last, together.
  std::vector<Function> others, updates;
  for (const Function &stage : stages)
    (stage.updates ? updates : others).push_back(stage);
  printStages(others, "after", "whole", out);
  if (updates.empty())
    return;
  out << "for_each_share(whole, [&](Part &part) {\n";
  printStages(updates, "after", "part", out);
  out << "});\n";
}

void FilePrinter::printReturn(ProgramOp program, llvm::raw_ostream &out) {
  CallPrinter names(index, out, "whole");
  auto results = program.getBlock().getTerminator()->getOperands();
  // A sum over the parts of the batch has no pointer of its own.
  for (Value result : results)
    if (result.getDefiningOp() && getHolder(result) == Holder::place)
      out << elementTypeName(getElementTypeOrSelf(result.getType())) << " *const "
          << getName(result) << " = " << (replicas() > 1 ? "" : "whole.") << "device("
          << getDevice(result.getDefiningOp()).value_or(0) << ").fixed<"
          << elementTypeName(getElementTypeOrSelf(result.getType())) << ">("
          << getPlace(result).getOffset() << ");\n";
  // The device that a result lies on may be a GPU, or another process's.
  auto output = [&](Value result, StringRef move) {
    std::string device = deviceOf(result);
    return (move + "(").str() + device + ", " +
           (program->hasAttr(kRowsAPart) ? "kept_output(" + device + ")" : names.name(result)) +
           ", batch.rows)";
  };
  Value last = results.back();
  if (results.size() == 2)
    out << "output = " << output(results[0], "output_for_target") << ";\n";
  if (program.getSymName() == "predict") {
    out << "return " << output(last, "output_from") << ";\n";
    return;
  }
  for (Operation &op : program.getBlock())
    if (isa<UnscaleOp>(op))
      out << "share_loss_scaling(" << getDevice(&op).value_or(0) << ");\n";
  out << "return value_from(" << deviceOf(last) << ", " << names.name(last) << ");\n";
}

int64_t leastRows(ProgramOp train, bool ofPart) {
  int64_t least = 1;
  train.walk([&](ExtentOp extent) {
    if (ofPart && !extent.getOfPart())
      return;
    int64_t scale = extent.getScale(), offset = extent.getOffset();
    if (scale > 0)
      least = std::max(least, -offset / scale + 1);
  });
  return least;
}

void FilePrinter::printProgram(ProgramOp program, StringRef signature, llvm::raw_ostream &out) {
  bool trains = program.getSymName() == "train";
  int64_t least = trains ? leastRows(program) : 1;
  out << "\n"
      << signature << " {\ncheck(batch" << (least > 1 ? ", " + std::to_string(least) : "")
      << ");\n";
  if (trains && program->hasAttr(kRowsAPart) && leastRows(program, true) > 1)
    out << "check_parts(batch.rows);\n";
  if (trains)
    out << "++step();\n";
  const std::vector<Function> &stages = functions[program];
  bool replicated = trains && replicas() > 1;
  if (!trains && replicas() > 1)
    out << "if (batch.rows > largest_share())\nreturn " << program.getSymName()
        << "_on_replicas(batch" << (program.getSymName() == "evaluate" ? ", output" : "") << ");\n";
  if (!replicated)
    out << "Part whole(*this, batch.rows);\n";
  if (replicated) {
    printReplicas(program, out);
  } else if (program->hasAttr(kTurns)) {
    out << "const auto begin = [&](Part &part) {\n";
    printArguments(program, "part", out);
    out << "};\n";
    printTurns(program, out);
  }
  if (replicated) {
  } else if (program->hasAttr(kRowsAPart)) {
    printParts(program, out);
  } else {
    if (program->hasAttr(kTurns))
      out << "begin(whole);\n";
    else
      printArguments(program, "whole", out);
    out << "\n";
    printStages(stages, "", "whole", out);
  }
  out << "\n";
  printReturn(program, out);
  out << "}\n";
  for (const Function &stage : stages)
    if (!stage.isShared)
      out << "\nvoid " << className << "::" << stage.name << "(Part &part) {\n"
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
