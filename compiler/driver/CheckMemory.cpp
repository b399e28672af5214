// `--memory`: whether what each device needs fits, and if not, what stands at the peak.
#include "driver/Compile.h"
#include "emit/Text.h"
#include "planner/MemoryPlan.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace mparc {

namespace {

struct LiveValue {
  int64_t bytes;
  Location location;
};

/// What is alive on a device at the moment at which most is.
struct Peak {
  int64_t bytes = 0;
  std::vector<LiveValue> values; // the largest first
};

/// Values named one by one in an error.
constexpr size_t kMostNamed = 5;

} // namespace

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

namespace {

/// The rows that a device has values of: of what microbatches share, those of one.
struct Rows {
  Rows(DictionaryAttr device, int64_t batch) : all(emit::rowsAtOnce(device, batch)) {
    auto microbatches = device.getAs<IntegerAttr>("microbatches");
    int64_t parts = microbatches ? microbatches.getInt() : 1;
    one = (emit::rowsOfReplica(device, batch) + parts - 1) / parts;
    unit = emit::rowUnit(device);
  }
  int64_t all, one, unit;
};

} // namespace

static int64_t bytesAt(const mp::Allocation &value, const Rows &rows) {
  return value.perRow ? value.bytes * roundUp(value.shared ? rows.one : rows.all, rows.unit)
                      : value.bytes;
}

/// The plan of a program that is already planned: made anew, of a copy without places.
static mp::MemoryPlan planAgain(mp::ProgramOp program,
                                const llvm::SmallDenseSet<int64_t> &sharing) {
  program.walk([](Operation *op) {
    SmallVector<mp::BufferAttr> kept; // of gradients, which lie where they must
    for (Value result : op->getResults()) {
      mp::BufferAttr place = mp::getPlace(result);
      bool isFree = place && (place.getRegion() == mp::RegionKind::fixed ||
                              place.getRegion() == mp::RegionKind::rows);
      kept.push_back(isFree ? mp::BufferAttr() : place);
    }
    op->removeAttr(mp::kBuffer);
    for (auto [result, place] : llvm::zip(op->getResults(), kept))
      if (place)
        mp::setPlace(result, place);
  });
  return mp::planMemory(program, sharing);
}

static Peak findPeak(mp::ModelOp model, int64_t device, DictionaryAttr entry, const Rows &rows) {
  Peak peak;
  llvm::SmallDenseSet<int64_t> sharing;
  if (entry.contains("shared_row_bytes"))
    sharing.insert(device);
  for (auto program : model.getOps<mp::ProgramOp>()) {
    OwningOpRef<mp::ProgramOp> copy = program.clone();
    mp::MemoryPlan plan = planAgain(*copy, sharing);
    llvm::erase_if(plan.allocations,
                   [&](const mp::Allocation &value) { return value.device != device; });
    // Whatever is alive at most is alive where one of them begins.
    for (const mp::Allocation &moment : plan.allocations) {
      Peak here;
      for (const mp::Allocation &value : plan.allocations)
        if (value.begin <= moment.begin && value.end >= moment.begin) {
          here.bytes += bytesAt(value, rows);
          here.values.push_back({bytesAt(value, rows), value.first.getLoc()});
        }
      if (here.bytes > peak.bytes)
        peak = std::move(here);
    }
  }
  llvm::stable_sort(peak.values,
                    [](const LiveValue &a, const LiveValue &b) { return a.bytes > b.bytes; });
  return peak;
}

/// What would fit: a smaller batch, unless the rest alone is too much.
static std::string whatFits(DictionaryAttr device, int slots, int64_t batch, int64_t limit) {
  int64_t rest = emit::arenaBytes(device, slots, 0);
  if (rest > limit)
    return "parameters, gradients and the optimiser's state alone take " + emit::grouped(rest) +
           " B";
  int64_t fits = 0, tooMany = batch; // arenas grow with the batch
  while (tooMany - fits > 1) {
    int64_t between = fits + (tooMany - fits) / 2;
    (emit::arenaBytes(device, slots, between) <= limit ? fits : tooMany) = between;
  }
  if (fits == 0)
    return "no batch would fit";
  return "a batch of " + emit::grouped(fits) + " would fit";
}

bool Compilation::checkMemory() {
  if (!options.memory)
    return true;
  emit::ModelIndex index(model());
  int slots = emit::optimizerSlots(index.training);
  mp::TrainingOp training = index.training;
  int64_t batch = training ? int64_t(training.getBatch()) : 1;
  bool fits = true;
  for (auto [number, entry] : llvm::enumerate(model()->getAttrOfType<ArrayAttr>("mp.devices"))) {
    auto device = cast<DictionaryAttr>(entry);
    int64_t needed = emit::arenaBytes(device, slots, batch);
    if (needed <= *options.memory)
      continue;
    fits = false;
    InFlightDiagnostic error = model().emitError();
    error << "device " << number << " needs " << emit::grouped(needed) << " B at batch " << batch
          << ", --memory gives " << emit::grouped(*options.memory) << " B; "
          << whatFits(device, slots, batch, *options.memory);
    Peak peak = findPeak(model(), static_cast<int64_t>(number), device, Rows(device, batch));
    for (const LiveValue &value : llvm::ArrayRef(peak.values).take_front(kMostNamed)) {
      StringRef name = mp::getSourceName(value.location);
      error.attachNote(value.location)
          << "at the peak: " << (name.empty() ? "a value" : "`" + name.str() + "`") << ", "
          << emit::grouped(value.bytes) << " B";
    }
  }
  return fits;
}

} // namespace mparc
