//===- ShapeFunctions.cpp - Functions that rearrange elements ---------------===//

#include "frontend/Functions.h"

#include <numeric>

using namespace mlir;

namespace mparc {

static Value buildTranspose(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  if (!x)
    return Poison();
  if (call.isGiven(1) != call.isGiven(2)) {
    call.error("`transpose` takes no dimensions or two");
    return Poison();
  }
  if (x->rank() < 2) {
    call.error("`transpose` needs two dimensions, got " + describe(*x));
    return Poison();
  }
  std::optional<int64_t> i = call.dimension(1, *x, -2), j = call.dimension(2, *x, -1);
  if (!i || !j)
    return Poison();
  SmallVector<int64_t> permutation(x->rank());
  std::iota(permutation.begin(), permutation.end(), 0);
  std::swap(permutation[*i], permutation[*j]);
  return *i == *j ? *x : call.graph().permute(*x, permutation);
}

static Value buildPermute(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  const ast::ListExpr *list = call.list(1);
  if (!x || !list)
    return Poison();
  SmallVector<int64_t> permutation;
  for (const ast::ExprPtr &expr : list->elements) {
    std::optional<int64_t> at = call.position(*expr, *x);
    if (!at)
      return Poison();
    if (llvm::is_contained(permutation, *at)) {
      call.session.error(expr->range, "dimension " + llvm::Twine(*at) + " is given twice");
      return Poison();
    }
    permutation.push_back(*at);
  }
  if (static_cast<int64_t>(permutation.size()) != x->rank()) {
    call.session.error(list->range, "expected all " + llvm::Twine(x->rank()) + " dimensions of " +
                                        describe(*x) + ", got " + llvm::Twine(permutation.size()));
    return Poison();
  }
  return call.graph().permute(*x, permutation);
}

/// Gives dimensions that were written as plain sizes the names of the factors that come to lie
/// there: reshaping splits and merges factors in order.
static void carryFactors(MLIRContext *context, const Tensor &x, Dimensions &dimensions) {
  SmallVector<mp::FactorAttr> factors;
  for (mp::DimensionAttr dimension : x.dimensions())
    llvm::append_range(factors, dimension.getFactors());
  size_t next = 0;
  // What is left of the factor at `next` after a part of it has been taken.
  int64_t rest = 0;
  for (mp::DimensionAttr &dimension : dimensions) {
    SmallVector<mp::FactorAttr> taken;
    int64_t wanted = dimension.getStaticSize();
    bool wantsBatch = dimension.hasBatch(), isWhole = true;
    while (next < factors.size() && (wanted > 1 || wantsBatch)) {
      mp::FactorAttr factor = factors[next];
      if (ShapedType::isDynamic(factor.getSize())) {
        if (!wantsBatch)
          return;
        wantsBatch = false;
        taken.push_back(factor);
        ++next;
        continue;
      }
      int64_t size = rest ? rest : factor.getSize();
      if (wanted % size == 0) {
        isWhole &= rest == 0;
        taken.push_back(factor);
        wanted /= size;
        rest = 0;
        ++next;
      } else if (size % wanted == 0) {
        rest = size / wanted;
        wanted = 1;
        isWhole = false;
      } else {
        return;
      }
    }
    if (!isNamed(dimension) && isWhole && !taken.empty()) {
      llvm::StringRef label = taken.size() == 1 ? taken.front().getName() : "";
      dimension = mp::DimensionAttr::get(context, label, taken);
    }
  }
}

static Value buildReshape(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  std::optional<Dimensions> shape = call.shape(1);
  if (!x || !shape)
    return Poison();
  MLIRContext *context = &call.session.context;
  mp::ElementCount count = mp::getElementCount(x->value.getType());
  int64_t known = 1;
  bool hasBatch = false, isTooLarge = false;
  mp::DimensionAttr *rest = nullptr;
  for (mp::DimensionAttr &dimension : *shape) {
    if (!dimension) {
      rest = &dimension;
      continue;
    }
    isTooLarge |= __builtin_mul_overflow(known, dimension.getStaticSize(), &known);
    hasBatch |= dimension.hasBatch();
  }
  bool fits = !isTooLarge && known > 0 && count.count % known == 0 && (!hasBatch || count.perRow);
  if (rest && fits) {
    SmallVector<mp::FactorAttr> factors;
    if (count.perRow && !hasBatch)
      for (mp::DimensionAttr dimension : x->dimensions())
        for (mp::FactorAttr factor : dimension.getFactors())
          if (ShapedType::isDynamic(factor.getSize()))
            factors.push_back(factor);
    if (count.count != known || factors.empty())
      factors.push_back(mp::FactorAttr::get(context, "", count.count / known));
    *rest = mp::DimensionAttr::get(context, "", factors);
  } else if (!rest) {
    fits = fits && count.count == known && hasBatch == count.perRow;
  }
  if (!fits) {
    std::string wanted = call.session.text(call.where(1)).str();
    call.error(describe(*x) + " does not reshape to " + wanted +
               ": the number of elements differs");
    return Poison();
  }
  carryFactors(context, *x, *shape);
  mp::DimensionsAttr dims = call.graph().checked(*shape, describe(*x));
  return dims ? Value(call.graph().reshape(*x, dims)) : Value(Poison());
}

static Value buildConcat(FunctionCall &call) {
  const ast::ListExpr *list = call.list(0);
  if (!list)
    return Poison();
  SmallVector<Tensor> parts;
  bool isFine = !list->elements.empty();
  if (!isFine)
    call.session.error(list->range, "`concat` of nothing");
  for (const ast::ExprPtr &expr : list->elements) {
    Value value = call.evaluator.evaluate(*expr);
    if (auto *tensor = std::get_if<Tensor>(&value)) {
      parts.push_back(*tensor);
      continue;
    }
    isFine = false;
    if (!isPoison(value))
      call.session.error(expr->range, "`concat` takes tensors, got " + describe(value));
  }
  if (!isFine)
    return Poison();
  GraphBuilder &graph = call.graph();
  graph.at(call.site.range);
  Tensor &first = parts.front();
  std::optional<int64_t> dimension = call.dimension(1, first);
  if (!dimension)
    return Poison();
  int64_t size = 0;
  Type element = first.element();
  for (const Tensor &part : parts)
    if (part.element() != element)
      element = promote(element, part.element());
  SmallVector<mlir::Value> operands;
  for (auto [expr, part] : llvm::zip(list->elements, parts)) {
    bool agrees = part.rank() == first.rank();
    for (int64_t index = 0; agrees && index < part.rank(); ++index)
      agrees =
          index == *dimension || haveSameSize(part.dimensions()[index], first.dimensions()[index]);
    if (!agrees) {
      call.session
          .error(expr->range, "cannot join " + describe(part) + " to " + describe(first) +
                                  " along dimension " + llvm::Twine(*dimension))
          .note(list->elements.front()->range, "this is " + describe(first));
      return Poison();
    }
    if (part.dimensions()[*dimension].hasBatch()) {
      call.error("`concat` along `" + part.dimensions()[*dimension].str() +
                 "` combines rows of the batch with one another: " + describe(part));
      return Poison();
    }
    size += part.dimensions()[*dimension].getSize();
    operands.push_back(graph.cast(part, element).value);
  }
  if (parts.size() == 1)
    return first;
  Dimensions dimensions(first.dimensions());
  dimensions[*dimension] = mp::getDimension(&call.session.context, "", size);
  mp::DimensionsAttr dims = graph.checked(dimensions, "");
  if (!dims)
    return Poison();
  Tensor result = graph.create<mp::ConcatOp>(dims, element, operands, *dimension);
  result.origin = first.origin;
  return result;
}

static Value buildSlice(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  std::optional<int64_t> dimension = x ? call.dimension(1, *x) : std::nullopt;
  std::optional<int64_t> from = call.integer(2), to = call.integer(3);
  if (!dimension || !from || !to)
    return Poison();
  mp::DimensionAttr sliced = x->dimensions()[*dimension];
  if (sliced.hasBatch()) {
    call.error("`slice` of `" + sliced.str() +
               "` combines rows of the batch with one another: " + describe(*x));
    return Poison();
  }
  if (*from < 0 || *from >= *to || *to > sliced.getSize()) {
    call.error("positions " + llvm::Twine(*from) + " to " + llvm::Twine(*to) +
               " are not in a dimension of " + llvm::Twine(sliced.getSize()) + ": " + describe(*x));
    return Poison();
  }
  Dimensions dimensions(x->dimensions());
  if (*to - *from != sliced.getSize())
    dimensions[*dimension] = mp::DimensionAttr::get(
        &call.session.context, "", {mp::FactorAttr::get(&call.session.context, "", *to - *from)});
  return call.graph().create<mp::SliceOp>(call.session.dims(dimensions), x->element(), x->value,
                                          *dimension, *from, *to);
}

/// A dimension of a part where `dimension` is cut into `count`: `3*heads*dim` by 3 is `heads*dim`.
static mp::DimensionAttr divide(MLIRContext *context, mp::DimensionAttr dimension, int64_t count) {
  ArrayRef<mp::FactorAttr> factors = dimension.getFactors();
  int64_t first = factors.empty() ? 0 : factors.front().getSize();
  SmallVector<mp::FactorAttr> rest;
  if (first % count != 0 || first == 0)
    return mp::getDimension(context, "", dimension.getSize() / count);
  if (first != count)
    rest.push_back(mp::FactorAttr::get(context, "", first / count));
  llvm::append_range(rest, factors.drop_front());
  if (rest.empty())
    return mp::getDimension(context, "", 1);
  return mp::DimensionAttr::get(context, rest.size() == 1 ? rest.front().getName() : "", rest);
}

static Value buildSplit(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  std::optional<int64_t> count = call.integer(1);
  std::optional<int64_t> dimension = x ? call.dimension(2, *x) : std::nullopt;
  if (!dimension || !count)
    return Poison();
  mp::DimensionAttr whole = x->dimensions()[*dimension];
  if (whole.hasBatch()) {
    call.error("`split` of `" + whole.str() +
               "` combines rows of the batch with one another: " + describe(*x));
    return Poison();
  }
  if (*count < 1 || whole.getSize() % *count != 0) {
    call.error("dimension " + llvm::Twine(*dimension) + " of " + describe(*x) +
               " does not split into " + llvm::Twine(*count) + " equal parts");
    return Poison();
  }
  if (*count == 1)
    return *x;
  MLIRContext *context = &call.session.context;
  Dimensions dimensions(x->dimensions());
  dimensions[*dimension] = divide(context, whole, *count);
  int64_t size = whole.getSize() / *count;
  std::vector<Value> parts;
  for (int64_t part = 0; part < *count && !call.session.isStopped(); ++part) {
    Tensor slice =
        call.graph().create<mp::SliceOp>(call.session.dims(dimensions), x->element(), x->value,
                                         *dimension, part * size, (part + 1) * size);
    slice.origin = call.session.makeOrigin(call.site.range, "`split`");
    parts.push_back(slice);
  }
  if (call.session.isStopped())
    return Poison();
  return makeTuple(std::move(parts));
}

static Value buildBroadcast(FunctionCall &call) {
  std::optional<Tensor> x = call.tensor(0);
  std::optional<Dimensions> shape = call.shape(1);
  if (!x || !shape)
    return Poison();
  GraphBuilder &graph = call.graph();
  // As in torch, -1 keeps the size that is there.
  int64_t missing = static_cast<int64_t>(shape->size()) - x->rank();
  bool fits = missing >= 0;
  for (int64_t index = 0; fits && index < static_cast<int64_t>(shape->size()); ++index) {
    mp::DimensionAttr &wanted = (*shape)[index];
    mp::DimensionAttr own =
        index < missing ? mp::DimensionAttr() : x->dimensions()[index - missing];
    if (!wanted)
      wanted = own;
    fits = wanted && (!own || haveSameSize(own, wanted) || own.getSize() == 1);
    if (fits && own && haveSameSize(own, wanted) && !isNamed(wanted))
      wanted = own;
  }
  if (!fits) {
    call.error(describe(*x) + " does not broadcast to " + call.session.text(call.where(1)));
    return Poison();
  }
  mp::DimensionsAttr dims = graph.checked(*shape, describe(*x));
  return dims ? Value(graph.broadcast(*x, dims)) : Value(Poison());
}

static Value buildIota(FunctionCall &call) {
  std::optional<int64_t> size = call.integer(0);
  if (!size)
    return Poison();
  auto *name = llvm::dyn_cast_or_null<ast::NameExpr>(call.actuals[0].expr);
  mp::DimensionAttr dimension = call.evaluator.toDimension(
      std::get<Number>(call.values[0]), call.where(0), name ? name->name.text : "");
  if (!dimension)
    return Poison();
  if (!llvm::isInt<32>(*size)) {
    call.error("`iota` counts in i32, which " + llvm::Twine(*size) + " does not fit");
    return Poison();
  }
  mp::DimensionsAttr dims = call.graph().checked({dimension}, "");
  if (!dims)
    return Poison();
  return call.graph().create<mp::IotaOp>(dims, call.session.i32(), int64_t(0));
}

void addShapeFunctions(FunctionTable &table) {
  add(table, "transpose", "x, i?:d, j?:d", buildTranspose);
  add(table, "permute", "x, dims:l", buildPermute);
  add(table, "reshape", "x, shape:l", buildReshape);
  add(table, "concat", "tensors:l, dim?:d", buildConcat);
  add(table, "slice", "x, dim:d, from, to", buildSlice);
  add(table, "split", "x, n, dim?:d", buildSplit);
  add(table, "broadcast", "x, shape:l", buildBroadcast);
  add(table, "iota", "n", buildIota);
}

} // namespace mparc
