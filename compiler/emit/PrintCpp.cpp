// The whole of an emitted file, top to bottom: head, functors, the class, and the step in the order
// it happens. Decides nothing: preparing and naming are passes, formatting comes after.
#include "emit/Emit.h"
#include "emit/Functors.h"
#include "emit/PrintCalls.h"
#include "emit/PrintHead.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {
namespace {

/// A private member function of the class: one stage of a program.
struct Function {
  std::string name;
  std::string body;
  std::string layers; // for the reader of the caller
  bool usesRows = false;
  std::string when; // "before" or "after" the parts of a batch; empty: for each, or for a batch
                    // that is not cut
};

class FilePrinter {
public:
  FilePrinter(ModelOp model, const EmitOptions &options)
      : index(model), options(options), className(model->getAttrOfType<StringAttr>(kClass).str()) {}
  EmittedText print();

private:
  void printFunctors(llvm::raw_ostream &out);
  void printClass(llvm::raw_ostream &out);
  void printMembers(llvm::raw_ostream &out);
  void printConstructor(llvm::raw_ostream &out);
  void printMain(llvm::raw_ostream &out);
  std::vector<Function> makeFunctions(ProgramOp program);
  std::string layerComment(Operation *op);
  std::string transferComment(TransferOp transfer);
  /// The three functions of mpar::Model, each followed by the stages it calls.
  void printProgram(ProgramOp program, StringRef signature, llvm::raw_ostream &out);
  void printArguments(ProgramOp program, bool inParts, llvm::raw_ostream &out);
  void printParts(ProgramOp program, llvm::raw_ostream &out);
  void printOverloads(llvm::raw_ostream &out);
  std::string pointerType(Type tensor) {
    return "const " + elementTypeName(getElementTypeOrSelf(tensor)) + " *";
  }

  ModelIndex index;
  const EmitOptions &options;
  std::string className;
  llvm::MapVector<Operation *, std::vector<Function>> functions; // by program
};

} // namespace

/// The column at which the place in the source stands.
static constexpr size_t kPlaceColumn = 72;

static std::string comment(StringRef text, StringRef place) {
  std::string line = "// " + inComment(text);
  if (!place.empty())
    line +=
        std::string(line.size() < kPlaceColumn ? kPlaceColumn - line.size() : 2, ' ') + place.str();
  return line + "\n";
}

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

//===- Stages
//---------------------------------------------------------------------------------------===//

/// What an operation outside of all layers does: `relu gradient`.
static std::string words(Operation *op) {
  auto functor = op->getAttrOfType<StringAttr>(kFunctor);
  if (!functor)
    return op->getName().stripDialect().str();
  std::string text;
  for (char c : functor.getValue()) {
    if (llvm::isUpper(c) && !text.empty())
      text += ' ';
    text += llvm::toLower(c);
  }
  return text;
}

/// The declaration an operation belongs to, or its own place in the source.
std::string FilePrinter::layerComment(Operation *op) {
  if (auto path = op->getAttrOfType<StringAttr>(kLayer))
    for (StringRef name = path.getValue(); !name.empty(); name = name.rsplit('.').first) {
      if (auto layer = index.layers.find(name); layer != index.layers.end())
        return comment(layer->second.getText().take_front(kPlaceColumn - 8),
                       placeComment(layer->second.getLoc()));
      if (!name.contains('.'))
        break;
    }
  if (isa<UpdateOp>(op))
    return "";
  TrainingOp training = index.training;
  if (op->getAttrOfType<StringAttr>(kLayer) && training)
    return comment(("loss = " + training.getLoss()).str(), placeComment(training.getLoc()));
  return comment(words(op), placeComment(op->getLoc()));
}

std::string FilePrinter::transferComment(TransferOp transfer) {
  // The copy is called after what it is a copy of.
  StringRef name = transfer->getAttrOfType<StringAttr>(kName).getValue();
  name = name.take_front(name.rfind("_on_"));
  SmallVector<std::string> readers;
  for (Operation *user : transfer->getUsers())
    if (auto layer = user->getAttrOfType<StringAttr>(kLayer))
      if (!llvm::is_contained(readers, layer.getValue()) && readers.size() < 4)
        readers.push_back(layer.str());
  std::string text = name.str() + ": device " + std::to_string(transfer.getFrom()) + " → " +
                     std::to_string(getDevice(transfer).value_or(0)) + ", " +
                     bytesComment(transfer.getType());
  if (!readers.empty())
    text += "; " + llvm::join(readers, ", ") + (readers.size() == 1 ? " reads it" : " read it");
  return comment(text, placeComment(transfer.getLoc()));
}

std::vector<Function> FilePrinter::makeFunctions(ProgramOp program) {
  std::vector<Function> result;
  std::string current, when, body;
  llvm::raw_string_ostream out(body);
  auto calls = std::make_unique<CallPrinter>(index, out);
  std::string lastComment;
  SmallVector<std::string> layers;
  auto finish = [&] {
    if (current.empty())
      return;
    std::string devices;
    for (int64_t number : calls->devices)
      devices +=
          "Device &d" + std::to_string(number) + " = device(" + std::to_string(number) + ");\n";
    result.push_back({current, devices + body, llvm::join(layers, ", "), calls->usesRows, when});
    body.clear();
    layers.clear();
    lastComment.clear();
    calls = std::make_unique<CallPrinter>(index, out);
  };
  for (Operation &op : program.getBlock()) {
    auto function = op.getAttrOfType<StringAttr>(kFunction);
    if (!function)
      continue;
    if (function.getValue() != current) {
      finish();
      current = function.str();
      auto stands = op.getAttrOfType<StringAttr>(kWhen);
      when = stands ? stands.str() : "";
    }
    auto transfer = dyn_cast<TransferOp>(op);
    std::string text = transfer ? transferComment(transfer) : layerComment(&op);
    if (text != lastComment && !text.empty())
      out << "\n" << text;
    lastComment = text;
    if (auto layer = op.getAttrOfType<StringAttr>(kLayer); layer && !transfer)
      if (!llvm::is_contained(layers, layer.getValue()))
        layers.push_back(layer.str());
    calls->print(&op);
  }
  finish();
  return result;
}

//===- Programs
//-------------------------------------------------------------------------------------===//

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

void FilePrinter::printProgram(ProgramOp program, StringRef signature, llvm::raw_ostream &out) {
  bool predicts = program.getSymName() == "predict";
  CallPrinter names(index, out);
  out << "\n" << signature << " {\ncheck(batch);\n";
  if (program.getSymName() == "train")
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

/// The C++ name of an argument where it is one of a function's: without the member's underscore.
static std::string parameterName(ProgramOp program, unsigned number) {
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

//===- The class
//------------------------------------------------------------------------------------===//

void FilePrinter::printMembers(llvm::raw_ostream &out) {
  if (!index.parameters.empty())
    out << "\n// Parameters, in the arenas of their devices.\n";
  for (auto parameter : ModelOp(index.model).getOps<ParameterOp>())
    out << "float *const " << parameter->getAttrOfType<StringAttr>(kName).getValue() << "; // "
        << shapeComment(parameter.getTensorType()) << ", device "
        << getDevice(parameter).value_or(0) << "\n";
  if (index.train && index.train->hasAttr(kRowsAPart))
    out << "\n// The rows of the batch at hand, where the part at hand begins, and whether its "
           "sums are the first.\n"
        << "int64_t batch_rows_ = 0;\nint64_t first_row_ = 0;\nmpar::Store store_ = "
           "mpar::Store::overwrite;\n";
  llvm::StringSet<> known;
  bool first = true;
  auto member = [&](StringRef name, Type type, bool readOnly) {
    if (!known.insert(name).second)
      return;
    out << (first ? "\n// Values that one function computes and another reads; they live for a "
                    "call.\n"
                  : "")
        << (readOnly ? "const " : "") << elementTypeName(getElementTypeOrSelf(type)) << " *" << name
        << " = nullptr; // " << shapeComment(type) << "\n";
    first = false;
  };
  CallPrinter names(index, out);
  for (ProgramOp program : {index.train, index.evaluate, index.predict}) {
    if (!program)
      continue;
    for (BlockArgument argument : program.getBlock().getArguments())
      if (!argument.use_empty())
        member(names.name(argument), argument.getType(), true);
    for (Operation &op : program.getBlock())
      if (op.hasAttr(kMember))
        member(names.name(op.getResult(0)), op.getResult(0).getType(), isa<TransferOp>(op));
  }
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
  for (auto &[program, stages] : functions)
    for (const Function &stage : stages)
      out << "void " << stage.name << "(" << (stage.usesRows ? "int64_t rows" : "") << ");\n";
  printMembers(out);
  out << "};\n";
}

void FilePrinter::printConstructor(llvm::raw_ostream &out) {
  out << "\n"
      << className << "::" << className
      << "(const Settings &settings)\n: Model(describe(), settings)";
  for (auto parameter : ModelOp(index.model).getOps<ParameterOp>()) {
    int64_t offset = parameter->getAttrOfType<BufferAttr>(kBuffer).getOffset();
    out << ",\n"
        << parameter->getAttrOfType<StringAttr>(kName).getValue() << "(device("
        << getDevice(parameter).value_or(0) << ").parameters()";
    if (offset != 0)
      out << " + " << offset;
    out << ")";
  }
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

  EmittedText text;
  llvm::raw_string_ostream source(text.source), header(text.header);
  printHead(index, options, source);
  bool declareApart = !options.header.empty();
  if (declareApart) {
    header << "// The declaration of " << inComment(options.source) << "'s model "
           << index.model.getSymName() << "; its definition has the details.\n"
           << "// Written by mparc " << options.version << ": " << inComment(options.command)
           << "\n#pragma once\n\n#include \"mpar/model.h\"\n\n#include <cstdint>\n";
    printClass(header);
    source << "\n#include \"" << options.header << "\"\n";
  }
  source << "\n#include \"mpar/mpar.h\"\n\n#include <algorithm>\n#include <cstdint>\n#include "
            "<memory>\n"
         << "\nusing namespace mpar;\n";
  printFunctors(source);
  if (!declareApart)
    printClass(source);
  source << "\n";
  printDescription(index, options, source);
  printConstructor(source);
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
  if (options.main)
    printMain(source);
  return text;
}

EmittedText printCpp(ModelOp model, const EmitOptions &options) {
  return FilePrinter(model, options).print();
}

} // namespace mparc::emit
