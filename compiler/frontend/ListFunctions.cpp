//===- ListFunctions.cpp - Functions of lists that are known when compiling --===//

#include "frontend/Functions.h"

namespace mparc {

/// How many elements a list has, or layers an array.
static Value buildLen(FunctionCall &call) {
  Value value = call.values[0];
  // A list that is written out is left to the function.
  if (std::holds_alternative<None>(value) && call.actuals[0].expr)
    value = call.evaluator.evaluateConstant(*call.actuals[0].expr);
  if (const std::vector<Value> *elements = asList(value))
    return Number::integer(static_cast<int64_t>(elements->size()));
  if (auto *array = std::get_if<ArrayRefValue>(&value)) {
    // Elements of several indices count by the next of them.
    std::set<int64_t> positions;
    for (const auto &[indices, layer] : array->array->elements)
      if (std::equal(array->indices.begin(), array->indices.end(), indices.begin()))
        positions.insert(indices[array->indices.size()]);
    return Number::integer(static_cast<int64_t>(positions.size()));
  }
  if (!isPoison(value))
    call.session.error(call.where(0), call.what(0) + " must be a list or an array of layers, got " +
                                          describe(value));
  return Poison();
}

void addListFunctions(FunctionTable &table) {
  add(table, "len", "list", buildLen);
  table.back().isConstant = true;
}

} // namespace mparc
