// Prints and compares outcomes.
#include "interpreter/Report.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

#include <cmath>

using namespace mlir;

namespace mparc::interpreter {

std::vector<std::pair<std::string, const Tensor *>> nameTensors(const Outcome &outcome,
                                                                StringRef program) {
  std::vector<std::pair<std::string, const Tensor *>> tensors;
  for (auto [index, tensor] : llvm::enumerate(outcome.returned)) {
    bool isLoss = program == "train" || (program == "evaluate" && index == 1);
    tensors.emplace_back(isLoss ? "loss" : "output", &tensor);
  }
  for (const auto &[name, tensor] : outcome.gradients)
    tensors.emplace_back("gradient " + name, &tensor);
  if (outcome.scale)
    tensors.emplace_back("clip scale", &*outcome.scale);
  for (const auto &[name, tensor] : outcome.buffers)
    tensors.emplace_back("buffer " + name, &tensor);
  return tensors;
}

void printOutcome(raw_ostream &out, const Outcome &outcome, StringRef program, int64_t realBytes,
                  bool values) {
  for (const auto &[name, tensor] : nameTensors(outcome, program)) {
    out << name;
    if (!values && !tensor->extents().empty()) {
      out << " [";
      llvm::interleaveComma(tensor->extents(), out);
      ArrayRef<std::byte> bytes = tensor->bytes();
      uint64_t hash = llvm::xxh3_64bits(
          ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
      out << "] " << llvm::format_hex_no_prefix(hash, 16) << '\n';
      continue;
    }
    out << " = ";
    for (int64_t index = 0, end = tensor->count(); index < end; ++index)
      out << (index ? ", " : "") << formatNumber(tensor->get(index), realBytes);
    out << '\n';
  }
}

std::optional<int64_t> compareOutcome(raw_ostream &out, const Outcome &outcome, StringRef program,
                                      const NamedNumbers &expected, double tolerance) {
  int64_t compared = 0;
  bool agrees = true;
  llvm::StringSet<> known;
  for (const auto &[name, tensor] : nameTensors(outcome, program)) {
    known.insert(name);
    auto found = expected.find(name);
    if (found == expected.end())
      continue;
    const std::vector<double> &numbers = found->second;
    if (static_cast<int64_t>(numbers.size()) != tensor->count()) {
      out << name << ": expected " << numbers.size() << " numbers, got " << tensor->count() << '\n';
      agrees = false;
      continue;
    }
    double largest = tolerance, worst = 0;
    size_t at = 0;
    for (double number : numbers)
      largest = std::max(largest, std::abs(number));
    for (size_t index = 0; index < numbers.size(); ++index) {
      double difference =
          std::abs(tensor->get(static_cast<int64_t>(index)) - numbers[index]) / largest;
      if (!(difference <= worst)) {
        worst = difference;
        at = index;
      }
    }
    ++compared;
    if (worst <= tolerance)
      continue;
    out << name << ": element " << at << " is "
        << formatNumber(tensor->get(static_cast<int64_t>(at)), 8) << ", expected "
        << formatNumber(numbers[at], 8) << "; off by " << llvm::format("%.2g", worst)
        << " of the largest\n";
    agrees = false;
  }
  for (const auto &entry : expected) {
    StringRef name = entry.first();
    if (!known.contains(name) && (name == "loss" || name == "output" ||
                                  name.starts_with("gradient ") || name.starts_with("buffer "))) {
      out << name << ": expected, but the program gives none\n";
      agrees = false;
    }
  }
  return agrees ? std::optional(compared) : std::nullopt;
}

/// Whether two tensors agree but for a part of their largest element.
static bool isClose(const Tensor &a, const Tensor &b, double tolerance) {
  if (a.extents() != b.extents() || a.kind() != b.kind())
    return false;
  double largest = 1e-3;
  for (int64_t index = 0, end = a.count(); index < end; ++index)
    largest = std::max(largest, std::abs(a.get(index)));
  for (int64_t index = 0, end = a.count(); index < end; ++index)
    if (double x = a.get(index), y = b.get(index);
        x != y && !(std::isnan(x) && std::isnan(y)) && !(std::abs(x - y) <= tolerance * largest))
      return false;
  return true;
}

std::string describeDifference(const Outcome &a, const Outcome &b, StringRef program,
                               bool onlyCommon, double tolerance) {
  auto left = nameTensors(a, program), right = nameTensors(b, program);
  if (!onlyCommon && left.size() != right.size())
    return std::to_string(left.size()) + " results, and " + std::to_string(right.size());
  llvm::StringMap<const Tensor *> others;
  for (const auto &[name, tensor] : right)
    others[name] = tensor;
  for (const auto &[name, tensor] : left) {
    const Tensor *other = others.lookup(name);
    if (!other && onlyCommon)
      continue;
    if (!other)
      return name + " is missing in one";
    if (tensor->sameBits(*other) || (tolerance > 0 && isClose(*tensor, *other, tolerance)))
      continue;
    if (tensor->extents() != other->extents())
      return name + " has other extents";
    for (int64_t index = 0, end = tensor->count(); index < end; ++index)
      if (double x = tensor->get(index), y = other->get(index); x != y)
        return name + " element " + std::to_string(index) + ": " + formatNumber(x, 8) + " and " +
               formatNumber(y, 8);
    return name + " differs in the sign of a zero";
  }
  return {};
}

} // namespace mparc::interpreter
