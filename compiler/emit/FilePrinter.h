// The printer of one emitted file. PrintCpp.cpp has its frame, PrintStages.cpp the functions that
// compute, PrintPrograms.cpp those that call them.
#pragma once

#include "emit/Emit.h"
#include "emit/Functors.h"
#include "emit/Text.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

namespace mparc::emit {

/// A private member function of the class: one stage of a program.
struct Function {
  std::string name;
  std::string body;
  std::string layers = {}; // for the reader of the caller
  int64_t device = 0;
  int64_t from = -1;     // of a transfer
  std::string when = {}; // "before" or "after" the parts of a batch; empty: for each, or for a
                         // batch that is not cut
  bool updates = false;  // parameters: what threads share out by parameters, not by rows
  bool readsGradients = false; // or writes them, other than by an update
  bool isShared = false; // another program's function of that name, which is the same, is called
};

class FilePrinter {
public:
  FilePrinter(mp::ModelOp model, const EmitOptions &options)
      : index(model), options(options),
        className(model->getAttrOfType<mlir::StringAttr>(kClass).str()) {}
  EmittedText print();

private:
  void printFunctors(llvm::raw_ostream &out);
  /// Includes the headers whose functions are called.
  void printHeaders(llvm::raw_ostream &out);
  void printClass(llvm::raw_ostream &out);
  void printMembers(llvm::raw_ostream &out);
  void printPart(llvm::raw_ostream &out);
  void forEachShared(Holder holder, llvm::function_ref<void(mlir::Value, llvm::StringRef)> visit);
  void printConstructor(llvm::raw_ostream &out);
  void printMain(llvm::raw_ostream &out);
  std::vector<Function> makeFunctions(mp::ProgramOp program);
  /// Lets programs call the functions of earlier ones that are the same.
  void shareFunctions();
  std::string layerComment(mlir::Operation *op);
  std::string transferComment(mp::TransferOp transfer);
  /// The three functions of mpar::Model, each followed by the stages it calls.
  void printProgram(mp::ProgramOp program, llvm::StringRef signature, llvm::raw_ostream &out);
  /// What the rows called `part` find in the batch.
  void printArguments(mp::ProgramOp program, llvm::StringRef part, llvm::raw_ostream &out);
  void printSums(mp::ProgramOp program, llvm::raw_ostream &out);
  void printTurns(mp::ProgramOp program, llvm::raw_ostream &out);
  void printReturn(mp::ProgramOp program, llvm::raw_ostream &out);
  /// The functions of a step by number, as workers take them.
  void printStageTable(mp::ProgramOp program, llvm::raw_ostream &out);
  /// A training step of several replicas.
  void printReplicas(mp::ProgramOp program, llvm::raw_ostream &out);
  /// Whether processes can share out the devices.
  bool hasSeveralDevices() {
    auto devices = mp::ModelOp(index.model)->getAttrOfType<mlir::ArrayAttr>("mp.devices");
    return devices.size() > 1 || replicas() > 1;
  }
  /// Whether devices may have workers, which take the stages of a step in turns.
  bool hasSchedule() {
    mp::ProgramOp train = index.train;
    return train && train->hasAttr(mp::kTurns);
  }
  int64_t replicas() {
    mp::TrainingOp training = index.training;
    return training ? training.getReplicas() : 1;
  }
  void printParts(mp::ProgramOp program, llvm::raw_ostream &out);
  void printOverloads(llvm::raw_ostream &out);
  /// The C++ name of an argument where it is one of a function's: without the member's underscore.
  static std::string parameterName(mp::ProgramOp program, unsigned number);
  static std::string pointerType(mlir::Type tensor) {
    return "const " + elementTypeName(mlir::getElementTypeOrSelf(tensor)) + " *";
  }

  ModelIndex index;
  const EmitOptions &options;
  std::string className;
  llvm::MapVector<mlir::Operation *, std::vector<Function>> functions; // by program
};

} // namespace mparc::emit
