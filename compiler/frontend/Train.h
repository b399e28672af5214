//===- Train.h - What a train block says ------------------------------------===//

#ifndef MPARC_FRONTEND_TRAIN_H
#define MPARC_FRONTEND_TRAIN_H

#include "frontend/Instantiate.h"

namespace mparc {

/// Where data comes from: the arguments of `csv`, `npy`, `text` or `tokens`.
struct DataSettings {
  std::string kind;
  /// One; of `npy` one an input.
  std::vector<std::string> paths;
  SourceRange pathsRange;
  std::string targetsPath;
  std::optional<int64_t> inputs, targets;
  SourceRange inputsRange, targetsRange;
  std::optional<double> test;
  /// Of `text` and `tokens`: the tokens of a row. Where it is not given, the model's signature says
  /// it.
  std::optional<int64_t> context;
  /// Of `tokens`: "u8", "u16", "i32", or empty.
  std::string tokenType;
};

/// A train block, its entries evaluated.
struct TrainSettings {
  SourceRange range;
  std::optional<DataSettings> data, testData;
  std::string optimizer = "adam";
  /// The optimizer's hyper-parameters by name.
  std::vector<std::pair<std::string, double>> hyperparameters;
  const ast::LayerDecl *loss = nullptr;
  std::string lossName = "mse";
  SourceRange lossRange;
  llvm::ArrayRef<ast::Argument> lossArguments;
  int64_t epochs = 10, batch = 32, seed = 0;
  bool shuffle = true;
};

/// Evaluates the entries of a train block, with those that options replace. Errors are reported;
/// what they concern keeps its default.
TrainSettings readTrain(Session &session, const ast::TrainDecl &train);

/// Whether data of this kind is one sequence of tokens: `text` or `tokens`.
bool isTokenData(llvm::StringRef kind);
/// The arguments of such data in the entry `data` or `test_data`.
std::optional<DataSettings> readTokenData(Session &session, Evaluator &evaluator,
                                          llvm::StringRef entry, const CallSite &site);
/// The argument `test` of any data: a part of the rows, in [0, 1).
std::optional<double> readTestPart(Session &session, Evaluator &evaluator, llvm::StringRef entry,
                                   const ast::Expr &expr, const std::string &what);

} // namespace mparc

#endif // MPARC_FRONTEND_TRAIN_H
