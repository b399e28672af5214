// Makes what an operation becomes where it is spread over devices.
#pragma once

#include "dialect/Groups.h"

namespace mparc::mp {

/// Makes operations in the place of another, with its place in the source and its layer: on a
/// device, or else on its group.
class Maker {
public:
  Maker(mlir::Operation *op, mlir::OpBuilder &builder, std::optional<int64_t> device)
      : op(op), builder(builder), device(device) {}

  template <typename Op, typename... Arguments>
  mlir::Value make(mlir::Type type, Arguments &&...arguments) {
    auto made = builder.create<Op>(op->getLoc(), type, std::forward<Arguments>(arguments)...);
    parts.push_back(made);
    for (llvm::StringRef name :
         {llvm::StringRef(kLayer), llvm::StringRef(kDevice), llvm::StringRef(kGroup),
          llvm::StringRef(kEachPart), llvm::StringRef(kRecomputed)})
      if (mlir::Attribute attribute = op->getAttr(name))
        made->setAttr(name, attribute);
    if (device) {
      setDevice(made, *device);
      made->removeAttr(kGroup);
    }
    return made->getResult(0);
  }
  mlir::Value integer(int64_t value, mlir::Type type) {
    return builder.create<ConstantOp>(op->getLoc(), type, builder.getI64IntegerAttr(value));
  }
  mlir::Value real(double value, mlir::Type type) {
    return builder.create<ConstantOp>(op->getLoc(), type, builder.getF64FloatAttr(value));
  }
  mlir::Type withElement(mlir::Type type, mlir::Type element) {
    return getTensorType(op->getContext(), getDimensions(type), element);
  }
  mlir::Type truth(mlir::Type type) { return withElement(type, builder.getI1Type()); }

  llvm::SmallVector<mlir::Operation *> parts;

private:
  mlir::Operation *op;
  mlir::OpBuilder &builder;
  std::optional<int64_t> device;
};

} // namespace mparc::mp
