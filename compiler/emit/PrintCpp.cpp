// The frame of an emitted file, top to bottom: head, functors, the class, its functions, main, and
// last the tables that the runtime reads, which a person rarely does.
// Decides nothing: preparing and naming are passes, formatting comes after.
#include "emit/Emit.h"
#include "emit/FilePrinter.h"
#include "emit/PrintCalls.h"
#include "emit/PrintHead.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

//===- Functors
//-------------------------------------------------------------------------------------===//

void FilePrinter::printFunctors(llvm::raw_ostream &out) {
  llvm::MapVector<StringRef, MapOp> functors;
  ModelOp(index.model).walk([&](MapOp map) {
    functors.insert({map->getAttrOfType<StringAttr>(kFunctor), map});
  });
  if (functors.empty())
    return;
  out << "\n// What the loops compute of one element each.\nnamespace {\n";
  for (auto [name, map] : functors)
    out << "\nstruct " << name << " {\n" << printFunctorBody(map) << "};\n";
  out << "\n} // namespace\n";
}

//===- The class
//------------------------------------------------------------------------------------===//

/// `const float *x = nullptr; // [rows, 12]`
static void printPointer(Value value, StringRef name, llvm::raw_ostream &out) {
  bool readOnly = isa<BlockArgument>(value) || isa<TransferOp>(value.getDefiningOp());
  out << (readOnly ? "const " : "") << elementTypeName(getElementTypeOrSelf(value.getType()))
      << " *" << name << " = nullptr; // " << shapeComment(value.getType()) << "\n";
}

/// `float *const weight_ = device(1).parameters() + 64; // [out 8, in 8]`
static void printParameter(ParameterOp parameter, llvm::raw_ostream &out) {
  Type element = parameter.getTensorType().getElementType();
  int64_t offset = parameter->getAttrOfType<BufferAttr>(kBuffer).getOffset();
  std::string place =
      llvm::formatv("device({0}).parameters()", getDevice(parameter).value_or(0)).str();
  if (offset != 0)
    place += " + " + std::to_string(offset);
  if (!element.isF32())
    place = llvm::formatv("reinterpret_cast<{0} *>({1})", elementTypeName(element), place).str();
  out << elementTypeName(element) << " *const "
      << parameter->getAttrOfType<StringAttr>(kName).getValue() << " = " << place << "; // "
      << shapeComment(parameter.getTensorType()) << alsoComment(parameter) << "\n";
}

void FilePrinter::printMembers(llvm::raw_ostream &out) {
  bool hasBuffers = llvm::any_of(ModelOp(index.model).getOps<ParameterOp>(),
                                 [](ParameterOp parameter) { return parameter.getUntrained(); });
  if (!index.parameters.empty())
    out << "\n// Parameters" << (hasBuffers ? " and buffers" : "")
        << ", in the arenas of their devices.\n";
  for (auto parameter : ModelOp(index.model).getOps<ParameterOp>())
    printParameter(parameter, out);
  bool first = true;
  if (hasSchedule())
    out << "\n// Stages of a step by number, and parts of microbatches, where devices have "
           "workers.\n"
        << "using Stage = void (" << className
        << "::*)(Part &);\nstatic const Stage stages_[];\nstd::vector<Part> parts_;\n";
  forEachShared(Holder::model, [&](Value value, StringRef name) {
    if (first)
      out << "\n// Values of all rows together; they live for a call.\n";
    first = false;
    printPointer(value, name, out);
  });
}

/// Calls `visit` for the arguments and results of all programs that functions share and `holder`
/// has, once for each name.
void FilePrinter::forEachShared(Holder holder, llvm::function_ref<void(Value, StringRef)> visit) {
  llvm::StringSet<> known;
  CallPrinter names(index, llvm::nulls(), "");
  auto meet = [&](Value value) {
    std::string name = names.name(value);
    if (holder == Holder::part)
      name.erase(0, 1); // the point
    if (known.insert(name).second)
      visit(value, name);
  };
  for (ProgramOp program : {index.train, index.evaluate, index.predict}) {
    if (!program)
      continue;
    for (BlockArgument argument : program.getBlock().getArguments())
      if (!argument.use_empty() && holder == Holder::part)
        meet(argument);
    for (Operation &op : program.getBlock())
      for (Value result : op.getResults())
        if (isMember(result) && getHolder(result) == holder)
          meet(result);
  }
}

void FilePrinter::printPart(llvm::raw_ostream &out) {
  out << "/// Rows that are worked on together, and the values that one function computes of them "
         "and "
         "another reads.\n"
      << "struct Part : mpar::BatchPart {\nusing BatchPart::BatchPart;\n\n";
  forEachShared(Holder::part, [&](Value value, StringRef name) { printPointer(value, name, out); });
  out << "};\n\n";
}

void FilePrinter::printHeaders(llvm::raw_ostream &out) {
  llvm::SmallSetVector<StringRef, 4> headers;
  ModelOp(index.model).walk([&](Operation *op) {
    if (!getForeignFunction(op).empty())
      headers.insert(op->getAttrOfType<StringAttr>("header").getValue());
  });
  if (headers.empty())
    return;
  out << "\n// What the model declares as `extern`, from its folder or one given by -I.\n"
      << "#include \"mpar/extern.h\"\n";
  for (StringRef header : headers)
    out << "#include \"" << header << "\"\n";
}

void FilePrinter::printClass(llvm::raw_ostream &out) {
  out << "\nclass " << className << " final : public mpar::Model {\npublic:\n"
      << "explicit " << className << "(const mpar::Settings &settings = {});\n\n"
      << "/// Forward, backward and update on at most largest_batch() rows. Returns their loss.\n"
      << "float train_step(const mpar::Batch &batch) override;\n"
      << "/// The loss of the rows without training. `output` lives until the next call.\n"
      << "float evaluate(const mpar::Batch &batch, const void *&output) override;\n"
      << "/// The output, which lives until the next call.\n"
      << "const void *predict(const mpar::Batch &batch) override;\n\n";
  auto shapes = [&](ProgramOp program) {
    std::string text, parameters;
    for (BlockArgument argument : program.getBlock().getArguments()) {
      std::string name = parameterName(program, argument.getArgNumber());
      text += (text.empty() ? "" : ", ") + name + " " + shapeComment(argument.getType());
      parameters += pointerType(argument.getType()) + name + ", ";
    }
    return std::pair(text, parameters + "int64_t rows");
  };
  if (index.train) {
    auto [text, parameters] = shapes(index.train);
    out << "/// The same on " << text << ", contiguous.\nfloat train_step(" << parameters << ");\n";
  }
  auto [text, parameters] = shapes(index.predict);
  Type output = index.predict.getBlock().getTerminator()->getOperand(0).getType();
  out << "/// " << text << " → " << shapeComment(output) << ", which lives until the next call.\n"
      << pointerType(output) << "forward(" << parameters << ");\n\n"
      << "/// Devices, parameters and training, as the runtime reads them.\n"
      << "static mpar::ModelDescription describe();\n\nprivate:\n";
  printPart(out);
  for (auto &[program, stages] : functions)
    for (const Function &stage : stages)
      if (!stage.isShared)
        out << "void " << stage.name << "(Part &part);\n";
  if (hasSchedule())
    out << "static void describe_accesses(mpar::Schedule &schedule);\n";
  printMembers(out);
  out << "};\n";
}

void FilePrinter::printConstructor(llvm::raw_ostream &out) {
  out << "\n"
      << className << "::" << className
      << "(const Settings &settings)\n: Model(describe(), settings)";
  if (replicas() > 1)
    out << " {\nadd_replicas<" << className << ">(settings);\n}\n";
  else
    out << " {}\n";
}

void FilePrinter::printMain(llvm::raw_ostream &out) {
  out << "\nint main(int argc, char **argv) {\n"
      << "return run_program(argc, argv, " << className << "::describe(),\n"
      << "[](const Settings &settings) -> std::unique_ptr<Model> {\n"
      << "return std::make_unique<" << className << ">(settings);\n});\n}\n";
}

EmittedText FilePrinter::print() {
  for (ProgramOp program : {index.train, index.evaluate, index.predict})
    if (program)
      functions[program] = makeFunctions(program);
  shareFunctions();

  EmittedText text;
  llvm::raw_string_ostream source(text.source), header(text.header);
  printHead(index, options, source);
  bool declareApart = !options.header.empty();
  if (declareApart) {
    header << "// The declaration of " << inComment(options.source) << "'s model "
           << index.model.getSymName() << "; its definition has the details.\n"
           << "// Written by mparc " << options.version << ": " << inComment(options.command)
           << "\n#pragma once\n\n#include \"mpar/model.h\"\n#include \"mpar/part.h\"\n\n#include "
              "<cstdint>\n";
    printClass(header);
    source << "\n#include \"" << options.header << "\"\n";
  }
  source << "\n#include \"mpar/mpar.h\"\n";
  printHeaders(source);
  source << "\n#include <cstdint>\n#include "
            "<initializer_list>\n#include "
            "<iterator>\n#include <memory>\n#include <vector>\n"
         << "\nusing namespace mpar;\n";
  printFunctors(source);
  if (!declareApart)
    printClass(source);
  std::string refusal =
      "fail(" +
      quote("model " + index.model.getSymName().str() + " has no train block: it only predicts") +
      ")";
  if (index.train)
    printProgram(index.train, "float " + className + "::train_step(const Batch &batch)", source);
  else
    source << "\nfloat " << className << "::train_step(const Batch &) {\n" << refusal << ";\n}\n";
  if (index.evaluate)
    printProgram(index.evaluate,
                 "float " + className + "::evaluate(const Batch &batch, const void *&output)",
                 source);
  else
    source << "\nfloat " << className << "::evaluate(const Batch &, const void *&) {\n"
           << refusal << ";\n}\n";
  printProgram(index.predict, "const void *" + className + "::predict(const Batch &batch)", source);
  printOverloads(source);
  printConstructor(source);
  if (options.main)
    printMain(source);
  if (hasSchedule())
    printStageTable(index.train, source);
  source << "\n";
  printDescription(index, options, source);
  if (hasSchedule())
    printAccesses(index, source);
  return text;
}

EmittedText printCpp(ModelOp model, const EmitOptions &options) {
  return FilePrinter(model, options).print();
}

} // namespace mparc::emit
