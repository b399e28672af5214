//===- Session.h - What one run of the front end shares ---------------------===//

#ifndef MPARC_FRONTEND_SESSION_H
#define MPARC_FRONTEND_SESSION_H

#include "frontend/Diagnostics.h"
#include "frontend/Externs.h"
#include "frontend/Frontend.h"
#include "frontend/Library.h"
#include "frontend/Splits.h"
#include "frontend/Values.h"

#include <set>
#include <tuple>

namespace mparc {

/// Limits that keep a short text from expanding without end.
constexpr int64_t maxOperations = 250000;
constexpr int64_t maxIterations = 1000000;
constexpr int64_t maxInstances = 100000;
constexpr int64_t maxCalls = 250000;
constexpr int64_t maxNames = 100000;
constexpr unsigned maxLayerNesting = 256;
constexpr int64_t maxDevice = 4095;
constexpr int64_t maxElements = int64_t(1) << 40;

class Session {
public:
  Session(mlir::MLIRContext &mlirContext, llvm::SourceMgr &sourceMgr,
          const FrontendOptions &frontendOptions)
      : context(mlirContext), sources(sourceMgr), options(frontendOptions),
        diagnostics(context, sources), library(sources, diagnostics, options.stdlibDirectory) {}

  mlir::MLIRContext &context;
  llvm::SourceMgr &sources;
  const FrontendOptions &options;
  Diagnostics diagnostics;
  Library library;
  Externs externs;
  Splits splits;
  std::vector<std::unique_ptr<Instance>> instances;
  std::vector<std::unique_ptr<ParameterInfo>> parameters;
  std::vector<std::unique_ptr<Origin>> origins;

  /// Reports an error once, however often the text is expanded. The reference takes notes.
  Report &error(SourceRange where, const llvm::Twine &message);
  /// "… is not supported by this version".
  Report &unsupported(SourceRange where, const llvm::Twine &what);

  /// Notes that the name at a place has been found to be unknown; false if it was noted before.
  bool markUnknown(SourceRange where) {
    return unknown.insert({where.buffer, where.begin.offset}).second;
  }

  /// Counts one iteration of a loop, one operation, one instance. False, with an error at `where`,
  /// where there are too many; from then on `isStopped`.
  bool countIteration(SourceRange where) {
    return count(iterations, maxIterations, where, "iterations");
  }
  bool countOperation(SourceRange where) {
    return count(operations, maxOperations, where, "operations");
  }
  bool countInstance(SourceRange where) { return count(layers, maxInstances, where, "layers"); }
  bool countCall(SourceRange where) { return count(calls, maxCalls, where, "calls of layers"); }
  bool countName(SourceRange where) { return count(names, maxNames, where, "names of layers"); }
  /// Where the text being expanded is used from, outermost first: an error in the standard
  /// library's text is reported where the user made or called the layer.
  llvm::SmallVector<SourceRange> sites;
  bool isStopped() const { return stopped; }
  /// After an error that would come back over and over: nothing is expanded any more.
  void stop() { stopped = true; }
  void startProgram() { operations = calls = 0; }

  const Origin *makeOrigin(SourceRange where, std::string what);
  /// The text of a range.
  llvm::StringRef text(const SourceRange &range) const;
  mlir::Type f32() const { return mlir::Float32Type::get(&context); }
  mlir::Type i32() const { return mlir::IntegerType::get(&context, 32); }
  mlir::Type boolean() const { return mlir::IntegerType::get(&context, 1); }
  mp::DimensionsAttr dims(llvm::ArrayRef<mp::DimensionAttr> dimensions) const {
    return mp::DimensionsAttr::get(&context, dimensions);
  }

private:
  bool count(int64_t &counter, int64_t limit, SourceRange where, llvm::StringRef what);

  int64_t iterations = 0, operations = 0, layers = 0, calls = 0, names = 0;
  bool stopped = false;
  std::set<std::tuple<unsigned, uint32_t, std::string>> reported;
  std::set<std::pair<unsigned, uint32_t>> unknown;
  /// Where the user makes or calls layers of the standard library in which something is wrong.
  std::set<std::pair<unsigned, uint32_t>> brokenSites;
  Report discarded;
};

} // namespace mparc

#endif // MPARC_FRONTEND_SESSION_H
