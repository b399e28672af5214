// Values that are spread over groups of devices, and what leads from one layout of a value to
// another.
#pragma once

#include "dialect/Groups.h"

#include <string>

namespace mparc::mp {

/// A value as a group has it: one value a device, in the group's order.
struct Spread {
  Group group;
  Layout layout;
  mlir::RankedTensorType type; // of the whole
  llvm::SmallVector<mlir::Value, 4> pieces;
};

/// Builds, before one operation after another, what moves values between layouts, and keeps account
/// of what the devices exchange.
class Resharder {
public:
  explicit Resharder(mlir::MLIRContext *context) : builder(context) {}

  /// From here on, for `reader`.
  void enter(mlir::Operation *reader, bool isBackward);
  /// The value `spread`, which came of `source`, in another layout on the same group.
  Spread change(Spread spread, const Layout &to, mlir::Value source);
  /// The same on another group.
  Spread move(const Spread &spread, const Group &group, const Layout &to, mlir::Value source);
  /// A value without a device: a program's argument, a constant, what every reader makes anew.
  Spread place(mlir::Value value, const Group &group, const Layout &to);
  /// A value of one device.
  static Spread single(mlir::Value value, int64_t device);

  mlir::ArrayAttr getCollectives() { return builder.getArrayAttr(collectives); }
  mlir::OpBuilder &getBuilder() { return builder; }

  /// An operation on a device, called `name`, of the reader's layer.
  template <typename Op, typename... Arguments>
  mlir::Value make(int64_t device, llvm::StringRef name, mlir::Type type,
                   Arguments &&...arguments) {
    auto op = builder.create<Op>(locate(name, device), type, std::forward<Arguments>(arguments)...);
    finish(op, device);
    return op->getResult(0);
  }

private:
  Spread changeAxis(const Spread &spread, unsigned axis, const State &to);
  mlir::Value slice(mlir::Value value, const Cut &cut, Positions positions,
                    mlir::RankedTensorType type, int64_t device);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> pieces, const Cut &cut,
                     mlir::RankedTensorType type, int64_t device);
  mlir::Value combine(llvm::ArrayRef<mlir::Value> terms, ReductionKind kind,
                      mlir::RankedTensorType type, int64_t device);
  mlir::Value maskPiece(DropoutMaskOp mask, const Group &group, const Layout &layout,
                        int64_t index);
  mlir::Value gather(const Spread &spread, int64_t device, unsigned axis, int64_t index);
  void note(llvm::StringRef kind, const Spread &spread, unsigned axis);
  void record(llvm::StringRef kind, llvm::ArrayRef<int64_t> devices, mlir::RankedTensorType type);
  static std::string nameOf(mlir::Value value);
  mlir::Location locate(llvm::StringRef name, int64_t device);
  void finish(mlir::Operation *op, int64_t device);

  mlir::OpBuilder builder;
  mlir::Operation *reader = nullptr;
  bool isBackward = false;
  bool isPartOfAnother = false; // what is made is a step of a collective that is noted already
  std::string name;             // of the value at hand
  llvm::SmallVector<mlir::Attribute> collectives;
};

} // namespace mparc::mp
