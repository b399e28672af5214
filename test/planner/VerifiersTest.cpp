// The verifiers of the last borders against a slow second opinion, over random programs with faults
// put in: all are caught, none is invented.
#include "HappensBefore.h"
#include "RandomModel.h"

#include "passes/Passes.h"

#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

#include <random>

using namespace mlir;
using namespace mparc;
using namespace mparc::mp;

namespace {

using Random = std::mt19937_64;

class VerifiersTest : public ::testing::Test {
protected:
  VerifiersTest() {
    context.disableMultithreading();
    context.loadDialect<MpDialect>();
  }

  /// Whether the verifiers accept; what they say is kept from the console.
  bool accept(ModuleOp module) {
    ScopedDiagnosticHandler silence(&context, [](Diagnostic &) { return success(); });
    PassManager passes(&context);
    passes.enableVerifier(false);
    OpPassManager &model = passes.nest<ModelOp>();
    model.addPass(createVerifyScheduled());
    model.addPass(createVerifyCalls());
    return succeeded(passes.run(module));
  }

  /// A random model of the phase calls.
  OwningOpRef<ModuleOp> make(uint64_t seed) {
    RandomModelOptions options;
    options.operations = 3 + static_cast<int>(seed % 12);
    options.devices = 2 + static_cast<int>(seed % 3);
    options.widest = 8; // sizes that are alike overlap more
    return compile(context, makeRandomModel(seed, options), Phase::calls);
  }

  /// Puts faults of a kind into random programs and asks both; at least a tenth must be faults.
  void compare(int programs, bool (*spoil)(ProgramOp, Random &), bool always);

  MLIRContext context;
};

ProgramOp getProgram(ModuleOp module) {
  ModelOp model = *module.getOps<ModelOp>().begin();
  return *model.getBody().getOps<ProgramOp>().begin();
}

std::vector<Operation *> instructionsOf(ProgramOp program) {
  std::vector<Operation *> instructions;
  for (Operation &op : program.getBlock())
    if (op.hasAttr(kOrder))
      instructions.push_back(&op);
  return instructions;
}

ArrayRef<int64_t> waitsOf(Operation *op) {
  return op->getAttrOfType<DenseI64ArrayAttr>(kWaits).asArrayRef();
}

void setWaits(Operation *op, ArrayRef<int64_t> waits) {
  op->setAttr(kWaits, DenseI64ArrayAttr::get(op->getContext(), waits));
}

/// Leaves out one wait. Those that the compiler gives are the least, so this is always a fault.
bool dropWait(ProgramOp program, Random &random) {
  std::vector<Operation *> waiting;
  for (Operation *op : instructionsOf(program))
    if (!waitsOf(op).empty())
      waiting.push_back(op);
  if (waiting.empty())
    return false;
  Operation *op = waiting[random() % waiting.size()];
  SmallVector<int64_t> waits(waitsOf(op));
  waits.erase(waits.begin() + random() % waits.size());
  setWaits(op, waits);
  return true;
}

/// Waits for another instruction instead, earlier or by chance later.
bool changeWait(ProgramOp program, Random &random) {
  std::vector<Operation *> instructions = instructionsOf(program), waiting;
  for (Operation *op : instructions)
    if (!waitsOf(op).empty())
      waiting.push_back(op);
  if (waiting.empty())
    return false;
  Operation *op = waiting[random() % waiting.size()];
  SmallVector<int64_t> waits(waitsOf(op));
  waits[random() % waits.size()] = static_cast<int64_t>(random() % instructions.size());
  setWaits(op, waits);
  return true;
}

/// Exchanges two neighbours in the order, where values allow, with all waits following.
bool swapOrder(ProgramOp program, Random &random) {
  std::vector<Operation *> instructions = instructionsOf(program);
  for (int attempt = 0; attempt < 20; ++attempt) {
    size_t first = random() % (instructions.size() - 1);
    Operation *a = instructions[first], *b = instructions[first + 1];
    if (a->getNextNode() != b || llvm::is_contained(b->getOperands(), a->getResult(0)))
      continue;
    b->moveBefore(a);
    int64_t order = static_cast<int64_t>(first);
    Builder builder(a->getContext());
    b->setAttr(kOrder, builder.getI64IntegerAttr(order));
    a->setAttr(kOrder, builder.getI64IntegerAttr(order + 1));
    for (Operation *op : instructions) {
      SmallVector<int64_t> waits(waitsOf(op));
      for (int64_t &wait : waits)
        wait = wait == order ? order + 1 : wait == order + 1 ? order : wait;
      setWaits(op, waits);
    }
    return true;
  }
  return false;
}

/// Moves a value to another place of its region. Not in a program that is cut into parts of rows:
/// the second opinion sees one part only, and so not what must outlive it.
bool moveValue(ProgramOp program, Random &random) {
  if (program->hasAttr(kRowsAPart))
    return false;
  std::vector<Operation *> placed;
  for (Operation *op : instructionsOf(program))
    if (auto place = op->getAttrOfType<BufferAttr>(kBuffer))
      if (place.getRegion() == mp::RegionKind::rows || place.getRegion() == mp::RegionKind::fixed)
        placed.push_back(op);
  if (placed.empty())
    return false;
  Operation *op = placed[random() % placed.size()];
  auto place = op->getAttrOfType<BufferAttr>(kBuffer);
  bool rows = place.getRegion() == mp::RegionKind::rows;
  auto devices = program->getParentOfType<ModelOp>()->getAttrOfType<ArrayAttr>("mp.devices");
  auto sizes = cast<DictionaryAttr>(devices[*getDevice(op)]);
  int64_t room = sizes.getAs<IntegerAttr>(rows ? "row_bytes" : "fixed_bytes").getInt() -
                 getElementCount(op->getResult(0).getType()).count * 4;
  // Places stay aligned: what is not is refused whatever lies there.
  int64_t step = rows ? 256 / sizes.getAs<IntegerAttr>("row_unit").getInt() : 256;
  int64_t offset = static_cast<int64_t>(random() % (room / step + 1)) * step;
  op->setAttr(kBuffer, BufferAttr::get(op->getContext(), place.getRegion(), offset));
  // What is named of it lies there, too.
  for (Operation &other : program.getBlock())
    if (auto reshape = dyn_cast<ReshapeOp>(other))
      if (Operation *from = reshape.getInput().getDefiningOp())
        if (Attribute buffer = from->getAttr(kBuffer))
          reshape->setAttr(kBuffer, buffer);
  return true;
}

} // namespace

void VerifiersTest::compare(int programs, bool (*spoil)(ProgramOp, Random &), bool always) {
  int spoilt = 0, faults = 0;
  for (int index = 0; index < programs; ++index) {
    uint64_t seed = firstSeed() + index;
    auto module = make(seed);
    ASSERT_TRUE(module) << "seed " << seed;
    Random random(seed);
    if (!spoil(getProgram(*module), random))
      continue;
    ++spoilt;
    std::string fault = findFault(getProgram(*module));
    bool accepted = accept(*module);
    EXPECT_EQ(accepted, fault.empty()) << "seed " << seed << ": " << fault;
    if (always) {
      EXPECT_FALSE(fault.empty()) << "seed " << seed;
    }
    faults += !fault.empty();
  }
  EXPECT_GT(10 * faults, spoilt);
  EXPECT_GT(4 * spoilt, programs);
}

// What the compiler makes is right in the eyes of both.
TEST_F(VerifiersTest, AcceptWhatThePassesMake) {
  int programs = countOfPrograms(500);
  for (int index = 0; index < programs; ++index) {
    uint64_t seed = firstSeed() + index;
    auto module = make(seed);
    ASSERT_TRUE(module) << "seed " << seed;
    EXPECT_EQ(findFault(getProgram(*module)), "") << "seed " << seed;
    EXPECT_TRUE(accept(*module)) << "seed " << seed;
  }
}

TEST_F(VerifiersTest, CatchDroppedWaits) { compare(countOfPrograms(500), dropWait, true); }
TEST_F(VerifiersTest, CatchChangedWaits) { compare(countOfPrograms(500), changeWait, false); }
TEST_F(VerifiersTest, CatchSwappedInstructions) { compare(countOfPrograms(500), swapOrder, false); }
TEST_F(VerifiersTest, CatchMovedValues) { compare(countOfPrograms(500), moveValue, false); }
