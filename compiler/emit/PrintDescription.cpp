// The description of a model as data: what the runtime reads to allocate, initialise, load and
// save.
#include "emit/PrintHead.h"

#include "dialect/Groups.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include <set>

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

/// The extents but the batch, in braces: of a parameter all of them, of a port those of one row.
static std::string rowShape(Type tensor) {
  std::string text = "{";
  for (DimensionAttr dimension : getDimensions(tensor)) {
    if (dimension.hasBatch() && dimension.getStaticSize() == 1)
      continue;
    text += (text.size() > 1 ? ", " : "") + std::to_string(dimension.getStaticSize());
  }
  return text + "}";
}

/// As an enumerator of the runtime's ElementType.
static StringRef elementName(Type element) {
  return element.isF32() ? "f32" : element.isInteger(1) ? "boolean" : "i32";
}

/// With the devices that have to do with it, where there are several.
static std::string port(StringRef name, Type tensor, const std::set<int64_t> &devices) {
  std::string text =
      ("{" + quote(name) + ", ElementType::" + elementName(getElementTypeOrSelf(tensor)) + ", " +
       rowShape(tensor))
          .str();
  if (!devices.empty()) {
    text += ", {";
    for (int64_t device : devices)
      text += (device == *devices.begin() ? "" : ", ") + std::to_string(device);
    text += "}";
  }
  return text + "}";
}

/// Adds the devices whose operations read a value; what is moved is read where it comes from.
static void addReaders(Value value, std::set<int64_t> &devices) {
  for (Operation *user : value.getUsers())
    if (auto reshape = dyn_cast<ReshapeOp>(user))
      addReaders(reshape.getResult(), devices);
    else if (auto transfer = dyn_cast<TransferOp>(user))
      devices.insert(static_cast<int64_t>(transfer.getFrom()));
    else if (!isa<ReturnOp>(user))
      devices.insert(getDevice(user).value_or(0));
}

/// The devices that read argument `number` of any program; nothing where there is one device.
static std::set<int64_t> readersOf(const ModelIndex &index, unsigned number) {
  std::set<int64_t> devices;
  auto all = ModelOp(index.model)->getAttrOfType<ArrayAttr>("mp.devices");
  TrainingOp training = index.training;
  if (all.size() == 1 && (!training || training.getReplicas() == 1))
    return devices;
  for (ProgramOp program : {index.train, index.evaluate, index.predict})
    if (program && number < program.getBlock().getNumArguments())
      addReaders(program.getBlock().getArgument(number), devices);
  if (devices.empty())
    devices.insert(0);
  return devices;
}

static void printDevices(const ModelIndex &index, llvm::raw_ostream &out) {
  auto devices = ModelOp(index.model)->getAttrOfType<ArrayAttr>("mp.devices");
  bool haveUndecayed = llvm::any_of(devices, [](Attribute device) {
    auto floats = cast<DictionaryAttr>(device).getAs<IntegerAttr>("undecayed_floats");
    return floats && floats.getInt() > 0;
  });
  out << "// of each: floats of parameters, of those trained; bytes of activations, bytes a row,\n"
      << "// and what rows are rounded up to a multiple of"
      << (haveUndecayed ? "; floats of the trained, the last ones, that do not decay\n" : "\n")
      << "description.devices = {\n";
  for (Attribute entry : devices) {
    auto device = cast<DictionaryAttr>(entry);
    auto get = [&](StringRef name) {
      auto value = device.getAs<IntegerAttr>(name);
      return value ? value.getInt() : 0;
    };
    out << "{" << get("parameter_floats") << ", " << get("trained_floats") << ", "
        << get("fixed_bytes") << ", " << get("row_bytes") << ", " << emit::rowUnit(device);
    if (get("undecayed_floats") > 0)
      out << ", " << get("undecayed_floats");
    out << "},\n";
  }
  out << "};\n";
  for (auto [number, entry] : llvm::enumerate(devices)) {
    auto device = cast<DictionaryAttr>(entry);
    if (auto count = device.getAs<IntegerAttr>("microbatches"))
      out << "description.devices[" << number
          << "].slots = " << device.getAs<IntegerAttr>("slots").getInt()
          << "; // microbatches that have values there at once\ndescription.devices[" << number
          << "].microbatches = " << count.getInt() << ";\n";
    if (auto shared = device.getAs<IntegerAttr>("shared_row_bytes"))
      out << "description.devices[" << number << "].shared_row_bytes = " << shared.getInt()
          << "; // once for all of these\n";
    if (device.contains("evaluates_whole"))
      out << "description.devices[" << number << "].evaluates_whole = true;\n";
    if (auto bytes = device.getAs<IntegerAttr>("output_row_bytes"))
      out << "description.devices[" << number << "].output_row_bytes = " << bytes.getInt() << ";\n";
  }
}

static int64_t offsetOf(ParameterOp parameter) {
  return parameter->getAttrOfType<BufferAttr>(kBuffer).getOffset();
}

static void printPiece(ParameterOp parameter, DictionaryAttr piece, llvm::raw_ostream &out) {
  out << "description.parameters.back().pieces.push_back({" << getDevice(parameter).value_or(0)
      << ", " << offsetOf(parameter) << ", {";
  for (StringRef part : {"sizes", "from", "to"}) {
    out << (part == "sizes" ? "{" : ", {");
    llvm::interleaveComma(piece.getAs<DenseI64ArrayAttr>(part).asArrayRef(), out);
    out << "}";
  }
  out << "}});\n";
}

static void printParameter(ParameterOp parameter, bool isFirst, llvm::raw_ostream &out) {
  auto piece = parameter->getAttrOfType<DictionaryAttr>(kPiece);
  if (!isFirst)
    return printPiece(parameter, piece, out);
  auto arguments = parameter.getArguments();
  auto argument = [&](size_t i) { return number(i < arguments.size() ? arguments[i] : 0.0); };
  StringRef name = parameter.getSymName();
  Type whole = parameter.getTensorType();
  if (piece) {
    name = piece.getAs<StringAttr>("of").getValue();
    whole = piece.getAs<TypeAttr>("type").getValue();
  }
  out << "add(" << quote(name) << ", " << rowShape(whole) << ", "
      << getDevice(parameter).value_or(0) << ", " << offsetOf(parameter)
      << ", {Initial::" << stringifyInitializerKind(parameter.getInitializer()) << ", "
      << argument(0) << ", " << argument(1);
  if (arguments.size() > 2)
    out << ", " << static_cast<int64_t>(arguments[2]);
  out << "});\n";
  Type element = parameter.getTensorType().getElementType();
  if (!element.isF32())
    out << "description.parameters.back().type = ElementType::" << elementName(element) << ";\n";
  if (auto also = parameter.getAlso()) {
    out << "description.parameters.back().also = {";
    llvm::interleaveComma(also->getAsRange<StringAttr>(), out,
                          [&](StringAttr other) { out << quote(other.getValue()); });
    out << "};\n";
  }
  if (piece)
    printPiece(parameter, piece, out);
}

static void printParameters(const ModelIndex &index, llvm::raw_ostream &out) {
  if (index.parameters.empty())
    return;
  // One call each: compilers take seconds over a list of a thousand strings and vectors.
  out << "\nusing Initial = Initializer::Kind;\n"
         "const auto add = [&](const char *name, std::initializer_list<int64_t> shape, int "
         "device,\n"
         "int64_t offset, Initializer initializer) {\n"
         "description.parameters.push_back({name, shape, device, offset, initializer});\n"
         "};\n"
         "// name, shape, device, place in its device's parameters, first values\n";
  StringAttr whole; // that the last was a piece of
  for (auto parameter : ModelOp(index.model).getOps<ParameterOp>()) {
    auto piece = parameter->getAttrOfType<DictionaryAttr>(kPiece);
    auto of = piece ? piece.getAs<StringAttr>("of") : StringAttr();
    printParameter(parameter, !of || of != whole, out);
    whole = of;
  }
}

/// Whether the loss is a sum over the rows, not a mean: by the last reduction of what has rows. Of
/// a batch that is cut, a mean is a sum that is divided after the parts.
static bool sumsLoss(ProgramOp evaluate) {
  SmallVector<Value> left{evaluate.getBlock().getTerminator()->getOperands().back()};
  while (!left.empty()) {
    Operation *op = left.pop_back_val().getDefiningOp();
    if (isa_and_nonnull<MapOp>(op) && op->hasAttr(kWhen) &&
        op->walk([](ExtentOp) { return WalkResult::interrupt(); }).wasInterrupted())
      return false;
    if (auto reduce = dyn_cast_or_null<ReduceOp>(op);
        reduce && getElementCount(reduce.getInput().getType()).perRow)
      return reduce.getKind() == ReductionKind::sum;
    if (op)
      llvm::append_range(left, op->getOperands());
  }
  return false;
}

static void printPorts(const ModelIndex &index, llvm::raw_ostream &out) {
  ProgramOp predict = index.predict, train = index.train;
  out << "\ndescription.inputs = {";
  for (auto [argument, name] : llvm::zip(predict.getBlock().getArguments(), predict.getNames()))
    out << (argument.getArgNumber() ? ", " : "")
        << port(cast<StringAttr>(name).getValue(), argument.getType(),
                readersOf(index, argument.getArgNumber()));
  out << "};\n";
  if (train && leastRows(train) > 1)
    out << "description.least_rows = " << leastRows(train) << ";\n";
  if (train && train->hasAttr(kRowsAPart) && leastRows(train, true) > 1)
    out << "description.least_part_rows = " << leastRows(train, true) << ";\n";
  if (auto work = train ? train->getAttrOfType<IntegerAttr>(kRowMultiplications) : IntegerAttr())
    out << "description.row_multiplications = " << work.getInt() << ";\n";
  if (train && !train.getBlock().getOps<LossScaleOp>().empty())
    out << "description.scales_loss = true;\n";
  TrainingOp training = index.training;
  if (training && training.getReplicas() > 1) {
    out << "description.replicas = " << training.getReplicas() << ";\n";
    if (training.getSharded())
      out << "description.shard_optimizer = true;\n";
    if (index.evaluate && sumsLoss(index.evaluate))
      out << "description.loss_is_sum = true;\n";
  }
  if (train)
    out << "description.target = "
        << port(cast<StringAttr>(train.getNames().getValue().back()).getValue(),
                train.getBlock().getArguments().back().getType(),
                readersOf(index, train.getBlock().getNumArguments() - 1))
        << ";\n";
  out << "description.output = "
      << port("output", predict.getBlock().getTerminator()->getOperand(0).getType(), {}) << ";\n";
}

static void printData(StringRef member, DictionaryAttr data, llvm::raw_ostream &out) {
  auto kind = data.getAs<StringAttr>("kind");
  if (!kind)
    return;
  std::string prefix = ("training." + member + ".").str();
  out << prefix << "kind = DataSource::Kind::" << kind.getValue() << ";\n";
  auto text = [&](StringRef entry, StringRef field) {
    if (auto value = data.getAs<StringAttr>(entry))
      out << prefix << field << " = " << quote(value.getValue()) << ";\n";
  };
  auto integer = [&](StringRef entry, StringRef field) {
    if (auto value = data.getAs<IntegerAttr>(entry))
      out << prefix << field << " = " << value.getInt() << ";\n";
  };
  text("path", "path");
  if (auto paths = data.getAs<ArrayAttr>("path")) {
    auto file = [&](Attribute path) { return quote(cast<StringAttr>(path).getValue()); };
    out << prefix << "path = " << file(paths[0]) << ";\n" << prefix << "more_paths = {";
    llvm::interleaveComma(paths.getValue().drop_front(), out,
                          [&](Attribute path) { out << file(path); });
    out << "};\n";
  }
  text("targets_path", "targets");
  integer("inputs", "input_columns");
  integer("targets", "target_columns");
  integer("context", "context");
  if (auto type = data.getAs<StringAttr>("token_type"))
    out << prefix << "token = DataSource::Token::" << type.getValue() << ";\n";
  if (auto part = data.getAs<FloatAttr>("test"))
    out << prefix << "test = " << number(part.getValueAsDouble()) << ";\n";
}

/// A number or truth of the optimiser or its schedule.
static std::string settingText(Attribute value) {
  if (auto truth = dyn_cast<BoolAttr>(value))
    return truth.getValue() ? "true" : "false";
  if (auto count = dyn_cast<IntegerAttr>(value))
    return std::to_string(count.getInt());
  return number(cast<FloatAttr>(value).getValueAsDouble());
}

static void printTraining(TrainingOp training, llvm::raw_ostream &out) {
  if (training.getClasses())
    out << "description.classes = " << training.getClasses() << ";\n";
  out << "\nTrainingDefaults &training = description.training;\n";
  printData("data", training.getData(), out);
  printData("test_data", training.getTestData(), out);
  out << "training.epochs = " << training.getEpochs() << ";\n"
      << "training.batch = " << training.getBatch() << ";\n"
      << "training.shuffle = " << (training.getShuffle() ? "true" : "false") << ";\n"
      << "training.seed = " << uint64_t(training.getSeed())
      << (int64_t(training.getSeed()) < 0 ? "u" : "") << ";\n"
      << "training.optimizer.kind = OptimizerSettings::Kind::" << training.getOptimizer() << ";\n";
  for (NamedAttribute setting : training.getSettings())
    out << "training.optimizer." << setting.getName().strref() << " = "
        << settingText(setting.getValue()) << ";\n";
  auto schedule = training.getLrScheduleAttr();
  if (!schedule)
    return;
  out << "training.schedule.kind = LearningRateSchedule::Kind::"
      << schedule.getAs<StringAttr>("kind").getValue() << ";\n";
  for (NamedAttribute setting : schedule)
    if (setting.getName() != "kind")
      out << "training.schedule." << setting.getName().strref() << " = "
          << settingText(setting.getValue()) << ";\n";
}

void printDescription(const ModelIndex &index, const EmitOptions &options, llvm::raw_ostream &out) {
  ModelOp model = index.model;
  out << "ModelDescription " << model->getAttrOfType<StringAttr>(kClass).getValue()
      << "::describe() {\n"
         "ModelDescription description;\n"
      << "description.name = " << quote(model.getSymName()) << ";\n"
      << "description.source = " << quote(options.source) << ";\n\n";
  printDevices(index, out);
  printParameters(index, out);
  printPorts(index, out);
  if (index.training)
    printTraining(index.training, out);
  if (index.train)
    printSchedule(index, out);
  out << "return description;\n}\n";
}

} // namespace mparc::emit
