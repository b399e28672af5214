// The functions that compute: each the stage of a program on one device, with a comment a layer and
// a transfer.
#include "emit/FilePrinter.h"
#include "emit/PrintCalls.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

/// The column at which the place in the source stands.
static constexpr size_t kPlaceColumn = 72;

static std::string comment(StringRef text, StringRef place) {
  std::string line = "// " + inComment(text);
  if (!place.empty())
    line +=
        std::string(line.size() < kPlaceColumn ? kPlaceColumn - line.size() : 2, ' ') + place.str();
  return line + "\n";
}

/// What an operation outside of all layers does: `relu gradient`.
static std::string words(Operation *op) {
  auto functor = op->getAttrOfType<StringAttr>(kFunctor);
  if (!functor)
    return getPlainName(op).str();
  std::string text;
  for (char c : functor.getValue()) {
    if (llvm::isUpper(c) && !text.empty())
      text += ' ';
    text += llvm::toLower(c);
  }
  return text;
}

/// A declaration as far as it goes before the place, and a mark where there is more.
static std::string shorten(StringRef declaration) {
  const size_t room = kPlaceColumn - 8;
  if (declaration.size() <= room)
    return declaration.str();
  return declaration.take_front(room - 4).rtrim().str() + " ...";
}

/// The declaration an operation belongs to, or its own place in the source.
std::string FilePrinter::layerComment(Operation *op) {
  if (auto path = op->getAttrOfType<StringAttr>(kLayer))
    for (StringRef name = path.getValue(); !name.empty(); name = name.rsplit('.').first) {
      if (auto layer = index.layers.find(name); layer != index.layers.end())
        return comment(shorten(layer->second.getText()), placeComment(layer->second.getLoc()));
      if (!name.contains('.'))
        break;
    }
  if (isa<UpdateOp>(op))
    return "";
  if (isa<ReduceScatterOp>(op))
    return comment("each replica adds up its share over all of them", "");
  if (isa<AllGatherOp>(op))
    return comment("and fetches what the others have added up or updated", "");
  TrainingOp training = index.training;
  if (isa<SquaredNormOp, ClipScaleOp, UnscaleOp>(op))
    return comment("the norm of all gradients", placeComment(op->getLoc()));
  if (op->getAttrOfType<StringAttr>(kLayer) && training)
    return comment(("loss = " + training.getLoss()).str(), placeComment(training.getLoc()));
  return comment(words(op), placeComment(op->getLoc()));
}

std::string FilePrinter::transferComment(TransferOp transfer) {
  // The copy is called after what it is a copy of.
  StringRef name = getName(transfer.getResult());
  name = name.take_front(name.rfind("_on_"));
  SmallVector<std::string> readers;
  for (Operation *user : transfer->getUsers())
    if (auto layer = user->getAttrOfType<StringAttr>(kLayer))
      if (!llvm::is_contained(readers, layer.getValue()) && readers.size() < 4)
        readers.push_back(layer.str());
  std::string text = name.str() + ": device " + std::to_string(transfer.getFrom()) + " → " +
                     std::to_string(getDevice(transfer).value_or(0)) + ", " +
                     bytesComment(transfer.getType());
  if (!readers.empty())
    text += "; " + llvm::join(readers, ", ") + (readers.size() == 1 ? " reads it" : " read it");
  return comment(text, placeComment(transfer.getLoc()));
}

static bool liesInGradients(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getInput();
  Operation *op = value.getDefiningOp();
  return op && !isa<ReadOp>(op) && getPlace(value).getRegion() == RegionKind::gradients;
}

std::vector<Function> FilePrinter::makeFunctions(ProgramOp program) {
  std::vector<Function> result;
  std::string current, when, body;
  llvm::raw_string_ostream out(body);
  auto calls = std::make_unique<CallPrinter>(index, out);
  std::string lastComment;
  SmallVector<std::string> layers;
  bool updates = false, readsGradients = false;
  Operation *first = nullptr;
  auto finish = [&] {
    if (current.empty())
      return;
    std::string devices;
    // Of a step the schedule says who carries out what; a transfer has parts on both sides.
    if (program.getSymName() != "train" && hasSeveralDevices() && !isa<TransferOp>(first))
      devices = "if (!has_device(" + std::to_string(getDevice(first).value_or(0)) +
                "))\nreturn; // another process has it\n";
    for (int64_t number : calls->devices)
      devices += "Device &d" + std::to_string(number) + " = part.device(" + std::to_string(number) +
                 ");\n";
    if (calls->usesRows)
      devices += "const int64_t rows = part.rows;\n";
    for (auto [number, count] : calls->pieces)
      devices += "const RowRange " + rowsName({number, count}) + " = rows_of_piece(part.rows, " +
                 std::to_string(number) + ", " + std::to_string(count) + ");\n";
    Function function{current, devices + body, llvm::join(layers, ", ")};
    function.device = getDevice(first).value_or(0);
    if (auto transfer = dyn_cast<TransferOp>(first))
      function.from = transfer.getFrom();
    function.when = when;
    function.updates = updates;
    function.readsGradients = readsGradients;
    result.push_back(std::move(function));
    updates = readsGradients = false;
    body.clear();
    layers.clear();
    lastComment.clear();
    calls = std::make_unique<CallPrinter>(index, out);
  };
  for (Operation &op : program.getBlock()) {
    auto function = op.getAttrOfType<StringAttr>(kFunction);
    if (!function)
      continue;
    if (function.getValue() != current) {
      finish();
      current = function.str();
      first = &op;
      auto stands = op.getAttrOfType<StringAttr>(kWhen);
      when = stands ? stands.str() : "";
    }
    auto transfer = dyn_cast<TransferOp>(op);
    std::string text = transfer ? transferComment(transfer) : layerComment(&op);
    if (text != lastComment && !text.empty())
      out << "\n" << text;
    lastComment = text;
    if (auto layer = op.getAttrOfType<StringAttr>(kLayer); layer && !transfer)
      if (!llvm::is_contained(layers, layer.getValue()))
        layers.push_back(layer.str());
    calls->print(&op);
    updates |= isa<UpdateOp>(op);
    readsGradients |= llvm::any_of(op.getOperands(), liesInGradients) ||
                      llvm::any_of(op.getResults(), liesInGradients);
  }
  finish();
  return result;
}

void FilePrinter::shareFunctions() {
  llvm::StringMap<std::string> known; // by body, those of earlier programs
  for (auto &[program, stages] : functions) {
    for (Function &stage : stages)
      if (auto same = known.find(stage.body); same != known.end()) {
        stage.name = same->second;
        stage.isShared = true;
      }
    for (const Function &stage : stages)
      known.try_emplace(stage.body, stage.name);
  }
}

} // namespace mparc::emit
