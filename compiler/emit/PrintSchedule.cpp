// The schedule of a model as data: its stages, and their turns where devices have workers.
#include "emit/PrintHead.h"
#include "planner/StageMemory.h"
#include "planner/Stages.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

static StringRef fileOf(Location location) {
  auto place = getSourceLocation(location);
  return place ? place->getFilename().getValue() : StringRef();
}

/// The declaration of the layer that an operation belongs to, or the operation's own place. Of
/// layers in layers it is the innermost in the model's own file, as against the standard library.
static std::string placeOf(const ModelIndex &index, Operation *op) {
  Operation *owner = op;
  if (isa<TransferOp>(op)) // of who reads what it moves
    for (Operation *user : op->getUsers())
      if (user->hasAttr(kLayer)) {
        owner = user;
        break;
      }
  if (isa<UpdateOp, SquaredNormOp, ClipScaleOp, UnscaleOp, ReduceScatterOp, AllGatherOp>(op) &&
      index.training)
    return placeComment(TrainingOp(index.training).getLoc());
  if (auto path = owner->getAttrOfType<StringAttr>(kLayer)) {
    std::string outermost;
    for (StringRef name = path.getValue(); !name.empty(); name = name.rsplit('.').first) {
      if (auto layer = index.layers.find(name); layer != index.layers.end()) {
        Location declared = LayerOp(layer->second).getLoc();
        outermost = placeComment(declared);
        if (fileOf(declared) == fileOf(ModelOp(index.model).getLoc()))
          return outermost;
      }
      if (!name.contains('.'))
        break;
    }
    if (!outermost.empty())
      return outermost;
    if (index.training) // the loss
      return placeComment(TrainingOp(index.training).getLoc());
  }
  return placeComment(op->getLoc());
}

std::vector<StageFacts> describeStages(const ModelIndex &index) {
  std::vector<StageFacts> stages;
  for (const std::vector<Operation *> &operations : groupByStage(index.train)) {
    Operation *first = operations.front();
    auto when = first->getAttrOfType<StringAttr>(kWhen);
    StageFacts stage{first->getAttrOfType<StringAttr>(kFunction).str(), "",
                     when ? when.str() : "during", getDevice(first).value_or(0)};
    for (Operation *op : operations) {
      if (stage.place.empty())
        stage.place = placeOf(index, op);
      if (auto transfer = dyn_cast<TransferOp>(op)) {
        ElementCount bytes = bytesOf(transfer.getType());
        stage.from = transfer.getFrom();
        (bytes.perRow ? stage.rowBytes : stage.fixedBytes) += bytes.count;
      }
      if (auto reduce = dyn_cast<ReduceScatterOp>(op))
        stage.fixedBytes += reduce.getCount() * getElementBytes(reduce.getElement());
      if (auto gather = dyn_cast<AllGatherOp>(op))
        stage.fixedBytes += gather.getCount() * getElementBytes(gather.getElement());
    }
    stages.push_back(std::move(stage));
  }
  return stages;
}

static void printStages(ArrayRef<StageFacts> stages, llvm::raw_ostream &out) {
  out << "// Stages, in the order of train_step: device, how they stand towards the microbatches, "
         "function,\n"
         "// and where their first layer is declared; of transfers the sender, bytes a row, and "
         "bytes besides.\n";
  if (llvm::any_of(stages,
                   [](const StageFacts &stage) { return stage.from < 0 && stage.fixedBytes > 0; }))
    out << "// Of collectives no sender, and the bytes that replicas sum or gather.\n";
  out << "using When = StageDescription::When;\nschedule.stages = {\n";
  for (const StageFacts &stage : stages) {
    out << "{" << stage.device << ", When::" << stage.when << ", " << quote(stage.function) << ", "
        << quote(stage.place);
    if (stage.from >= 0 || stage.fixedBytes > 0)
      out << ", " << stage.from << ", " << stage.rowBytes << ", " << stage.fixedBytes;
    out << "},\n";
  }
  out << "};\n";
}

static void printRange(size_t stage, const MemoryRange &range, llvm::raw_ostream &out) {
  out << "{" << stage << ", " << range.device << ", Region::" << stringifyRegionKind(range.region)
      << ", " << range.begin << ", " << range.end;
}

/// A line a range, under the names of their stages: with comments between them libFormat lays such
/// lists out in no other way.
static void printRanges(StringRef list, ArrayRef<StringRef> functions, ArrayRef<StageMemory> stages,
                        bool writes, llvm::raw_ostream &out) {
  out << "schedule." << list << " = {\n";
  for (auto [number, stage] : llvm::enumerate(stages)) {
    ArrayRef<MemoryRange> ranges = writes ? stage.writes : stage.reads;
    if (!ranges.empty())
      out << "// " << functions[number] << '\n';
    for (const MemoryRange &range : ranges) {
      printRange(number, range, out);
      out << (range.once ? ", true},\n" : range.partly ? ", false, true},\n" : "},\n");
    }
  }
  out << "};\n";
}

static void printCollectives(ArrayRef<StageMemory> stages, llvm::raw_ostream &out) {
  out << "// The same of what replicas add up (false) or gather (true), a share each.\n"
         "schedule.collectives = {";
  llvm::ListSeparator separator;
  for (auto [number, stage] : llvm::enumerate(stages))
    for (const CollectiveRange &collective : stage.collectives) {
      out << separator;
      printRange(number, collective.range, out);
      out << ", " << (collective.gathers ? "true" : "false") << "}";
    }
  out << "};\n";
}

void printSchedule(const ModelIndex &index, llvm::raw_ostream &out) {
  ProgramOp train = index.train;
  auto turns = train->getAttrOfType<ArrayAttr>(kTurns);
  if (!turns)
    return;
  out << "\nSchedule &schedule = description.schedule;\nschedule.microbatches = "
      << train->getAttrOfType<IntegerAttr>(kMicrobatches).getInt() << ";\n";
  if (auto rows = train->getAttrOfType<IntegerAttr>(kRowsAPart); rows && rows.getInt() > 0)
    out << "schedule.part_rows = " << rows.getInt() << ";\n";
  printStages(describeStages(index), out);
  out << "// Their turns where devices have workers: stage, microbatch, and a device of which "
         "so "
         "many turns\n// must have finished first.\n"
         "static constexpr TurnEntry turns[] = {";
  bool first = true;
  for (Attribute turn : turns) {
    ArrayRef<int64_t> numbers = cast<DenseI64ArrayAttr>(turn).asArrayRef();
    for (size_t wait = 2; wait < std::max<size_t>(3, numbers.size()); wait += 2) {
      out << (first ? "" : ", ") << "{" << numbers[0] << ", " << numbers[1];
      if (numbers.size() > 2)
        out << ", " << numbers[wait] << ", " << numbers[wait + 1];
      out << "}";
      first = false;
    }
  }
  out << "};\nschedule.turns = make_turns(std::begin(turns), std::end(turns));\n";
  if (auto peers = train->getAttrOfType<ArrayAttr>(kPeerWaits)) {
    out << "// What stages wait for in all other replicas: a device there, and so many of its "
           "turns.\nschedule.peer_waits = {";
    llvm::interleaveComma(peers.getAsRange<DenseI64ArrayAttr>(), out, [&](DenseI64ArrayAttr wait) {
      out << "{" << wait[0] << ", " << wait[1] << ", " << wait[2] << "}";
    });
    out << "};\n";
  }
  out << "describe_accesses(schedule);\n";
}

void printAccesses(const ModelIndex &index, llvm::raw_ostream &out) {
  ProgramOp train = index.train;
  out << "\n// What stages read that others wrote, and what they write, which --check holds the "
         "turns to: stage,\n"
         "// device, the first byte of a region, and the one after the last; of rows, a row.\n"
         "void "
      << ModelOp(index.model)->getAttrOfType<StringAttr>(kClass).getValue()
      << "::describe_accesses(Schedule &schedule) {\n"
         "using Region = MemoryAccess::Region;\n";
  std::vector<StringRef> functions;
  for (const std::vector<Operation *> &stage : groupByStage(train))
    functions.push_back(stage.front()->getAttrOfType<StringAttr>(kFunction).getValue());
  const std::vector<StageMemory> memory = findStageMemory(train);
  printRanges("reads", functions, memory, false, out);
  printRanges("writes", functions, memory, true, out);
  if (train->hasAttr(kPeerWaits))
    printCollectives(memory, out);
  out << "}\n";
}

} // namespace mparc::emit
