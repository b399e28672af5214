// The state of one run of a program: Interpreter.cpp has its operations, RunParts.cpp the order of
// those of a batch that is cut, RunReplicas.cpp what replicas do together.
#pragma once

#include "interpreter/ElementProgram.h"
#include "interpreter/Interpreter.h"

#include "llvm/ADT/StringSet.h"

namespace mparc::interpreter {

/// One run of a program.
template <typename Scalar> class Run {
public:
  Run(mp::ModelOp model, mp::ProgramOp program, const Inputs &inputs, const RunOptions &options)
      : model_(model), program_(program), inputs_(inputs), options_(options),
        surroundings_{options.rows, options.seed, options.step, options.trace, options.lossScale} {}

  mlir::FailureOr<Outcome> run();

private:
  mlir::LogicalResult execute(mlir::Operation *op);
  mlir::LogicalResult runWhole();
  void releaseAfter(mlir::Operation *op);
  void numberElements(mlir::Operation *op);
  mlir::LogicalResult noteScale(mp::UpdateOp op);

  mlir::FailureOr<Outcome> collect();
  void findLastUses();
  /// Whose memory a value is in: a reshape is its operand, and so is a transfer that copies
  /// nothing.
  mlir::Value root(mlir::Value value) const;
  const View &get(mlir::Value value) const { return storage_->get(value); }

  // In parts of the batch (RunParts.cpp):
  /// Rows that are worked on together: the first, and how many.
  using Part = std::pair<int64_t, int64_t>;
  /// Of each replica, where parts have statistics of their own; else of all as one, whose sums are
  /// theirs already. None where the batch is not cut.
  using Parts = llvm::SmallVector<llvm::SmallVector<Part>>;
  Parts findParts() const;
  /// The operations before the parts, in each, and after them.
  struct Phases {
    llvm::SmallVector<mlir::Operation *> before, during, after;
  };
  Phases sortByPhase();
  mlir::LogicalResult prepare(const Parts &parts);
  mlir::LogicalResult runAll(llvm::ArrayRef<mlir::Operation *> ops);
  mlir::LogicalResult runParts(llvm::ArrayRef<Part> parts,
                               llvm::ArrayRef<mlir::Operation *> during);
  mlir::LogicalResult runInParts(const Parts &parts);
  mlir::LogicalResult runTurns(llvm::ArrayRef<Part> parts,
                               llvm::ArrayRef<mlir::Operation *> during);
  mlir::LogicalResult assignBuffers(const llvm::StringMap<Tensor> &values);
  void enterRows(Part part);
  void keepReturned(Part part);

  // With replicas that have memory of their own (RunReplicas.cpp):
  /// Whether this is so: with a plan, and not just a few rows at a time.
  bool hasReplicas() const;
  mlir::LogicalResult runReplicas(const Parts &parts);
  mlir::LogicalResult runOwn(llvm::ArrayRef<Part> parts, const Phases &phases);
  /// What a collective is over, of each replica.
  template <typename Op> mlir::LogicalResult viewRanges(Op op, llvm::SmallVectorImpl<View> &views);
  mlir::LogicalResult reduce(mp::ReduceScatterOp op, size_t active);
  mlir::LogicalResult gather(mp::AllGatherOp op);
  mlir::LogicalResult descend(mp::UpdateOp op);
  mlir::LogicalResult gatherGradients();
  mlir::LogicalResult checkParameters();
  /// What falls to a replica of a range, in elements of it from the first to behind the last.
  std::pair<int64_t, int64_t> shareOf(mlir::Operation *op, mp::BufferAttr from, int64_t count,
                                      size_t replica) const;
  int64_t trainedFloats(mlir::Operation *op) const;

  /// Binds the program's arguments to rows of the inputs.
  void bindArguments(Part part);

  mp::ModelOp model_;
  mp::ProgramOp program_;
  const Inputs &inputs_;
  const RunOptions &options_;
  Surroundings surroundings_;
  llvm::StringMap<Tensor> cut_; // values of parameters, where some are pieces
  std::unique_ptr<Storage> storage_;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Value, 2>> dying_; // after an operation
  llvm::DenseSet<mlir::Operation *> skipped_;
  std::vector<std::pair<llvm::StringRef, mlir::Value>> gradients_;
  llvm::DenseMap<mlir::Value, Tensor> returned_; // what is returned of all parts
  std::optional<Tensor> scale_;                  // of the gradients
  llvm::StringSet<> assigned_;                   // names of buffers
  bool inParts_ = false;
  bool isScaled_ = false; // the loss
  llvm::StringMap<mp::ParameterOp> buffers_;
  int64_t firstRow_ = 0, partRows_ = 0;      // of the part that is being worked on
  int64_t origin_ = 0;                       // the first row of all parts
  std::vector<std::unique_ptr<Run>> others_; // replicas, which this one is the first of
  std::vector<Run *> replicas_;              // with this one
};

} // namespace mparc::interpreter
