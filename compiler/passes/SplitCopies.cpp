// Copies that several devices compute alike: where that needs more from other devices than the copy
// itself has, one computes it and the others are sent it.
//
// before   %h0 = mp.add %p0, %p1 {mp.device = 0}     %h1 = mp.add %p0, %p1 {mp.device = 1}
//          %d0 = select %h0, %g {mp.device = 0}      %d1 = select %h1, %g {mp.device = 1}
//          device 1 is sent %p0 and %g, and needs of all that only %d1
// after    what reads %d1 on device 1 reads %d0: device 1 is sent %d0 alone
//
// Copies are equal bit for bit, so it changes none.
#include "passes/Splitter.h"

#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace mparc::mp {

namespace {

/// What would be saved if a value were read of another device rather than computed.
class Cone {
public:
  explicit Cone(Value copy) : device(*getDevice(copy.getDefiningOp())) {
    ops.insert(copy.getDefiningOp());
    for (size_t next = 0; next < ops.size(); ++next)
      for (Value operand : ops[next]->getOperands()) {
        Operation *source = operand.getDefiningOp();
        if (source && getDevice(source) == device && isOnlyReadHere(source))
          ops.insert(source);
      }
  }
  /// The bytes that only these operations need of other devices.
  double countBytes() const {
    double bytes = 0;
    llvm::DenseSet<Value> seen;
    for (Operation *op : ops)
      for (Value operand : op->getOperands())
        if (isElsewhere(operand) && seen.insert(operand).second && !isReadOn(operand, device, &ops))
          bytes += countBytesOf(operand);
    return bytes;
  }
  /// Whether operations of a device, but for some, read a value.
  static bool isReadOn(Value value, int64_t device, const llvm::SetVector<Operation *> *but) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      return getDevice(user) == device && !(but && but->contains(user));
    });
  }

private:
  bool isOnlyReadHere(Operation *op) const {
    return !isa<GradientOp, AssignOp, UpdateOp>(op) &&
           llvm::all_of(op->getUsers(), [&](Operation *user) { return ops.contains(user); });
  }
  bool isElsewhere(Value value) const {
    Operation *source = value.getDefiningOp();
    std::optional<int64_t> from = source ? getDevice(source) : std::nullopt;
    return from && *from != device;
  }

  int64_t device;
  llvm::SetVector<Operation *> ops;
};

} // namespace

void Splitter::shareCopies() {
  // Pieces that differ only in what every device of an axis has whole are equal.
  llvm::EquivalenceClasses<void *> equal;
  auto note = [&](const Spread &spread) {
    for (int64_t index = 0; index < spread.group.size(); ++index)
      for (auto [axis, state] : llvm::enumerate(spread.layout))
        if (state.isWhole())
          for (int64_t other : spread.group.line(index, axis))
            equal.unionSets(spread.pieces[index].getAsOpaquePointer(),
                            spread.pieces[other].getAsOpaquePointer());
  };
  for (auto &[value, spread] : spreads)
    note(spread);
  for (auto &[key, spread] : conversions)
    note(spread);
  // The first of each class that is left, in program order.
  llvm::DenseMap<void *, Value> first;
  SmallVector<Value> copies;
  for (Operation &op : program.getBlock())
    for (Value result : op.getResults()) {
      auto known = equal.findValue(result.getAsOpaquePointer());
      if (known == equal.end() || !getDevice(&op) || isa<ReadOp>(op))
        continue;
      auto [leader, isNew] =
          first.try_emplace(equal.getLeaderValue(result.getAsOpaquePointer()), result);
      if (!isNew && op.getNumResults() == 1 &&
          getDevice(leader->second.getDefiningOp()) != getDevice(&op))
        copies.push_back(result);
    }
  for (Value copy : llvm::reverse(copies)) {
    Operation *op = copy.getDefiningOp();
    Value other = first.lookup(equal.getLeaderValue(copy.getAsOpaquePointer()));
    const int64_t device = *getDevice(op);
    if (op->use_empty())
      continue;
    const double price = Cone::isReadOn(other, device, nullptr) ? 0 : countBytesOf(copy);
    if (Cone(copy).countBytes() > price)
      copy.replaceAllUsesWith(other);
  }
}

} // namespace mparc::mp
