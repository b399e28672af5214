// Evaluates instructions over the runtime's own scalar functions, so that the interpreter and
// emitted programs compute one function.
#include "interpreter/ElementProgram.h"

#include "mpar/low_precision.h"
#include "mpar/scalar.h"

using mparc::mp::ComparisonKind;

namespace mparc::interpreter {

template <typename T> static bool compare(ComparisonKind kind, T a, T b) {
  switch (kind) {
  case ComparisonKind::lt:
    return a < b;
  case ComparisonKind::le:
    return a <= b;
  case ComparisonKind::gt:
    return a > b;
  case ComparisonKind::ge:
    return a >= b;
  case ComparisonKind::eq:
    return a == b;
  case ComparisonKind::ne:
    return a != b;
  }
  llvm_unreachable("all comparisons are listed");
}

/// What an operation at a kink decides: on which of the smooth pieces around it the operands lie.
template <typename Scalar>
static void noteDecision(Trace &trace, const Instruction &instruction, Scalar a, Scalar b) {
  switch (instruction.opcode) {
  case Opcode::relu:
  case Opcode::leakyRelu:
  case Opcode::abs:
  case Opcode::sign:
    trace.note(a > 0);
    return;
  case Opcode::minimum:
  case Opcode::maximum:
    trace.note(a > b);
    return;
  case Opcode::clamp:
    trace.note(a < instruction.numbers[0] ? -1 : a > instruction.numbers[1]);
    return;
  case Opcode::compare:
    trace.note(a < b ? -1 : a > b);
    return;
  case Opcode::remainder:
    trace.note(static_cast<int64_t>(std::floor(a / b)));
    return;
  case Opcode::cast:
    if (instruction.resultKind == ElementKind::integer ||
        instruction.resultKind == ElementKind::boolean)
      trace.note(static_cast<int64_t>(a));
    return;
  default:
    return;
  }
}

template <typename Scalar>
static Scalar evaluateReal(const Instruction &instruction, Scalar a, Scalar b) {
  switch (instruction.opcode) {
  case Opcode::neg:
    return -a;
  case Opcode::relu:
    return mpar::relu(a);
  case Opcode::gelu:
    return mpar::gelu(a);
  case Opcode::geluTanh:
    return mpar::gelu_tanh(a);
  case Opcode::geluDerivative:
    return mpar::gelu_derivative(a);
  case Opcode::geluTanhDerivative:
    return mpar::gelu_tanh_derivative(a);
  case Opcode::silu:
    return mpar::silu(a);
  case Opcode::siluDerivative:
    return mpar::silu_derivative(a);
  case Opcode::sigmoid:
    return mpar::sigmoid(a);
  case Opcode::tanh:
    return mpar::tanh(a);
  case Opcode::exp:
    return mpar::exp(a);
  case Opcode::log:
    return std::log(a);
  case Opcode::sqrt:
    return std::sqrt(a);
  case Opcode::rsqrt:
    return mpar::rsqrt(a);
  case Opcode::abs:
    return std::abs(a);
  case Opcode::sign:
    return mpar::sign(a);
  case Opcode::sin:
    return std::sin(a);
  case Opcode::cos:
    return std::cos(a);
  case Opcode::add:
    return a + b;
  case Opcode::sub:
    return a - b;
  case Opcode::mul:
    return a * b;
  case Opcode::div:
    return a / b;
  case Opcode::remainder:
    return mpar::remainder(a, b);
  case Opcode::pow:
    return mpar::pow(a, b);
  case Opcode::minimum:
    return mpar::minimum(a, b);
  case Opcode::maximum:
    return mpar::maximum(a, b);
  case Opcode::binaryCrossEntropy:
    return mpar::binary_cross_entropy(a, b);
  case Opcode::binaryCrossEntropyDerivative:
    return mpar::binary_cross_entropy_derivative(a, b);
  case Opcode::leakyRelu:
    return mpar::leaky_relu(a, static_cast<Scalar>(instruction.numbers[0]));
  case Opcode::clamp:
    return mpar::clamp(a, static_cast<Scalar>(instruction.numbers[0]),
                       static_cast<Scalar>(instruction.numbers[1]));
  default:
    llvm_unreachable("not an operation on reals");
  }
}

/// Integers wrap around.
static int32_t evaluateInteger(const Instruction &instruction, int32_t a, int32_t b) {
  auto wrap = [](int64_t value) { return static_cast<int32_t>(static_cast<uint32_t>(value)); };
  switch (instruction.opcode) {
  case Opcode::neg:
    return wrap(-static_cast<int64_t>(a));
  case Opcode::relu:
    return mpar::relu(a);
  case Opcode::abs:
    return wrap(a < 0 ? -static_cast<int64_t>(a) : a);
  case Opcode::sign:
    return mpar::sign(a);
  case Opcode::add:
    return wrap(static_cast<int64_t>(a) + b);
  case Opcode::sub:
    return wrap(static_cast<int64_t>(a) - b);
  case Opcode::mul:
    return wrap(static_cast<int64_t>(a) * b);
  case Opcode::div:
    return b == 0 ? 0 : wrap(static_cast<int64_t>(a) / b);
  case Opcode::remainder:
    return mpar::remainder(a, b);
  case Opcode::pow:
    return mpar::pow(a, b);
  case Opcode::minimum:
    return mpar::minimum(a, b);
  case Opcode::maximum:
    return mpar::maximum(a, b);
  case Opcode::clamp:
    return mpar::clamp(a, static_cast<int32_t>(instruction.numbers[0]),
                       static_cast<int32_t>(instruction.numbers[1]));
  default:
    llvm_unreachable("not an operation on integers");
  }
}

/// A number of a known kind in another.
template <typename Scalar, typename T> static Cell<Scalar> convert(T value, ElementKind kind) {
  Cell<Scalar> cell{};
  switch (kind) {
  case ElementKind::real:
    cell.real = static_cast<Scalar>(value);
    return cell;
  case ElementKind::integer:
    cell.integer = static_cast<int32_t>(value);
    return cell;
  case ElementKind::boolean:
    cell.boolean = value != T(0);
    return cell;
  case ElementKind::brain:
    cell.real = static_cast<float>(mpar::bfloat16(static_cast<float>(value)));
    return cell;
  case ElementKind::half:
    cell.real = static_cast<float>(mpar::float16(static_cast<float>(value)));
    return cell;
  }
  llvm_unreachable("all kinds are listed");
}

template <typename Scalar>
static Cell<Scalar> evaluateInstruction(const Instruction &instruction, const Cell<Scalar> *cells,
                                        llvm::ArrayRef<int64_t> position,
                                        const Surroundings &surroundings) {
  Cell<Scalar> result{};
  const Cell<Scalar> a = cells[instruction.operands[0]], b = cells[instruction.operands[1]];
  if (surroundings.trace && instruction.kind == ElementKind::real)
    noteDecision(*surroundings.trace, instruction, a.real, b.real);
  switch (instruction.opcode) {
  case Opcode::constant:
    return convert<Scalar>(instruction.numbers[0], instruction.resultKind);
  case Opcode::extent:
    return convert<Scalar>(instruction.integers[0] *
                                   (instruction.numbers[0] != 0 && surroundings.partRows
                                        ? surroundings.partRows
                                        : surroundings.rows) +
                               instruction.integers[1],
                           instruction.resultKind);
  case Opcode::index:
    return convert<Scalar>(position[instruction.integers[0]], instruction.resultKind);
  case Opcode::dropoutMask: {
    const Numbering &numbering = surroundings.numberings[instruction.integers[0]];
    // The draw is that of floats whatever the scalar: both interpret the same function.
    result.real =
        mpar::dropout_scale<float>(surroundings.seed, surroundings.step, instruction.key,
                                   numbering.first + offsetAt(position, numbering.strides),
                                   static_cast<float>(instruction.numbers[0])) == 0
            ? Scalar(0)
            : Scalar(1) / (Scalar(1) - static_cast<Scalar>(instruction.numbers[0]));
    return result;
  }
  case Opcode::select:
    return cells[a.boolean ? instruction.operands[1] : instruction.operands[2]];
  case Opcode::logicalNot:
    result.boolean = !a.boolean;
    return result;
  case Opcode::logicalAnd:
    result.boolean = a.boolean && b.boolean;
    return result;
  case Opcode::logicalOr:
    result.boolean = a.boolean || b.boolean;
    return result;
  case Opcode::compare: {
    auto kind = static_cast<ComparisonKind>(instruction.integers[0]);
    result.boolean = instruction.kind == ElementKind::real ? compare(kind, a.real, b.real)
                     : instruction.kind == ElementKind::integer
                         ? compare(kind, a.integer, b.integer)
                         : compare(kind, a.boolean, b.boolean);
    return result;
  }
  case Opcode::cast:
    // Numbers of less precision are held as the reals that they are.
    return instruction.kind == ElementKind::integer
               ? convert<Scalar>(a.integer, instruction.resultKind)
           : instruction.kind == ElementKind::boolean
               ? convert<Scalar>(a.boolean, instruction.resultKind)
               : convert<Scalar>(a.real, instruction.resultKind);
  default:
    if (instruction.kind == ElementKind::real)
      result.real = evaluateReal(instruction, a.real, b.real);
    else
      result.integer = evaluateInteger(instruction, a.integer, b.integer);
    return result;
  }
}

template <typename Scalar>
void ElementProgram::evaluate(Cell<Scalar> *cells, llvm::ArrayRef<int64_t> position,
                              const Surroundings &surroundings) const {
  Cell<Scalar> *next = cells + operands_;
  for (const Instruction &instruction : instructions_)
    *next++ = evaluateInstruction(instruction, cells, position, surroundings);
}

template void ElementProgram::evaluate(Cell<float> *, llvm::ArrayRef<int64_t>,
                                       const Surroundings &) const;
template void ElementProgram::evaluate(Cell<double> *, llvm::ArrayRef<int64_t>,
                                       const Surroundings &) const;

} // namespace mparc::interpreter
