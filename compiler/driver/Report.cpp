// `mparc report`: what will run where, before anything does.
#include "driver/Report.h"

#include "dialect/Groups.h"
#include "emit/Emit.h"
#include "emit/Text.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc {
namespace {

class Reporter {
public:
  Reporter(ModelOp model, ModelOp kept, const Timetable *timetable)
      : model(model), kept(kept), timetable(timetable), index(model),
        slots(emit::optimizerSlots(index.training)) {}
  std::string print();

private:
  void printDevice(int64_t number, DictionaryAttr device);
  void printCollectives();
  void printTransfers();
  void printParameters();

  void printSaving(int64_t number, DictionaryAttr device);

  ModelOp model, kept;
  const Timetable *timetable;
  emit::ModelIndex index;
  int slots;
  int64_t batch = 1;
  std::string text;
  llvm::raw_string_ostream out{text};
};

} // namespace

void Reporter::printDevice(int64_t number, DictionaryAttr device) {
  std::string layers;
  for (auto layer : model.getOps<LayerOp>())
    if (isOn(layer, number))
      layers += (layers.empty() ? "" : ", ") + layer.getPath().str();
  int64_t parameters = 0;
  for (auto parameter : model.getOps<ParameterOp>())
    if (getDevice(parameter).value_or(0) == number && !parameter.getUntrained())
      parameters += getElementCount(parameter.getTensorType()).count;
  out << "\ndevice " << number << "\n"
      << "  layers       " << (layers.empty() ? "none" : layers) << "\n"
      << "  parameters   " << emit::grouped(parameters) << "; with gradients"
      << (slots ? " and optimiser's state" : "") << " "
      << emit::grouped(emit::trainingBytes(device, slots)) << " B\n"
      << "  activations  " << emit::activationsText(device) << "\n";
  if (kept)
    printSaving(number, device);
  out << "  arena        " << emit::grouped(emit::arenaBytes(device, slots, batch))
      << " B at batch " << emit::grouped(batch) << "\n";
}

/// What recomputation saves on a device, in activations and in the arena.
void Reporter::printSaving(int64_t number, DictionaryAttr device) {
  auto before = cast<DictionaryAttr>(kept->getAttrOfType<ArrayAttr>("mp.devices")[number]);
  auto row = [](DictionaryAttr entries) {
    return entries.getAs<IntegerAttr>("row_bytes").getInt();
  };
  int64_t arena = emit::arenaBytes(before, slots, batch);
  out << "  recomputed   " << emit::grouped(row(before) - row(device)) << " B a row less than the "
      << emit::grouped(row(before)) << " B that keeping all takes; arena "
      << emit::grouped(arena - emit::arenaBytes(device, slots, batch)) << " B smaller\n";
}

void Reporter::printCollectives() {
  ProgramOp program = index.train ? index.train : index.predict;
  auto forward = emit::describeCollectives(program, false),
       backward = emit::describeCollectives(program, true);
  if (forward.empty() && backward.empty())
    return;
  out << "\ncollectives a " << (index.train ? "step" : "call") << ": " << forward.size()
      << " forward";
  if (index.train)
    out << ", " << backward.size() << " backward";
  out << "; the transfers below carry them out\n";
  for (auto *list : {&forward, &backward})
    for (const std::string &line : *list)
      out << "  " << (list == &forward ? "forward   " : "backward  ") << line << "\n";
}

void Reporter::printTransfers() {
  ProgramOp program = index.train ? index.train : index.predict;
  llvm::SmallVector<TransferOp> forward, backward;
  // The order of issue; what contributes to no result is the backward pass.
  mp::forEachDirection(program, [&](Operation *op, bool isBackward) {
    if (auto transfer = dyn_cast<TransferOp>(op))
      (isBackward ? backward : forward).push_back(transfer);
  });
  out << "\ntransfers a " << (index.train ? "step" : "call") << ": " << forward.size()
      << " forward";
  if (index.train)
    out << ", " << backward.size() << " backward";
  out << "\n";
  for (auto *list : {&forward, &backward})
    for (TransferOp transfer : *list) {
      StringRef name = getSourceName(transfer.getLoc());
      out << "  " << (list == &forward ? "forward   " : "backward  ") << "device "
          << transfer.getFrom() << " → " << getDevice(transfer).value_or(0) << "  "
          << emit::bytesComment(transfer.getType()) << "  " << name << "\n";
    }
}

void Reporter::printParameters() {
  for (bool untrained : {false, true}) {
    int64_t total = 0, count = 0;
    bool isShared = false;
    std::string lines;
    for (auto parameter : model.getOps<ParameterOp>()) {
      if (parameter.getUntrained() != untrained)
        continue;
      total += countOnce(parameter);
      count += countOnce(parameter) > 0;
      isShared |= parameter->hasAttr(kPiece);
      lines += ("  " + parameter.getSymName() + "  ").str() +
               emit::shapeComment(parameter.getTensorType()) + "  device " +
               std::to_string(getDevice(parameter).value_or(0)) + emit::alsoComment(parameter) +
               "\n";
    }
    if (untrained && count == 0)
      continue;
    out << (untrained ? "\nbuffers: " : "\nparameters: ") << emit::grouped(total) << " in "
        << emit::grouped(count)
        << (untrained  ? " tensors, which no optimizer changes\n"
            : isShared ? " tensors, each owned by one device or, in pieces or copies, by a group\n"
                       : " tensors, each owned by one device\n")
        << lines;
  }
}

std::string Reporter::print() {
  auto devices = model->getAttrOfType<ArrayAttr>("mp.devices");
  out << "model " << model.getSymName() << ": " << devices.size()
      << (devices.size() == 1 ? " device" : " devices");
  if (TrainingOp training = index.training) {
    batch = training.getBatch();
    out << ", loss " << training.getLoss() << ", optimizer " << training.getOptimizer()
        << ", batch " << batch;
    if (int64_t replicas = training.getReplicas(); replicas > 1)
      out << ", " << replicas << " replicas, each on as many devices"
          << (training.getSharded() ? " and with a share of the optimiser's state" : "");
  }
  out << "\n";
  for (auto [number, device] : llvm::enumerate(devices))
    printDevice(number, cast<DictionaryAttr>(device));
  printCollectives();
  printTransfers();
  if (timetable)
    out << describe(*timetable);
  printParameters();
  return text;
}

bool recomputesActivations(ModelOp model) {
  return model
      .walk([](Operation *op) {
        return op->hasAttr(kRecomputed) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

std::string report(ModelOp model, ModelOp kept, const Timetable *timetable) {
  return Reporter(model, kept, timetable).print();
}

} // namespace mparc
