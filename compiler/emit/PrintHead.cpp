// The head of an emitted file: what it is, what it was made of, and what each device holds.
#include "emit/PrintHead.h"

#include "dialect/Groups.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {

/// Columns of a comment's text after `// `.
static constexpr size_t kCommentWidth = 96;
/// Layers and transfers listed one by one; of more only the first and the last are.
static constexpr size_t kMostListed = 8;

/// A paragraph of a comment, broken between words, continuation lines indented.
static void paragraph(llvm::raw_ostream &out, StringRef text, StringRef indent = "  ") {
  // What is indented stays so.
  std::string line(text.size() - text.ltrim().size(), ' ');
  text = text.ltrim();
  bool first = true;
  while (!text.empty()) {
    auto [word, rest] = text.split(' ');
    text = rest;
    if (!first && line.size() + 1 + word.size() > kCommentWidth) {
      out << "// " << line << "\n";
      line = indent.str();
    } else if (!first) {
      line += ' ';
    }
    line += word;
    first = false;
  }
  out << "// " << line << "\n";
}

static std::string listShort(ArrayRef<std::string> names) {
  if (names.size() <= kMostListed)
    return llvm::join(names, ", ");
  return names.front() + " … " + names.back() + " (" + std::to_string(names.size()) + ")";
}

static std::string plural(int64_t count, StringRef noun) {
  return grouped(count) + " " + noun.str() + (count == 1 ? "" : "s");
}

static int64_t parametersOn(const ModelIndex &index, int64_t device) {
  int64_t count = 0;
  for (auto parameter : ModelOp(index.model).getOps<ParameterOp>())
    if (getDevice(parameter).value_or(0) == device && !parameter.getUntrained())
      count += getElementCount(parameter.getTensorType()).count;
  return count;
}

static void printDevice(const ModelIndex &index, int64_t number, DictionaryAttr device, int slots,
                        int64_t batch, llvm::raw_ostream &out) {
  SmallVector<std::string> layers;
  for (auto layer : ModelOp(index.model).getOps<LayerOp>())
    if (isOn(layer, number))
      layers.push_back(inComment(layer.getPath()));
  paragraph(out, "device " + std::to_string(number) + ": " +
                     (layers.empty() ? "no layers" : listShort(layers)));
  paragraph(out,
            "  arena " + grouped(arenaBytes(device, slots, batch)) + " B at batch " +
                grouped(batch) + ": " + plural(parametersOn(index, number), "parameter") +
                " with gradients and optimiser's state " + grouped(trainingBytes(device, slots)) +
                " B, activations " + activationsText(device),
            "    ");
}

static void printTransfers(ProgramOp program, llvm::raw_ostream &out) {
  SmallVector<std::string> forward, backward;
  for (auto transfer : program.getBlock().getOps<TransferOp>()) {
    std::string text = std::to_string(transfer.getFrom()) + " → " +
                       std::to_string(getDevice(transfer).value_or(0)) + " " +
                       bytesComment(transfer.getType());
    (transfer->hasAttr(kBackward) ? backward : forward).push_back(text);
  }
  bool training = program.getSymName() == "train";
  out << "// transfers a " << (training ? "step" : "call") << ": " << forward.size() << " forward";
  if (training)
    out << ", " << backward.size() << " backward";
  out << "\n";
  if (!forward.empty())
    paragraph(out, "  forward: " + listShort(forward), "    ");
  if (!backward.empty())
    paragraph(out, "  backward: " + listShort(backward), "    ");
}

/// What devices of groups exchange; nothing where no layer is spread over several.
static void printCollectives(ProgramOp program, llvm::raw_ostream &out) {
  SmallVector<std::string> forward = describeCollectives(program, false),
                           backward = describeCollectives(program, true);
  if (forward.empty() && backward.empty())
    return;
  bool training = program.getSymName() == "train";
  out << "// collectives a " << (training ? "step" : "call") << ": " << forward.size()
      << " forward";
  if (training)
    out << ", " << backward.size() << " backward";
  out << "; the transfers carry them out\n";
  if (!forward.empty())
    paragraph(out, "  forward: " + listShort(forward), "    ");
  if (!backward.empty())
    paragraph(out, "  backward: " + listShort(backward), "    ");
}

void printHead(const ModelIndex &index, const EmitOptions &options, llvm::raw_ostream &out) {
  ModelOp model = index.model;
  auto devices = model->getAttrOfType<ArrayAttr>("mp.devices");
  int slots = optimizerSlots(index.training);
  TrainingOp training = index.training;
  int64_t batch = training ? training.getBatch() : 1;
  paragraph(out, model.getSymName().str() + " on " + plural(devices.size(), "device") + ", from " +
                     inComment(options.source) + ".");
  if (int64_t replicas = training ? int64_t(training.getReplicas()) : 1; replicas > 1)
    paragraph(out,
              grouped(replicas) + " replicas share out each batch: replica r is on devices r · " +
                  grouped(devices.size()) + " and the following" +
                  (training.getSharded() ? ", and has a share of the optimiser's state." : "."));
  paragraph(out, "Written by mparc " + options.version + ": " + inComment(options.command));
  out << "//\n";
  for (auto [number, device] : llvm::enumerate(devices))
    printDevice(index, number, cast<DictionaryAttr>(device), slots, batch, out);
  printCollectives(index.train ? index.train : index.predict, out);
  printTransfers(index.train ? index.train : index.predict, out);
}

} // namespace mparc::emit
