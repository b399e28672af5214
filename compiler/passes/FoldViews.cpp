// mp-fold-views: attention reads heads where a projection left them, and writes them where they
// are wanted.
//
// before   %s = mp.slice %x dimension 2 from 0 to 128      and two more, the rest of %x
//          %q = mp.permute (mp.reshape %s) [0, 2, 1, 3]
//          %y, %sums = mp.attention %q, %k, %v
//          %o = mp.permute %y [0, 2, 1, 3]
// after    %o, %sums = mp.attention %x, %x, %x {views = [#mp.view<<batch, heads=4, time=128,
// dim=32> from 0 …
//
// before   %dq, %dk, %dv = mp.attention_gradient …
//          %pq = mp.reshape (mp.permute %dq [0, 2, 1, 3])
//          %dx = mp.concat %pq, %pk, %pv dimension 2
// after    %dx = mp.attention_gradient … {views = […]}
//
// needs    what mp-fuse leaves, which has taken up the permutes that loops read through.
// gives    the same, of fewer copies. No bit changes: a product reads the same numbers elsewhere.
// does not fold a copy that others read too, as it would be made all the same; nor slices that
// leave out a part of their tensor, which would be kept for the sake of the others.
#include "passes/Passes.h"

#include "dialect/Views.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/Debug.h"

#define DEBUG_TYPE "mp-fold-views"

namespace mparc::mp {
#define GEN_PASS_DEF_FOLDVIEWS
#include "passes/Passes.h.inc"
} // namespace mparc::mp

using namespace mlir;
using namespace mparc::mp;

namespace {

class FoldViews : public mparc::mp::impl::FoldViewsBase<FoldViews> {
  void runOnOperation() override;
};

/// What is seen of a tensor, and by which slice of it, where there is one.
struct Seen {
  Value tensor;
  ViewAttr view;
  SliceOp slice;
};

} // namespace

static bool isAttention(Operation *op) { return isa<AttentionOp, AttentionGradientOp>(op); }

/// All of a tensor, or nothing where its steps would depend on the batch.
static ViewAttr viewAll(Value tensor) {
  ArrayRef<DimensionAttr> dimensions = getDimensions(tensor.getType());
  std::optional<SmallVector<int64_t>> steps = getSteps(dimensions);
  if (!steps)
    return {};
  MLIRContext *context = tensor.getContext();
  return ViewAttr::get(context, DimensionsAttr::get(context, dimensions), 0, *steps, 0);
}

/// The view from 0 of a tensor of `dimensions`, as one of a tensor in which a step along dimension
/// i of these is `steps[i]`. Nothing where a dimension of the view goes across several of them.
static ViewAttr restep(ViewAttr view, ArrayRef<DimensionAttr> dimensions, ArrayRef<int64_t> steps,
                       int64_t offset) {
  std::optional<SmallVector<int64_t>> before = getSteps(dimensions);
  if (!before)
    return {};
  SmallVector<int64_t> after;
  for (auto each : llvm::zip(view.getDimensions().getDimensions(), view.getSteps())) {
    const DimensionAttr seen = std::get<0>(each);
    const int64_t step = std::get<1>(each);
    // The dimension in which a step of the view goes on, and in which its last step ends.
    int64_t size = seen.getStaticSize();
    auto holds = [&](size_t index) {
      int64_t extent = dimensions[index].getStaticSize();
      bool inside = size * step <= (*before)[index] * extent;
      return (extent > 1 || dimensions[index].hasBatch()) && step % (*before)[index] == 0 &&
             inside && seen.hasBatch() <= dimensions[index].hasBatch();
    };
    if (size == 1 && !seen.hasBatch()) {
      after.push_back(0);
      continue;
    }
    size_t index = 0;
    while (index < dimensions.size() && !holds(index))
      ++index;
    if (index == dimensions.size())
      return {};
    after.push_back(step / (*before)[index] * steps[index]);
  }
  return ViewAttr::get(view.getContext(), view.getDimensions(), offset, after, view.getTensor());
}

/// For each dimension of a permute's result, the step along what it is in the operand.
static SmallVector<int64_t> toOperand(ArrayRef<int64_t> steps, ArrayRef<int64_t> permutation) {
  return llvm::map_to_vector(permutation, [&](int64_t source) { return steps[source]; });
}

/// For each dimension of a permute's operand, the step along where it is in the result.
static SmallVector<int64_t> toResult(ArrayRef<int64_t> steps, ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> other(steps.size());
  for (auto [index, source] : llvm::enumerate(permutation))
    other[source] = steps[index];
  return other;
}

//===- Operands
//-------------------------------------------------------------------------------------===//

/// What `operand` of an attention sees of a tensor further up, past copies that nothing else reads;
/// past one slice at most, as what is seen begins where it does.
static Seen lookThrough(Value operand, bool throughSlices) {
  Seen seen{operand, viewAll(operand), {}}, best = seen;
  if (!seen.view || !llvm::all_of(operand.getUsers(), isAttention))
    return best;
  std::optional<int64_t> device = getDevice(*operand.user_begin());
  while (Operation *op = seen.tensor.getDefiningOp()) {
    if (!isa<PermuteOp, SliceOp, ReshapeOp>(op) || getDevice(op) != device ||
        (seen.tensor != operand && !op->hasOneUse()))
      break;
    if (auto slice = dyn_cast<SliceOp>(op); slice && slice.takesRows())
      break; // where it begins is known only as the program runs
    Value source = op->getOperand(0);
    bool copies = !isa<ReshapeOp>(op);
    if (copies) {
      std::optional<SmallVector<int64_t>> steps = getSteps(getDimensions(source.getType()));
      int64_t offset = 0;
      if (seen.slice || !steps || (isa<SliceOp>(op) && !throughSlices))
        break;
      if (auto permute = dyn_cast<PermuteOp>(op)) {
        steps = toOperand(*steps, permute.getPermutation());
      } else {
        seen.slice = cast<SliceOp>(op);
        offset = static_cast<int64_t>(seen.slice.getFrom()) * (*steps)[seen.slice.getDimension()];
      }
      seen.view = restep(seen.view, getDimensions(seen.tensor.getType()), *steps, offset);
      if (!seen.view)
        break;
    }
    seen.tensor = source;
    if (copies && isWalkable(seen.view))
      best = seen;
  }
  return best;
}

/// Whether slices of one tensor are along one dimension and take each position of it.
static bool coverAll(ArrayRef<SliceOp> slices) {
  SliceOp first = slices.front();
  SmallVector<std::pair<uint64_t, uint64_t>> ranges;
  for (SliceOp slice : slices) {
    if (slice.getDimension() != first.getDimension())
      return false;
    ranges.push_back({slice.getFrom(), slice.getTo()});
  }
  llvm::sort(ranges);
  uint64_t end = 0;
  for (auto [from, to] : ranges) {
    if (from > end)
      return false;
    end = std::max(end, to);
  }
  auto dimensions = getDimensions(first.getInput().getType());
  return static_cast<int64_t>(end) == dimensions[first.getDimension()].getStaticSize();
}

/// What attention may read in place of each of its operands.
static DenseMap<Value, Seen> findSources(Block &block) {
  llvm::SetVector<Value> operands;
  for (Operation &op : block)
    if (isAttention(&op))
      operands.insert(op.operand_begin(), op.operand_end());
  DenseMap<Value, Seen> sources;
  DenseMap<Value, SmallVector<SliceOp>> slices; // by what they are of
  for (Value operand : operands) {
    Seen seen = sources[operand] = lookThrough(operand, /*throughSlices=*/true);
    if (seen.slice)
      slices[seen.tensor].push_back(seen.slice);
  }
  for (Value operand : operands)
    if (SliceOp slice = sources[operand].slice; slice && !coverAll(slices[slice.getInput()])) {
      LLVM_DEBUG(llvm::dbgs() << "others leave out a part of the tensor: " << slice << "\n");
      sources[operand] = lookThrough(operand, /*throughSlices=*/false);
    }
  return sources;
}

//===- Results
//--------------------------------------------------------------------------------------===//

/// Where a result is wanted: all of it in the result of one permute, or where it lies.
static Seen lookAhead(Value result, const DenseMap<Operation *, Value> &forGradient) {
  Seen seen{result, viewAll(result), {}};
  PermuteOp only;
  for (Operation *user : result.getUsers()) {
    // The gradient reads the result through the same view.
    if (forGradient.lookup(user) == result)
      continue;
    auto permute = dyn_cast<PermuteOp>(user);
    if (!permute || only || getDevice(permute) != getDevice(result.getDefiningOp()))
      return seen;
    only = permute;
  }
  if (!seen.view || !only)
    return seen;
  std::optional<SmallVector<int64_t>> steps = getSteps(getDimensions(only.getType()));
  if (!steps)
    return seen;
  ViewAttr view = restep(seen.view, getDimensions(result.getType()),
                         toResult(*steps, only.getPermutation()), 0);
  return view && isWalkable(view) ? Seen{only.getResult(), view, {}} : seen;
}

/// The concatenation that nothing but `value`, perhaps reshaped, and its like go into.
static ConcatOp concatOf(Value value, Value &part) {
  part = value;
  while (part.hasOneUse()) {
    Operation *user = *part.user_begin();
    if (auto concat = dyn_cast<ConcatOp>(user))
      return concat;
    if (!isa<ReshapeOp>(user))
      break;
    part = user->getResult(0);
  }
  return {};
}

/// Makes of the gradients that are concatenated views of the concatenation, if all of it is theirs.
static void joinGradients(MutableArrayRef<Seen> gradients) {
  SmallVector<Value, 3> parts(gradients.size());
  SmallVector<ConcatOp, 3> concats;
  for (auto [gradient, part] : llvm::zip(gradients, parts))
    concats.push_back(concatOf(gradient.tensor, part));
  for (ConcatOp concat : llvm::SmallSetVector<ConcatOp, 3>(concats.begin(), concats.end())) {
    std::optional<SmallVector<int64_t>> steps;
    if (concat && !concat.joinsRows() &&
        getDevice(concat) == getDevice(gradients.front().tensor.getDefiningOp()))
      steps = getSteps(getDimensions(concat.getType()));
    if (!steps)
      continue;
    SmallVector<Seen, 3> joined(gradients.begin(), gradients.end());
    int64_t position = 0;
    bool all = true;
    for (Value input : concat.getInputs()) {
      auto each = llvm::find(parts, input) - parts.begin();
      if (static_cast<size_t>(each) == parts.size()) {
        all = false;
        break;
      }
      auto dimensions = getDimensions(input.getType());
      ViewAttr view = restep(gradients[each].view, dimensions, *steps,
                             position * (*steps)[concat.getDimension()]);
      position += dimensions[concat.getDimension()].getStaticSize();
      all &= view && isWalkable(view);
      joined[each] = {concat.getResult(), view, {}};
    }
    if (all)
      llvm::copy(joined, gradients.begin());
  }
}

//===- The operations
//-------------------------------------------------------------------------------===//

static ViewAttr ofTensor(ViewAttr view, int64_t tensor) {
  return ViewAttr::get(view.getContext(), view.getDimensions(), view.getOffset(), view.getSteps(),
                       tensor);
}

namespace {
/// One program's attentions and their gradients, in order.
class Folder {
public:
  explicit Folder(Block &block) : sources(findSources(block)) {
    for (Operation &op : block)
      if (isAttention(&op))
        all.push_back(&op);
    for (Operation *op : all)
      if (auto gradient = dyn_cast<AttentionGradientOp>(op))
        forGradient[op] = gradient.getResult();
  }
  void fold() {
    llvm::for_each(all, [&](Operation *op) { fold(op); });
  }

private:
  void fold(Operation *op);
  /// Makes `op` anew, of what is seen of its operands and of its first results; the others stay.
  void replace(Operation *op, ArrayRef<Seen> operands, ArrayRef<Seen> results);

  SmallVector<Operation *> all;
  DenseMap<Value, Seen> sources;
  DenseMap<Operation *, Value> forGradient; // what gradients read of the forward pass's results
  DenseMap<Value, Value> replaced;
};
} // namespace

void Folder::replace(Operation *op, ArrayRef<Seen> operands, ArrayRef<Seen> results) {
  SmallVector<Attribute> views;
  SmallVector<Value> tensors(op->getOperands());
  for (auto [index, seen] : llvm::enumerate(operands)) {
    tensors[index] = seen.tensor;
    views.push_back(ofTensor(seen.view, index));
  }
  llvm::SetVector<Value> made;
  for (const Seen &seen : results) {
    made.insert(seen.tensor);
    views.push_back(ofTensor(seen.view, llvm::find(made, seen.tensor) - made.begin()));
  }
  SmallVector<Value> others(op->getResults().drop_front(results.size()));
  made.insert(others.begin(), others.end());
  SmallVector<Type> types = llvm::map_to_vector(made, [](Value value) { return value.getType(); });
  // The gradients of several operands in one tensor are called what that tensor was.
  bool isOne = results.size() > 1 && made.size() == 1;
  OperationState state(isOne ? made.front().getLoc() : op->getLoc(), op->getName(), tensors, types,
                       op->getAttrs());
  state.attributes.set("views", ArrayAttr::get(op->getContext(), views));
  Operation *folded = OpBuilder(op).create(state);
  for (auto [tensor, result] : llvm::zip(made.takeVector(), folded->getResults())) {
    tensor.replaceAllUsesWith(result);
    replaced[tensor] = result;
  }
  if (isa<AttentionOp>(op))
    sources[op->getResult(0)] = {folded->getResult(0), results[0].view, {}};
}

void Folder::fold(Operation *op) {
  // The logarithms of sums, the last operand or result, are as they are.
  bool forward = isa<AttentionOp>(op), changes = false;
  SmallVector<Seen> operands, results;
  for (Value operand : op->getOperands().drop_back(forward ? 0 : 1)) {
    Seen seen = sources.lookup(operand);
    if (Value now = replaced.lookup(seen.tensor))
      seen.tensor = now;
    changes |= seen.tensor != operand;
    operands.push_back(seen);
  }
  for (Value result : op->getResults().drop_back(forward ? 1 : 0))
    results.push_back(lookAhead(result, forGradient));
  auto isSeen = [](const Seen &seen) { return bool(seen.view); };
  if (!llvm::all_of(operands, isSeen) || !llvm::all_of(results, isSeen)) {
    LLVM_DEBUG(llvm::dbgs() << "steps depend on the batch: " << *op << "\n");
    return;
  }
  if (!forward)
    joinGradients(results);
  for (auto [seen, result] : llvm::zip(results, op->getResults()))
    changes |= seen.tensor != result;
  if (changes)
    replace(op, operands, results);
}

void FoldViews::runOnOperation() {
  for (ProgramOp program : getOperation().getBody().getOps<ProgramOp>()) {
    Block &block = program.getBlock();
    Folder(block).fold();
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
}

#undef DEBUG_TYPE
