// Calls of mpar/indexing.h: what takes positions from another tensor.
#include "emit/Emit.h"
#include "emit/PrintCalls.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

/// What a message of the run calls a table: the parameter it is, else the layer that reads it.
static std::string tableName(Operation *op, Value table) {
  while (Operation *made = table ? table.getDefiningOp() : nullptr) {
    if (auto read = dyn_cast<ReadOp>(made))
      return read.getParameter().str();
    if (!isa<TransferOp, ReshapeOp>(made))
      break;
    table = made->getOperand(0);
  }
  auto layer = op->getAttrOfType<StringAttr>(kLayer);
  return layer && !layer.getValue().empty() ? layer.str() : "embedding";
}

/// The elements of one row of a table.
static ElementCount rowOf(Type table) {
  ElementCount row{1, false};
  for (DimensionAttr dimension : getDimensions(table).drop_front())
    row = row.times(dimension);
  return row;
}

void CallPrinter::indexed(StringRef function, Operation *op, Value table, Value ids) {
  out << function << "(" << device(op) << ", " << size(sizeOf(getDimensions(table.getType())[0]))
      << ", " << size(rowOf(table.getType())) << ", " << size(getElementCount(ids.getType()))
      << ", ";
}

void CallPrinter::call(GatherOp op) {
  indexed("gather", op, op.getTable(), op.getIds());
  out << quote(tableName(op, op.getTable())) << ", " << name(op.getTable()) << ", "
      << name(op.getIds()) << ", " << name(op.getResult()) << ");\n";
}

void CallPrinter::call(ScatterAddOp op) {
  indexed("scatter_add", op, op.getResult(), op.getIds());
  std::string table = tableName(op, Value());
  for (Operation *user : op.getResult().getUsers())
    if (auto gradient = dyn_cast<GradientOp>(user))
      table = gradient.getParameter().str();
  out << quote(table) << ", " << name(op.getIds()) << ", " << name(op.getRows()) << ", "
      << name(op.getResult()) << store(op) << ");\n";
}

void CallPrinter::call(CheckIndexOp op) {
  out << (op.getTable() ? "check_ids(" : "check_targets(") << device(op) << ", " << op.getLimit()
      << ", " << size(getElementCount(op.getType())) << ", ";
  if (op.getTable())
    out << quote(*op.getTable()) << ", ";
  out << name(op.getIds()) << ", " << name(op.getResult()) << ");\n";
}

void CallPrinter::call(CrossEntropyOp op) {
  out << "cross_entropy(" << device(op) << ", " << size(getElementCount(op.getTarget().getType()))
      << ", " << getDimensions(op.getX().getType()).back().getSize() << ", " << name(op.getX())
      << ", " << name(op.getTarget()) << ", " << name(op.getResult()) << ");\n";
}

void CallPrinter::call(CrossEntropyGradientOp op) {
  out << "cross_entropy_gradient(" << device(op) << ", "
      << size(getElementCount(op.getTarget().getType())) << ", "
      << getDimensions(op.getX().getType()).back().getSize() << ", " << name(op.getX()) << ", "
      << name(op.getTarget()) << ", " << name(op.getG()) << ", " << name(op.getResult()) << ");\n";
}

} // namespace mparc::emit
