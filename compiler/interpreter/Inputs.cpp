// Random inputs, and inputs from text.
#include "interpreter/Inputs.h"

#include "interpreter/Pieces.h"

#include "mpar/scalar.h"

#include "llvm/Support/LineIterator.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/xxhash.h"

#include <charconv>
#include <optional>

using namespace mlir;
using namespace mparc::mp;

namespace mparc::interpreter {

/// Numbers of one tensor: a SplitMix64 generator seeded by the run's seed and the tensor's name.
class Generator {
public:
  Generator(uint64_t seed, StringRef name)
      : state_(mpar::detail::mix(seed + 1) ^ llvm::xxh3_64bits(name)) {}

  /// Uniform in [0, 1), of 24 bits, so that a float holds it.
  double uniform() { return static_cast<double>(next() >> 40) / 16777216.0; }
  bool flip() { return next() >> 63; }
  int64_t below(int64_t count) { return static_cast<int64_t>(next() >> 33) % count; }

private:
  uint64_t next() {
    state_ += mpar::detail::golden_ratio;
    return mpar::detail::mix(state_);
  }
  uint64_t state_;
};

/// What integers count: the rows of the smallest table that they look up, the classes that they
/// are; nothing where they do neither.
static std::optional<int64_t> findLimit(Value integers) {
  std::optional<int64_t> limit;
  for (OpOperand &use : integers.getUses()) {
    Operation *user = use.getOwner();
    std::optional<int64_t> here;
    if (auto gather = dyn_cast<GatherOp>(user); gather && use.getOperandNumber() == 1)
      here = getDimensions(gather.getTable().getType()).front().getSize();
    else if (isa<CrossEntropyOp, CrossEntropyGradientOp>(user))
      here = getDimensions(user->getOperand(0).getType()).back().getSize();
    else if (auto check = dyn_cast<CheckIndexOp>(user))
      here = static_cast<int64_t>(check.getLimit());
    else if (isa<GatherOp, ReshapeOp, PermuteOp, BroadcastOp, SliceOp, ConcatOp, TransferOp>(user))
      here = findLimit(user->getResult(0));
    if (here)
      limit = std::min(*here, limit.value_or(*here));
  }
  return limit;
}

static Tensor makeRandomTensor(StringRef name, Type type, const InputOptions &options,
                               int64_t classes) {
  Tensor tensor(getElementKind(type), getExtents(type, options.rows), options.realBytes);
  Generator generator(options.seed, name);
  for (int64_t index = 0, end = tensor.count(); index < end; ++index)
    switch (tensor.kind()) {
    case ElementKind::real:
    case ElementKind::brain:
    case ElementKind::half: {
      auto number =
          static_cast<float>(options.low + (options.high - options.low) * generator.uniform());
      tensor.set(index, options.anySign && generator.flip() ? -number : number);
      break;
    }
    case ElementKind::integer:
      tensor.set(index, static_cast<double>(generator.below(classes)));
      break;
    case ElementKind::boolean:
      tensor.set(index, generator.flip());
      break;
    }
  return tensor;
}

Inputs makeRandomInputs(ModelOp model, ProgramOp program, const InputOptions &options) {
  int64_t classes = options.classes;
  for (auto training : model.getBody().getOps<TrainingOp>())
    if (classes == 0)
      classes = training.getClasses();
  if (classes == 0)
    classes = 3;
  Inputs inputs;
  for (auto [argument, name] : llvm::zip(program.getBlock().getArguments(),
                                         program.getNames().getAsValueRange<StringAttr>()))
    inputs.arguments.push_back(
        makeRandomTensor(name, argument.getType(), options, findLimit(argument).value_or(classes)));
  for (auto parameter : model.getBody().getOps<ParameterOp>()) {
    std::optional<PieceOf> whole = getWhole(parameter);
    StringRef name = whole ? StringRef(whole->name) : parameter.getSymName();
    Type type = whole ? Type(whole->type) : parameter.getType();
    if (!inputs.parameters.contains(name))
      inputs.parameters[name] = makeRandomTensor(name, type, options, classes);
  }
  return inputs;
}

static llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

llvm::Expected<NamedNumbers> readNumbers(StringRef path) {
  auto file = llvm::MemoryBuffer::getFileOrSTDIN(path, /*IsText=*/true);
  if (!file)
    return makeError(path + ": " + file.getError().message());
  NamedNumbers numbers;
  for (llvm::line_iterator line(**file, /*SkipBlanks=*/true, '#'); !line.is_at_end(); ++line) {
    auto [name, list] = line->split('=');
    std::vector<double> &values = numbers[name.trim()];
    SmallVector<StringRef> fields;
    list.split(fields, ',');
    for (StringRef field : fields) {
      double value = 0;
      if (field.trim().getAsDouble(value))
        return makeError(path + ":" + llvm::Twine(line.line_number()) +
                         ": expected a number, got " + field.trim());
      values.push_back(value);
    }
  }
  return numbers;
}

static llvm::Error setTensor(Tensor &tensor, StringRef name, const NamedNumbers &numbers) {
  auto found = numbers.find(name);
  if (found == numbers.end())
    return llvm::Error::success();
  if (static_cast<int64_t>(found->second.size()) != tensor.count())
    return makeError("expected " + llvm::Twine(tensor.count()) + " numbers for " + name + ", got " +
                     llvm::Twine(found->second.size()));
  for (auto [index, value] : llvm::enumerate(found->second))
    tensor.set(static_cast<int64_t>(index), value);
  return llvm::Error::success();
}

llvm::Error setInputs(Inputs &inputs, ProgramOp program, const NamedNumbers &numbers) {
  for (auto [argument, name] :
       llvm::zip(inputs.arguments, program.getNames().getAsValueRange<StringAttr>()))
    if (llvm::Error error = setTensor(argument, name, numbers))
      return error;
  for (auto &parameter : inputs.parameters)
    if (llvm::Error error = setTensor(parameter.second, parameter.first(), numbers))
      return error;
  return llvm::Error::success();
}

std::string formatNumber(double value, int64_t realBytes) {
  char text[40];
  auto end = realBytes == 4 ? std::to_chars(text, text + sizeof(text), static_cast<float>(value))
                            : std::to_chars(text, text + sizeof(text), value);
  return std::string(text, end.ptr);
}

} // namespace mparc::interpreter
