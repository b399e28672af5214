// Small pieces of C++ text that several printers share.
#include "emit/Text.h"
#include "dialect/Groups.h"
#include "emit/Emit.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Path.h"

#include <charconv>

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

ModelIndex::ModelIndex(ModelOp model) : model(model) {
  for (Operation &op : model.getBody().front()) {
    if (auto parameter = dyn_cast<ParameterOp>(op))
      parameters[FlatSymbolRefAttr::get(parameter.getSymNameAttr())] = parameter;
    else if (auto layer = dyn_cast<LayerOp>(op))
      layers[layer.getPath()] = layer;
    else if (auto found = dyn_cast<TrainingOp>(op))
      training = found;
    else if (auto program = dyn_cast<ProgramOp>(op))
      (program.getSymName() == "train"      ? train
       : program.getSymName() == "evaluate" ? evaluate
                                            : predict) = program;
  }
}

std::string quote(StringRef text) {
  static constexpr char digits[] = "01234567";
  std::string quoted = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += static_cast<char>(c);
    } else if (c < ' ' || c == 127) {
      quoted += {'\\', digits[c >> 6], digits[c >> 3 & 7], digits[c & 7]};
    } else {
      quoted += static_cast<char>(c);
    }
  }
  return quoted + '"';
}

std::string inComment(StringRef text) {
  std::string line;
  for (unsigned char c : text)
    if (c >= ' ' && c != 127)
      line += static_cast<char>(c);
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  // A backslash at the end would make the next line a comment too.
  while (!line.empty() && (line.back() == '\\' || line.back() == ' '))
    line.pop_back();
  return line;
}

std::string number(double value) {
  char digits[32];
  auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  std::string text(digits, end);
  bool isInteger = llvm::all_of(text, [](char c) { return llvm::isDigit(c) || c == '-'; });
  return isInteger ? text + ".0" : text;
}

std::string grouped(int64_t value) {
  std::string text = std::to_string(value);
  for (int64_t place = static_cast<int64_t>(text.size()) - 3; place > 0; place -= 3)
    text.insert(place, ",");
  return text;
}

ElementCount sizeOf(DimensionAttr dimension) {
  return {dimension.getStaticSize(), dimension.hasBatch(), dimension.getRowPiece()};
}

ElementCount bytesOf(Type tensor) {
  ElementCount size = getElementCount(tensor);
  size.count *= getElementBytes(getElementTypeOrSelf(tensor));
  size.count = (size.count + size.piece.count - 1) / size.piece.count;
  return size;
}

std::string sizeText(ElementCount size) {
  if (!size.perRow)
    return std::to_string(size.count);
  std::string rows = size.piece.isWhole() ? "rows" : rowsName(size.piece) + ".count";
  return size.count == 1 ? rows : rows + " * " + std::to_string(size.count);
}

std::string rowsName(RowPiece piece) {
  return "rows_" + std::to_string(piece.number) + "_of_" + std::to_string(piece.count);
}

static std::string dimensionComment(DimensionAttr dimension) {
  if (dimension.hasBatch())
    return sizeText(sizeOf(dimension));
  std::string name = dimension.str();
  std::string size = std::to_string(dimension.getStaticSize());
  return llvm::all_of(name, [](char c) { return llvm::isDigit(c) || c == '*'; })
             ? size
             : name + " " + size;
}

std::string shapeComment(Type tensor) {
  std::string text = "[";
  llvm::raw_string_ostream stream(text);
  llvm::interleaveComma(getDimensions(tensor), stream,
                        [&](DimensionAttr dimension) { stream << dimensionComment(dimension); });
  return text + "]";
}

llvm::SmallVector<std::string> describeCollectives(ProgramOp program, bool backward) {
  llvm::SmallVector<std::string> lines;
  auto collectives = program->getAttrOfType<ArrayAttr>(kCollectives);
  if (!collectives)
    return lines;
  for (auto each : collectives.getAsRange<DictionaryAttr>()) {
    if (each.contains("backward") != backward)
      continue;
    std::string line = each.getAs<StringAttr>("kind").str();
    if (StringRef value = each.getAs<StringAttr>("value").getValue(); !value.empty())
      line += " " + inComment(value);
    line += " over ";
    llvm::raw_string_ostream out(line);
    llvm::interleaveComma(each.getAs<DenseI64ArrayAttr>("devices").asArrayRef(), out);
    out << " " << grouped(each.getAs<IntegerAttr>("bytes").getInt())
        << (each.contains("by_row") ? " B a row" : " B");
    lines.push_back(line);
  }
  return lines;
}

std::string alsoComment(ParameterOp parameter) {
  std::string text;
  if (auto also = parameter.getAlso())
    for (auto name : also->getAsRange<StringAttr>())
      text += (text.empty() ? ", also " : ", ") + inComment(name.getValue());
  return text;
}

std::string bytesComment(Type tensor) {
  ElementCount bytes = bytesOf(tensor);
  return grouped(bytes.count) + (bytes.perRow ? " B a row" : " B");
}

std::string placeComment(Location location) {
  auto place = getSourceLocation(location);
  if (!place)
    return {};
  return inComment(llvm::sys::path::filename(place->getFilename())) + ":" +
         std::to_string(place->getLine());
}

int optimizerSlots(TrainingOp training) {
  if (!training)
    return 0;
  auto number = training.getSettings().getAs<FloatAttr>("momentum");
  bool momentum = number && !number.getValue().isZero();
  auto isSet = [&](StringRef name) {
    auto truth = training.getSettings().getAs<BoolAttr>(name);
    return truth && truth.getValue();
  };
  return llvm::StringSwitch<int>(training.getOptimizer())
      .Case("sgd", momentum)
      .Case("adagrad", 1)
      .Case("rmsprop", 1 + momentum + isSet("centered"))
      .Default(2 + isSet("amsgrad"));
}

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

static int64_t entryOf(DictionaryAttr device, StringRef name, int64_t otherwise = 0) {
  auto entry = device.getAs<IntegerAttr>(name);
  return entry ? entry.getInt() : otherwise;
}

int64_t rowsOfReplica(DictionaryAttr device, int64_t batch) {
  int64_t replicas = entryOf(device, "replicas", 1);
  return (batch + replicas - 1) / replicas;
}

int64_t trainingBytes(DictionaryAttr device, int slots) {
  int64_t floats = entryOf(device, "parameter_floats"), state = floats;
  // Shares of the optimiser's state are whole cache lines of 16 floats; all have room for the
  // largest.
  if (int64_t shards = entryOf(device, "shards"))
    state = (entryOf(device, "trained_floats") / 16 + shards - 1) / shards * 16;
  return (2 * floats + slots * state) * 4;
}

int64_t rowUnit(DictionaryAttr device) { return entryOf(device, "row_unit", 64); }

int64_t rowsAtOnce(DictionaryAttr device, int64_t batch) {
  batch = rowsOfReplica(device, batch);
  int64_t microbatches = entryOf(device, "microbatches", 1);
  int64_t largest = (batch + microbatches - 1) / microbatches;
  return std::max(device.contains("evaluates_whole") ? batch : 0,
                  entryOf(device, "slots", 1) * largest);
}

int64_t arenaBytes(DictionaryAttr device, int slots, int64_t batch) {
  int64_t row = entryOf(device, "row_bytes"), shared = entryOf(device, "shared_row_bytes");
  batch = rowsOfReplica(device, batch);
  int64_t microbatches = entryOf(device, "microbatches", 1);
  int64_t largest = (batch + microbatches - 1) / microbatches;
  int64_t unit = rowUnit(device);
  int64_t rows = (row - shared) * roundUp(entryOf(device, "slots", 1) * largest, unit) +
                 shared * roundUp(largest, unit);
  int64_t whole = row * roundUp(device.contains("evaluates_whole") ? batch : largest, unit);
  rows = std::max(rows, whole + entryOf(device, "output_row_bytes") * roundUp(batch, unit));
  return roundUp(trainingBytes(device, slots), 256) + roundUp(entryOf(device, "fixed_bytes"), 256) +
         roundUp(rows, 256);
}

std::string activationsText(DictionaryAttr device) {
  std::string text = grouped(entryOf(device, "fixed_bytes")) + " B + " +
                     grouped(entryOf(device, "row_bytes")) + " B a row";
  int64_t microbatches = entryOf(device, "microbatches", 1);
  if (microbatches == 1)
    return text;
  text += ", of " + grouped(entryOf(device, "slots", 1)) + " of " + grouped(microbatches) +
          " microbatches at once";
  if (int64_t shared = entryOf(device, "shared_row_bytes"))
    text += " but for " + grouped(shared) + " B that they share";
  if (device.contains("evaluates_whole"))
    text += ", or of a whole batch in evaluation, which cannot be cut";
  else if (int64_t output = entryOf(device, "output_row_bytes"))
    text += ", or of 1 and " + grouped(output) + " B a row of output";
  return text;
}

} // namespace mparc::emit
