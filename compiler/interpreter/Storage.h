// Where the values of a run lie: one piece of memory each, or, in the phase calls, where the memory
// plan says.
#pragma once

#include "interpreter/Tensor.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

#include <map>
#include <memory>

namespace mparc::interpreter {

/// Memory of one run of a program. Everything begins as NaN (bytes 0xff), so that what is read
/// before it is written, or after it is overwritten, shows in the results.
class Storage {
public:
  virtual ~Storage() = default;

  /// Where the result of an operation is to be written. Fails, with a diagnostic, where the plan
  /// gives it no place or one outside its region.
  virtual mlir::FailureOr<View> define(mlir::Value result) = 0;
  /// Makes the result of a reshape its operand's memory. With a plan it is what lies where the plan
  /// puts the result, should that be another place.
  virtual mlir::LogicalResult alias(mlir::Value result, mlir::Value operand) = 0;
  /// The value has been read for the last time.
  virtual void release(mlir::Value value) = 0;
  /// The value is a gradient: it is read once more when the program has ended.
  virtual void keep(mlir::Value value) = 0;
  /// What a parameter's gradient holds once the program has ended; `value` is what `mp.gradient`
  /// was given. With a plan, whatever lies in the parameter's place of the gradients.
  virtual mlir::FailureOr<View> gradient(mp::ParameterOp parameter, mlir::Value value) = 0;
  /// Sets a buffer. With a plan its memory changes, for whoever wrongly reads it later; `forReads`:
  /// what has read it shows the new value in any case.
  virtual mlir::LogicalResult assign(mp::ParameterOp buffer, const View &value, bool forReads) = 0;
  /// What a buffer that was set holds once the program has ended.
  virtual mlir::FailureOr<View> assigned(mp::ParameterOp buffer) = 0;

  /// Elements of a region of the arena of the operation's device, whatever lies there. Fails, with
  /// a diagnostic, without a plan.
  virtual mlir::FailureOr<View> range(mlir::Operation *op, mp::BufferAttr from, int64_t count,
                                      mlir::Type element) = 0;

  /// The elements of a value that has been defined.
  const View &get(mlir::Value value) const {
    if (own_)
      if (auto found = own_->find(value); found != own_->end())
        return found->second;
    return views_.at(value);
  }
  /// Makes a value one with another, or with memory that outlives the run.
  void bind(mlir::Value value, View view) { (own_ ? *own_ : views_)[value] = std::move(view); }

  /// Values are a microbatch's own from now on; of `none`, all microbatches'.
  static constexpr int64_t none = -1;
  void enter(int64_t microbatch) {
    microbatch_ = microbatch;
    own_ = microbatch == none ? nullptr : &microbatches_[microbatch];
  }
  /// Shows a value of the microbatch to all: a sum over them.
  void share(mlir::Value value) { views_[value] = get(value); }

  /// How many rows the batch has from now on: the next part's.
  virtual void setRows(int64_t rows) = 0;

  /// NaN in every byte.
  void poison(const View &view) const;

protected:
  explicit Storage(int64_t realBytes) : realBytes_(realBytes) {}
  int64_t bytesOf(const View &view) const {
    return view.count() * getElementBytes(view.kind, realBytes_);
  }

  int64_t realBytes_;
  llvm::DenseMap<mlir::Value, View> views_;
  std::map<int64_t, llvm::DenseMap<mlir::Value, View>> microbatches_;
  llvm::DenseMap<mlir::Value, View> *own_ = nullptr; // the microbatch's that has been entered
  int64_t microbatch_ = none;
};

/// What the storage of a run depends on.
struct StorageOptions {
  int64_t realBytes = 4;    // 4: float, 8: double; the plan's offsets scale with it
  int64_t rows = 1;         // of the batch
  int64_t largestBatch = 0; // what the rows region is laid out for, at least `rows`; 0: just those
  bool slots = false;       // as many times the rows as microbatches are under way at once
  bool poisonDead = false;  // fill a buffer with NaN after its last use
};

/// For phases before calls: memory of its own for each value. For calls: one arena a device, as
/// planned. `parameters` hold the model's, by name; they are copied into the arenas. Fails, with a
/// diagnostic, where the plan is incomplete.
mlir::FailureOr<std::unique_ptr<Storage>> makeStorage(mp::ModelOp model,
                                                      const llvm::StringMap<Tensor> &parameters,
                                                      const StorageOptions &options);

/// Whether the model has a memory plan: whether it is in the phase calls.
bool hasPlan(mp::ModelOp model);

} // namespace mparc::interpreter
