//===- TrainReader.h - Reads the entries of a train block -------------------===//

#ifndef MPARC_FRONTEND_TRAINREADER_H
#define MPARC_FRONTEND_TRAINREADER_H

#include "frontend/Train.h"

namespace mparc {

/// What numbers an argument may be.
enum class Range { atLeastZero, aboveZero, belowOne, any };

/// Evaluates entries one by one into the settings. Errors are reported; what they concern keeps its
/// default.
class TrainReader {
public:
  TrainReader(Session &theSession, TrainSettings &result)
      : session(theSession), settings(result), evaluator(session, nullptr) {}

  void read(llvm::StringRef name, const ast::Expr &value);
  void finish();

private:
  std::optional<DataSettings> data(llvm::StringRef entry, const ast::Expr &value);
  std::optional<std::string> fileName(const ast::Expr &expr, const std::string &what);
  void loss(const ast::Expr &value);
  /// TrainOptimizer.cpp
  void optimizer(const ast::Expr &value);
  void schedule(const ast::Expr &value);
  void clipNorm(const ast::Expr &value);
  void noWeightDecay(const ast::Expr &value);
  std::optional<double> number(const ast::Expr &expr, const std::string &what);
  std::optional<int64_t> atLeastOne(llvm::StringRef name, const ast::Expr &value);
  std::optional<bool> truth(const std::string &what, const ast::Expr &value);
  /// A call, or a bare name as one without arguments.
  const Identifier *callee(const ast::Expr &value, CallSite &site);
  void setHyperparameters(llvm::StringRef optimizer);
  void readBetas(const Actual &actual, const std::string &what);
  void checkNesterov(SourceRange where);
  /// A number within its range, or nothing after an error.
  std::optional<double> number(const ast::Expr &expr, const std::string &what, Range range);

  Session &session;
  TrainSettings &settings;
  Evaluator evaluator;
};

} // namespace mparc

#endif // MPARC_FRONTEND_TRAINREADER_H
