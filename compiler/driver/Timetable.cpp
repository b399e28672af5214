// Simulates the turns of a schedule by what they cost.
#include "driver/Timetable.h"

#include "emit/PrintHead.h"
#include "planner/Stages.h"
#include "planner/Streams.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>

using namespace mlir;
using namespace mparc::mp;

namespace mparc {
namespace {

/// What grows with the rows, and what does not.
struct Work {
  double multiplications = 0; // a row
  double rowBytes = 0, fixedBytes = 0;

  void addBytes(Type tensor) {
    mp::ElementCount bytes = emit::bytesOf(tensor);
    (bytes.perRow ? rowBytes : fixedBytes) += static_cast<double>(bytes.count);
  }
  double timeOf(double rows, const CostModel &costs) const {
    return costs.turn + multiplications * rows / costs.multiplications +
           (rowBytes * rows + fixedBytes) / costs.bytes;
  }
};

/// A turn and the turns of other devices that it waits for.
struct PlannedTurn {
  int64_t stage, microbatch;
  SmallVector<std::pair<int64_t, int64_t>> waits;
};

} // namespace

/// What an operation costs. An update goes over the parameters of its device, their gradients and
/// the optimiser's state, and writes all but the gradients.
static void addWork(Operation *op, const emit::ModelIndex &index, Work &work) {
  if (isa<UpdateOp>(op)) {
    auto devices = mp::ModelOp(index.model)->getAttrOfType<ArrayAttr>("mp.devices");
    auto device = cast<DictionaryAttr>(devices[getDevice(op).value_or(0)]);
    work.fixedBytes += 4.0 * (3 + 2 * emit::optimizerSlots(index.training)) *
                       static_cast<double>(device.getAs<IntegerAttr>("trained_floats").getInt());
    return;
  }
  // Half of what a collective touches it reads in other arenas; what it sums it reads and writes.
  auto addRange = [&](int64_t count) { work.fixedBytes += 2 * 4.0 * static_cast<double>(count); };
  if (auto reduce = dyn_cast<ReduceScatterOp>(op))
    addRange(reduce.getCount());
  if (auto gather = dyn_cast<AllGatherOp>(op))
    addRange(gather.getCount());
  work.multiplications += static_cast<double>(getRowMultiplications(op));
  for (Value operand : op->getOperands())
    work.addBytes(operand.getType());
  for (Value result : op->getResults())
    work.addBytes(result.getType());
}

/// The turns of a program: those of its schedule, or of one device in the order of the program.
static std::vector<PlannedTurn>
readTurns(ProgramOp train, const std::vector<emit::StageFacts> &stages, int64_t microbatches) {
  std::vector<PlannedTurn> plan;
  if (auto turns = train->getAttrOfType<ArrayAttr>(kTurns)) {
    for (Attribute turn : turns) {
      ArrayRef<int64_t> numbers = cast<DenseI64ArrayAttr>(turn).asArrayRef();
      plan.push_back({numbers[0], numbers[1], {}});
      for (size_t wait = 2; wait + 1 < numbers.size(); wait += 2)
        plan.back().waits.push_back({numbers[wait], numbers[wait + 1]});
    }
    return plan;
  }
  for (StringRef when : {"before", "during", "after"})
    for (int64_t microbatch = 0; microbatch < (when == "during" ? microbatches : 1); ++microbatch)
      for (auto [number, stage] : llvm::enumerate(stages))
        if (stage.when == when)
          plan.push_back({static_cast<int64_t>(number), microbatch, {}});
  return plan;
}

static Timetable::Kind kindOf(Operation *first) {
  if (isa<TransferOp>(first))
    return Timetable::Kind::transfer;
  if (isPutOff(first))
    return Timetable::Kind::weights;
  if (first->hasAttr(emit::kBackward) && !first->hasAttr(kWhen))
    return Timetable::Kind::backward;
  auto when = first->getAttrOfType<StringAttr>(kWhen);
  return when && when.getValue() == "after" ? Timetable::Kind::update : Timetable::Kind::forward;
}

namespace {

/// What a stage waits for in all other replicas: a device there, and so many of its turns.
struct PeerWait {
  int64_t stage, device, turns;
};

/// Carries out turns on the devices of all replicas, those of one replica after those before.
class Simulator {
public:
  Simulator(const emit::ModelIndex &index, int64_t rows, const CostModel &costs);
  /// `count`: of all replicas, or 1: the first alone, which waits for no others then.
  Timetable simulate(const std::vector<PlannedTurn> &plan, int64_t microbatches,
                     int64_t count) const;
  int64_t rowsOf(int64_t replica) const {
    return rows / replicas + (replica < rows % replicas ? 1 : 0);
  }

  const std::vector<emit::StageFacts> stages;
  int64_t rows; // of the batch
  int64_t devices, replicas;

private:
  double carryOut(const PlannedTurn &turn, int64_t replica, int64_t microbatches, bool alone,
                  std::vector<std::vector<double>> &finished, Timetable &table) const;

  std::vector<PeerWait> peerWaits;
  std::vector<Work> works; // by stage
  std::vector<Timetable::Kind> kinds;
  const CostModel &costs;
};

} // namespace

Simulator::Simulator(const emit::ModelIndex &index, int64_t rows, const CostModel &costs)
    : stages(emit::describeStages(index)), rows(rows),
      devices(mp::ModelOp(index.model)->getAttrOfType<ArrayAttr>("mp.devices").size()),
      replicas(mp::TrainingOp(index.training).getReplicas()), works(stages.size()), costs(costs) {
  if (auto peers = mp::ProgramOp(index.train)->getAttrOfType<ArrayAttr>(kPeerWaits))
    for (auto wait : peers.getAsRange<DenseI64ArrayAttr>())
      peerWaits.push_back({wait[0], wait[1], wait[2]});
  for (auto [operations, work] : llvm::zip(groupByStage(index.train), works)) {
    kinds.push_back(kindOf(operations.front()));
    for (Operation *op : operations)
      addWork(op, index, work);
  }
}

/// Of a turn of a replica, the time that its device is busy with it.
double Simulator::carryOut(const PlannedTurn &turn, int64_t replica, int64_t microbatches,
                           bool alone, std::vector<std::vector<double>> &finished,
                           Timetable &table) const {
  const emit::StageFacts &stage = stages[turn.stage];
  const bool during = stage.when == "during";
  // The first few microbatches are a row longer; those beyond the rows have none.
  const int64_t all = rowsOf(replica);
  const int64_t mine =
      during ? all / microbatches + (turn.microbatch < all % microbatches ? 1 : 0) : all;
  const int64_t device = replica * devices + stage.device;
  std::vector<double> &own = finished[device];
  double begin = own.empty() ? 0 : own.back();
  for (auto [other, count] : turn.waits)
    begin = std::max(begin, finished[replica * devices + other][count - 1]);
  for (const PeerWait &wait : peerWaits)
    for (int64_t other = 0; !alone && wait.stage == turn.stage && other < replicas; ++other)
      if (other != replica)
        begin = std::max(begin, finished[other * devices + wait.device][wait.turns - 1]);
  const double time = works[turn.stage].timeOf(static_cast<double>(mine), costs);
  own.push_back(begin + time);
  // Of a collective a replica fetches what falls to the others.
  int64_t moved = stage.rowBytes * mine + stage.fixedBytes;
  if (stage.from < 0)
    moved -= moved / replicas + (replica < moved % replicas ? 1 : 0);
  table.movedBytes += moved;
  table.time = std::max(table.time, begin + time);
  table.turns.push_back({stage.function, stage.place, kinds[turn.stage], device,
                         during ? turn.microbatch : -1, begin, begin + time, moved});
  return time;
}

Timetable Simulator::simulate(const std::vector<PlannedTurn> &plan, int64_t microbatches,
                              int64_t count) const {
  Timetable table;
  table.microbatches = microbatches;
  std::vector<double> busy(count * devices, 0);
  std::vector<std::vector<double>> finished(count * devices); // by device and turn
  for (const PlannedTurn &turn : plan)
    for (int64_t replica = 0; replica < count; ++replica)
      busy[replica * devices + stages[turn.stage].device] +=
          carryOut(turn, replica, microbatches, count == 1, finished, table);
  double all = 0;
  for (double time : busy) {
    table.idle.push_back(table.time > 0 ? 1 - time / table.time : 0);
    all += time;
  }
  if (table.time > 0)
    table.bubble = 1 - all / (static_cast<double>(busy.size()) * table.time);
  return table;
}

/// The entries with which a step is predicted to be shortest, of powers of two of microbatches.
/// Fewer microbatches and the schedules known longer go first, where others are not better by a
/// twentieth.
static std::optional<Timetable::Advice> findAdvice(const Simulator &simulator, ProgramOp train,
                                                   double time) {
  constexpr double gain = 0.95;
  constexpr int64_t mostMicrobatches = 64;
  if (simulator.devices == 1 || !train->hasAttr(kRowsAPart))
    return std::nullopt; // nothing waits, or rows cannot be parted
  std::optional<Timetable::Advice> best;
  const std::vector<Stage> stages = readStages(train);
  for (int64_t microbatches = 2; microbatches <= std::min(mostMicrobatches, simulator.rowsOf(0));
       microbatches *= 2)
    for (StringRef name : {"gpipe", "1f1b", "interleaved", "zero-bubble"}) {
      std::vector<mp::Turn> order = orderTurns(stages, microbatches, *parseScheduleKind(name));
      SmallVector<int64_t> slots = countSlots(stages, order, microbatches, simulator.devices);
      std::vector<PlannedTurn> plan;
      for (const mp::PlannedTurn &turn : planTurns(stages, order, slots, microbatches)) {
        plan.push_back({turn.turn.stage, turn.turn.microbatch, {}});
        for (auto wait : turn.waits)
          plan.back().waits.push_back({wait.device, wait.turns});
      }
      Timetable table = simulator.simulate(plan, microbatches, 1);
      if (table.time < gain * (best ? best->time : time))
        best = {microbatches, name.str(), table.time, table.bubble};
    }
  return best;
}

Timetable predict(const emit::ModelIndex &index, int64_t rows, const CostModel &costs) {
  const int64_t microbatches = mp::TrainingOp(index.training).getMicrobatches();
  Simulator simulator(index, rows, costs);
  const std::vector<PlannedTurn> plan = readTurns(index.train, simulator.stages, microbatches);
  Timetable table = simulator.simulate(plan, microbatches, simulator.replicas);
  table.rows = rows;
  // Others of the first replica, which has the most rows, against what that takes by itself.
  const Timetable alone = simulator.simulate(plan, microbatches, 1);
  table.advice = findAdvice(simulator, index.train, alone.time);
  table.ofEachPart = mp::ProgramOp(index.train)->hasAttr(kEachPart);
  return table;
}

std::string describe(const Timetable &table, const CostModel &costs) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "\na step of " << emit::grouped(table.rows) << " rows in " << table.microbatches
      << (table.microbatches == 1 ? " microbatch" : " microbatches")
      << ", predicted with a worker a device at "
      << emit::grouped(static_cast<int64_t>(costs.multiplications)) << " multiplications and "
      << emit::grouped(static_cast<int64_t>(costs.bytes)) << " B a µs, "
      << llvm::formatv("{0:F1}", costs.turn) << " µs a turn\n"
      << llvm::formatv("  time {0:F1} µs, bubble {1:F1} %, ", table.time, 100 * table.bubble)
      << emit::grouped(table.movedBytes) << " B moved\n";
  for (auto [device, idle] : llvm::enumerate(table.idle))
    out << llvm::formatv("  device {0} idle {1:F1} %\n", device, 100 * idle);
  if (table.advice)
    out << "  shorter with microbatches = " << table.advice->microbatches << ", schedule = \""
        << table.advice->schedule << "\": "
        << llvm::formatv("time {0:F1} µs, bubble {1:F1} %\n", table.advice->time,
                         100 * table.advice->bubble);
  // Who follows advice is to know that it is not about time alone.
  if (table.ofEachPart && (table.microbatches > 1 || table.advice))
    out << "  each microbatch goes by statistics of its own rows: with another number of them the "
           "model computes something else\n";
  else if (table.ofEachPart && table.idle.size() > 1)
    out << "  nothing is said of microbatches: each would go by statistics of its own rows, which "
           "computes something else\n";
  return text;
}

} // namespace mparc
