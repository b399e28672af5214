// Calls of what ends a step: the norm and the scale of the gradients, updates, buffers, and what
// replicas do together.
#include "emit/Emit.h"
#include "emit/PrintCalls.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

void CallPrinter::call(SquaredNormOp op) {
  out << "squared_norm(" << device(op) << ", " << size(getElementCount(op.getInput().getType()))
      << ", " << name(op.getInput()) << ", " << (op.getSum() ? name(op.getSum()) : "nullptr")
      << ", " << name(op.getResult()) << ");\n";
}

void CallPrinter::call(ClipScaleOp op) {
  out << "clip_scale(" << device(op) << ", optimizer(), " << name(op.getSquaredNorm()) << ", "
      << name(op.getResult()) << ");\n";
}

void CallPrinter::call(LossScaleOp op) {
  out << "loss_scale(" << device(op) << ", loss_scaling(), " << name(op.getResult()) << ");\n";
}

void CallPrinter::call(UnscaleOp op) {
  out << "unscale(" << device(op) << ", optimizer(), loss_scaling(), " << name(op.getSquaredNorm())
      << ", " << name(op.getResult()) << ");\n";
}

void CallPrinter::call(UpdateOp op) {
  out << op.getOptimizer() << "(" << device(op) << ", optimizer(), "
      << (op.getSkipping() ? "updates()" : "step()")
      << (op.getScale() ? ", " + name(op.getScale()) : "")
      << (op.getSkipping() ? ", NonFinite::skip" : "") << ");\n";
}

/// A call over the same range of all replicas.
template <typename Op> static std::string rangeCall(StringRef function, Op op, StringRef device) {
  BufferAttr place = op.getPlace();
  std::string count = std::to_string(op.getCount());
  std::string offset = std::to_string(place.getOffset());
  if (place.getRegion() == RegionKind::fixed)
    return (function + "(part, " + device + ", " + device + ".fixed<" +
            elementTypeName(op.getElement()) + ">(" + offset + "), " + count + ");\n")
        .str();
  StringRef region = place.getRegion() == RegionKind::parameters ? "_parameters" : "_gradients";
  return (function + region + "(part, " + device + ", " + offset + ", " + count + ");\n").str();
}

void CallPrinter::call(ReduceScatterOp op) { out << rangeCall("reduce_scatter", op, device(op)); }

void CallPrinter::call(AllGatherOp op) { out << rangeCall("all_gather", op, device(op)); }

void CallPrinter::call(AssignOp op) {
  Type type = op.getValue().getType();
  Operation *buffer = index.parameters.lookup(op.getParameterAttr());
  std::string steps = list(strides(type));
  out << "copy(" << device(op) << ", " << shape(type) << ", " << name(op.getValue()) << ", "
      << steps << ", " << buffer->getAttrOfType<StringAttr>(kName).getValue() << ", " << steps
      << ");\n";
}

} // namespace mparc::emit
