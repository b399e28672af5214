// Vector clocks over streams (C. Fidge, "Timestamps in message-passing systems that preserve the
// partial ordering", 1988).
#include "planner/Streams.h"

using namespace mlir;

namespace mparc::mp {

bool isInstruction(Operation *op) {
  return !isPlaceless(op) && !isa<ReadOp, ReshapeOp, ReturnOp, GradientOp>(op);
}

Value getSource(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getInput();
  Operation *op = value.getDefiningOp();
  return op && isInstruction(op) ? value : Value();
}

Operation *getProducer(Value value) {
  Value source = getSource(value);
  return source ? source.getDefiningOp() : nullptr;
}

int64_t getOrder(Operation *op) {
  auto order = op->getAttrOfType<IntegerAttr>(kOrder);
  return order ? order.getInt() : -1;
}

ArrayRef<int64_t> getWaits(Operation *op) {
  auto waits = op->getAttrOfType<DenseI64ArrayAttr>(kWaits);
  return waits ? waits.asArrayRef() : ArrayRef<int64_t>();
}

bool PartOrders::isBefore(Operation *op) {
  auto when = op->getAttrOfType<StringAttr>(kWhen);
  return when && when.getValue() == "before";
}

bool PartOrders::isDuring(Operation *op) const {
  return cut && !op->hasAttr(kWhen) && !isa<ReturnOp>(op);
}

PartOrders findParts(Block &block) {
  PartOrders parts;
  parts.cut = block.getParentOp()->hasAttr(kRowsAPart);
  parts.first = -1;
  for (Operation &op : block)
    if (parts.isDuring(&op) && isInstruction(&op)) {
      if (parts.first < 0)
        parts.first = getOrder(&op);
      parts.last = getOrder(&op);
    }
  return parts;
}

bool isPutOff(Operation *op) { return op->hasAttr(kWeights); }

SmallVector<Stream, 2> getStreams(Operation *op) {
  int64_t device = getDevice(op).value_or(0);
  if (auto transfer = dyn_cast<TransferOp>(op))
    return {3 * static_cast<int64_t>(transfer.getFrom()) + 1, 3 * device + 1};
  return {3 * device + (isPutOff(op) ? 2 : 0)};
}

StringRef getStreamName(Operation *op) {
  return isa<TransferOp>(op) ? "communication" : isPutOff(op) ? "weights" : "compute";
}

bool Clocks::covers(const Clock &clock, Operation *earlier) {
  return llvm::any_of(getStreams(earlier), [&](Stream stream) {
    auto known = clock.find(stream);
    return known != clock.end() && known->second >= getOrder(earlier);
  });
}

void Clocks::join(Clock &into, const Clock &other) {
  for (auto [stream, order] : other) {
    int64_t &known = into.try_emplace(stream, order).first->second;
    known = std::max(known, order);
  }
}

bool Clocks::isBefore(Operation *earlier, Operation *op, ArrayRef<int64_t> waits) const {
  for (Stream stream : getStreams(op))
    if (auto known = streams.find(stream); known != streams.end() && covers(known->second, earlier))
      return true;
  return llvm::any_of(waits, [&](int64_t wait) {
    return wait >= 0 && wait < static_cast<int64_t>(finished.size()) &&
           covers(finished[wait], earlier);
  });
}

void Clocks::issue(Operation *op) {
  Clock clock;
  SmallVector<Stream, 2> own = getStreams(op);
  for (Stream stream : own)
    join(clock, streams[stream]);
  for (int64_t wait : getWaits(op))
    join(clock, finished[wait]);
  for (Stream stream : own)
    clock[stream] = getOrder(op);
  for (Stream stream : own)
    streams[stream] = clock;
  finished.push_back(std::move(clock));
}

} // namespace mparc::mp
