//===- Train.h - What a train block says ------------------------------------===//

#ifndef MPARC_FRONTEND_TRAIN_H
#define MPARC_FRONTEND_TRAIN_H

#include "frontend/Instantiate.h"

#include <variant>

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

/// How the learning rate changes: the call's name, and its arguments by name; whole numbers are
/// int64_t.
struct ScheduleSettings {
  std::string kind;
  std::vector<std::pair<std::string, std::variant<int64_t, double>>> numbers;
};

/// A pattern of parameters' paths, and where it is written.
struct ParameterPattern {
  std::string text;
  SourceRange where;
};

/// A train block, its entries evaluated.
struct TrainSettings {
  SourceRange range;
  std::optional<DataSettings> data, testData;
  std::string optimizer = "adam";
  /// The optimizer's hyper-parameters by name.
  std::vector<std::pair<std::string, std::variant<double, bool>>> hyperparameters;
  std::optional<ScheduleSettings> schedule;
  /// The largest norm of all gradients together.
  std::optional<double> clipNorm;
  /// Parameters that weight decay leaves alone: those whose path one of these matches.
  std::vector<ParameterPattern> noWeightDecay;
  const ast::LayerDecl *loss = nullptr;
  std::string lossName = "mse";
  SourceRange lossRange;
  llvm::ArrayRef<ast::Argument> lossArguments;
  int64_t epochs = 10, batch = 32, seed = 0;
  bool shuffle = true;
  /// Parts of a batch that go through the devices one after another, and in which order.
  int64_t microbatches = 1;
  std::string pipeline = "gpipe";
  /// Copies of the model that share out a batch, and whether each keeps the optimiser's state of
  /// its share of the parameters alone.
  int64_t replicas = 1;
  bool shardsOptimizer = false;
  /// Gradients that they add up at once, as soon as they are complete; PyTorch's default.
  int64_t bucketBytes = 25 << 20;
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

/// Marks the parameters that weight decay leaves alone. A pattern that matches none is an error.
void markUndecayed(Session &session, const TrainSettings &settings);

} // namespace mparc

#endif // MPARC_FRONTEND_TRAIN_H
