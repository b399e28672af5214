//===- NameValues.cpp - the C++ name of everything that is printed
//---------------------------------===//
//
// Does:     names values after the source, gradients `h_grad`, copies `h_on_1`,
// what the model has `h_`, and functors after what they compute.
// Before:   %h = mp.linear ... loc("h")
// Becomes:  %h = mp.linear ... {mp.name = "h", mp.member = [0]}
// Needs:    mp-prepare-emission.
// Gives:    mp.name on results, parameters and programs, mp.member where functions share a value,
//           mp.functor on maps, mp.class on the model.
// Test:     test/emit/name-values.mlir
//
//===------------------------------------------------------------------------------------------------===//
#include "emit/Emit.h"
#include "emit/Functors.h"
#include "emit/Identifiers.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mparc::mp;

namespace mparc::emit {
namespace {

struct NameValuesPass : PassWrapper<NameValuesPass, OperationPass<ModelOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NameValuesPass)
  StringRef getArgument() const override { return "mp-name-values"; }
  StringRef getDescription() const override { return "name what is printed"; }
  void runOnOperation() override;

private:
  void nameParameters();
  void nameArguments(ProgramOp program);
  void nameResults(ProgramOp program);
  void nameFunctors();
  std::string memberName(Value value, StringRef name);

  using Shared = std::tuple<Type, bool, bool>;
  llvm::StringMap<Shared> shared;     // members of the part, and what they point to
  llvm::StringSet<> usedHere;         // those of the program at hand
  llvm::StringMap<unsigned> nextHere; // how often it has asked for a name
};

} // namespace

/// The operand whose memory a value is.
static Value storage(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getInput();
  return value;
}

/// Whether a pointer is read outside of the function that computes it.
static bool outlivesFunction(Value value, Attribute function) {
  for (Operation *user : value.getUsers()) {
    if (isa<GradientOp>(user))
      continue;
    if (isa<ReturnOp>(user))
      return true;
    bool outlives = isa<ReshapeOp>(user) ? outlivesFunction(user->getResult(0), function)
                                         : user->getAttr(kFunction) != function;
    if (outlives)
      return true;
  }
  return false;
}

/// Whether a value lies where the emitted code may not write: in a batch, or on its sender's
/// device.
static bool isReadOnly(Value value) {
  return isa<BlockArgument>(value) || isa<TransferOp>(value.getDefiningOp());
}

StringRef getName(Value result) {
  Operation *op = result.getDefiningOp();
  if (auto all = op->getAttrOfType<ArrayAttr>(kName))
    return cast<StringAttr>(all[cast<OpResult>(result).getResultNumber()]).getValue();
  auto name = op->getAttrOfType<StringAttr>(kName);
  return name ? name.getValue() : StringRef();
}

bool isMember(Value result) {
  auto members = result.getDefiningOp()->getAttrOfType<DenseI64ArrayAttr>(kMember);
  return members &&
         llvm::is_contained(members.asArrayRef(), cast<OpResult>(result).getResultNumber());
}

static Holder holderOf(Value value, bool member) {
  if (!member)
    return Holder::local;
  if (isOfPart(value) || isa<BlockArgument>(value))
    return Holder::part;
  return isSumOverParts(value) ? Holder::place : Holder::model;
}

Holder getHolder(Value result) { return holderOf(result, isMember(result)); }

/// What the source calls an operand, or a parameter.
static StringRef sourceName(Value value) {
  value = storage(value);
  auto read = value.getDefiningOp<ReadOp>();
  return read ? read.getParameter() : getSourceName(value.getLoc());
}

/// The result of an operation with several: what only the gradient reads after what it belongs to,
/// gradients after the operands they are of.
static std::string describeOneOfSeveral(OpResult result) {
  Operation *op = result.getOwner();
  unsigned number = result.getResultNumber();
  if (isa<AttentionOp, LayerNormOp, RmsNormOp, MaxPoolOp>(op)) {
    StringRef name = getSourceName(op->getLoc());
    if (number == 0 || name.empty())
      return name.str();
    bool isMean = isa<LayerNormOp>(op) && number == 1;
    return (name + (isa<AttentionOp>(op) ? "_log_sums"
                    : isa<MaxPoolOp>(op) ? "_positions"
                    : isMean             ? "_mean"
                                         : "_scale"))
        .str();
  }
  // The first operand is the gradient of the result; the others stand in the order of theirs.
  Value operand;
  if (auto gradient = dyn_cast<AttentionGradientOp>(op)) {
    unsigned first = number; // of q, k and v the first whose gradient lies there
    if (std::optional<ArrayAttr> views = gradient.getViews())
      for (first = 0; cast<ViewAttr>((*views)[5 + first]).getTensor() != number;)
        ++first;
    operand = op->getOperand(1 + first);
  } else if (number == 0)
    operand = op->getOperand(1);
  StringRef name = operand ? sourceName(operand) : StringRef();
  return name.empty() ? "" : (name + "_grad").str();
}

/// What says that a value, perhaps in another shape, is the gradient of a parameter; null where
/// nothing does.
static GradientOp findGradient(Value value) {
  for (Operation *user : value.getUsers()) {
    if (auto gradient = dyn_cast<GradientOp>(user))
      return gradient;
    if (auto reshape = dyn_cast<ReshapeOp>(user))
      if (GradientOp gradient = findGradient(reshape.getResult()))
        return gradient;
  }
  return nullptr;
}

/// What divides a sum over the parts of a batch to make it the mean that the source wants; null
/// where nothing does.
static MapOp findDivision(Operation *op) {
  if (isa<ReduceOp>(op) && op->hasAttr(kAccumulate))
    for (Operation *user : op->getUsers())
      if (auto map = dyn_cast<MapOp>(user); map && map->getLoc() == op->getLoc())
        return map;
  return nullptr;
}

/// What a value is called before it is made an identifier and unique.
static std::string describe(OpResult result) {
  Operation *op = result.getOwner();
  if (MapOp division = findDivision(op)) {
    std::string mean = describe(cast<OpResult>(division.getResult()));
    return mean.empty() ? "" : mean + "_sum";
  }
  if (GradientOp gradient = findGradient(result))
    return (gradient.getParameter() + "_grad").str();
  if (auto transfer = dyn_cast<TransferOp>(op)) {
    Value source = storage(transfer.getInput());
    StringRef name = getSourceName(source.getLoc());
    if (auto read = source.getDefiningOp<ReadOp>())
      name = read.getParameter();
    else if (source.getDefiningOp() && name.empty())
      name = getName(source);
    else if (auto argument = dyn_cast<BlockArgument>(source))
      name = cast<StringAttr>(cast<ProgramOp>(argument.getOwner()->getParentOp())
                                  .getNames()[argument.getArgNumber()])
                 .getValue();
    return (name.rtrim('_') + "_on_" + Twine(getDevice(op).value_or(0))).str();
  }
  if (op->getNumResults() > 1)
    return describeOneOfSeveral(result);
  if (StringRef name = getSourceName(op->getLoc()); !name.empty())
    return name.str();
  if (auto last = dyn_cast<ReturnOp>(op->getBlock()->getTerminator()))
    if (last->getNumOperands() && last->getOperands().back() == result)
      return op->getParentOfType<ProgramOp>().getSymName() == "predict" ? "result" : "loss";
  return {};
}

/// A name for a value that has none in the source: it begins with an underscore, and says only what
/// kind of thing it is.
static std::string temporaryName(Operation *op) { return ("_" + getPlainName(op)).str(); }

std::string NameValuesPass::memberName(Value value, StringRef given) {
  // What a step returns keeps a name of its own: GPUs carry out a recorded step without the
  // functions that set it.
  bool isOfModel = holderOf(value, true) == Holder::model;
  auto program = cast<ProgramOp>(value.getParentBlock()->getParentOp());
  bool isReturned = isOfModel && llvm::any_of(value.getUsers(),
                                              [](Operation *user) { return isa<ReturnOp>(user); });
  bool isOfStep = isReturned && program.getSymName() == "train";
  std::string name =
      (isReturned && program.getSymName() == "evaluate" ? "evaluated_" : "") + given.str();
  // Programs share `x` where both mean a pointer to the same kind of tensor; one program gives a
  // member to one value. What the model has ends in an underscore.
  unsigned &number = nextHere[name];
  Shared type{value.getType(), isReadOnly(value), isOfStep};
  const std::string end = isOfModel ? "_" : "";
  for (;;) {
    ++number;
    std::string member = number == 1 ? name + end : name + "_" + std::to_string(number) + end;
    auto [known, isNew] = shared.try_emplace(member, type);
    if ((isNew || known->second == type) && usedHere.insert(member).second)
      return member;
  }
}

void NameValuesPass::nameParameters() {
  Builder builder(&getContext());
  Scope members;
  for (StringRef own : {"parts_", "stages_"}) { // of every class
    members.reserve(own);
    shared[own] = {};
  }
  for (auto parameter : getOperation().getOps<ParameterOp>()) {
    std::string name = members.unique(makeIdentifier(parameter.getSymName()) + "_");
    shared[name] = {}; // no value is called that
    parameter->setAttr(kName, builder.getStringAttr(name));
  }
}

void NameValuesPass::nameArguments(ProgramOp program) {
  Builder builder(&getContext());
  SmallVector<Attribute> names;
  for (auto [argument, name] : llvm::zip(program.getBlock().getArguments(), program.getNames()))
    names.push_back(builder.getStringAttr(
        memberName(argument, makeIdentifier(cast<StringAttr>(name).getValue()))));
  program->setAttr(kArgumentNames, builder.getArrayAttr(names));
}

void NameValuesPass::nameResults(ProgramOp program) {
  Builder builder(&getContext());
  llvm::DenseMap<Attribute, Scope> scopes; // a function each
  llvm::StringSet<> places;                // names that several functions give the same value
  for (Operation &op : program.getBlock().without_terminator()) {
    Attribute function = op.getAttr(kFunction);
    if (!function || op.getNumResults() == 0)
      continue;
    SmallVector<Attribute> names;
    SmallVector<int64_t> members;
    for (OpResult result : op.getResults()) {
      std::string name = describe(result);
      name = name.empty() ? temporaryName(&op) : makeIdentifier(name);
      if (outlivesFunction(result, function)) {
        members.push_back(result.getResultNumber());
        // A local variable named by its operation would hide the function that is called.
        std::string base =
            holderOf(result, true) == Holder::place ? name : StringRef(name).ltrim('_').str();
        do
          name = memberName(result, base);
        while (holderOf(result, true) == Holder::place && scopes[function].unique(name) != name);
        if (holderOf(result, true) == Holder::place)
          places.insert(name);
      } else {
        std::string base = name;
        do
          name = scopes[function].unique(base);
        while (places.contains(name));
      }
      names.push_back(builder.getStringAttr(name));
    }
    op.setAttr(kName, names.size() == 1 ? names.front() : builder.getArrayAttr(names));
    if (!members.empty())
      op.setAttr(kMember, builder.getDenseI64ArrayAttr(members));
  }
}

void NameValuesPass::nameFunctors() {
  Builder builder(&getContext());
  Scope names;
  names.reserve(getOperation()->getAttrOfType<StringAttr>(kClass).getValue());
  llvm::MapVector<StringRef, SmallVector<MapOp>> maps; // by body
  llvm::StringSet<> bodies;
  getOperation().walk([&](Operation *op) {
    if (auto name = op->getAttrOfType<StringAttr>(kName))
      names.reserve(name.getValue());
    if (auto all = op->getAttrOfType<ArrayAttr>(kName))
      for (auto name : all.getAsRange<StringAttr>())
        names.reserve(name.getValue());
  });
  getOperation().walk([&](MapOp map) {
    maps[bodies.insert(printFunctorBody(map)).first->getKey()].push_back(map);
  });
  for (auto &[body, same] : maps) {
    StringAttr name = builder.getStringAttr(names.unique(describeFunctor(same)));
    for (MapOp map : same)
      map->setAttr(kFunctor, name);
  }
}

void NameValuesPass::runOnOperation() {
  shared.clear();
  std::string name = getOperation().getSymName().str();
  if (isReserved(name))
    name += "_";
  getOperation()->setAttr(kClass, StringAttr::get(&getContext(), name));
  nameParameters();
  for (auto program : getOperation().getOps<ProgramOp>()) {
    nextHere.clear();
    usedHere.clear();
    nameArguments(program);
    nameResults(program);
  }
  nameFunctors();
}

std::unique_ptr<Pass> createNameValuesPass() { return std::make_unique<NameValuesPass>(); }

} // namespace mparc::emit
