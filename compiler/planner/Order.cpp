// Dependences of instructions, and the least waits for them.
#include "planner/Order.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace mparc::mp {

/// Appends the instructions that read `value` where it lies: through reshapes, and through
/// transfers, between devices that share memory.
static void findReaders(Value value, std::vector<Operation *> &readers) {
  for (Operation *user : value.getUsers()) {
    if (isInstruction(user))
      readers.push_back(user);
    if (isa<ReshapeOp, TransferOp>(user))
      findReaders(user->getResult(0), readers);
  }
}

Dependences::Dependences(ProgramOp program) {
  llvm::DenseSet<Attribute> trained;
  for (GradientOp gradient : program.getBlock().getOps<GradientOp>()) {
    trained.insert(gradient.getParameterAttr());
    if (Operation *producer = getProducer(gradient.getValue()))
      beforeUpdate[getDevice(gradient).value_or(0)].push_back(producer);
  }
  for (AssignOp assign : program.getBlock().getOps<AssignOp>())
    beforeAssignment[assign.getParameterAttr()];
  for (ReadOp read : program.getBlock().getOps<ReadOp>()) {
    if (auto readers = beforeAssignment.find(read.getParameterAttr());
        readers != beforeAssignment.end())
      findReaders(read.getResult(), readers->second);
    if (trained.contains(read.getParameterAttr()))
      findReaders(read.getResult(), beforeUpdate[getDevice(read).value_or(0)]);
  }
}

std::vector<Operation *> Dependences::get(Operation *op) const {
  if (isa<UpdateOp>(op))
    return beforeUpdate.lookup(getDevice(op).value_or(0));
  std::vector<Operation *> producers;
  if (auto assign = dyn_cast<AssignOp>(op))
    for (Operation *reader : beforeAssignment.lookup(assign.getParameterAttr()))
      if (reader != op)
        producers.push_back(reader);
  for (Value operand : op->getOperands())
    if (Operation *producer = getProducer(operand))
      producers.push_back(producer);
  return producers;
}

SmallVector<int64_t> findWaits(const Clocks &clocks, Operation *op,
                               std::vector<Operation *> earlier) {
  // Latest first: what one waits for may cover an earlier one, never a later.
  llvm::sort(earlier, [](Operation *a, Operation *b) { return getOrder(a) > getOrder(b); });
  SmallVector<int64_t> waits;
  for (Operation *other : earlier)
    if (!clocks.isBefore(other, op, waits))
      waits.push_back(getOrder(other));
  std::reverse(waits.begin(), waits.end());
  return waits;
}

void assignOrder(ProgramOp program) {
  Builder builder(program.getContext());
  Dependences dependences(program);
  Clocks clocks;
  int64_t order = 0;
  for (Operation &op : program.getBlock()) {
    if (!isInstruction(&op))
      continue;
    op.setAttr(kOrder, builder.getI64IntegerAttr(order++));
    op.setAttr(kStream, builder.getStringAttr(getStreamName(&op)));
    op.setAttr(kWaits, builder.getDenseI64ArrayAttr(findWaits(clocks, &op, dependences.get(&op))));
    clocks.issue(&op);
  }
}

} // namespace mparc::mp
