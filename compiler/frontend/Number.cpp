//===- Number.cpp - Compile-time numbers ------------------------------------===//

#include "frontend/Number.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace mparc {

using ast::BinaryOperator;

Number Number::integer(int64_t value, mp::DimensionAttr dimension) {
  Number number;
  number.whole = value;
  number.dimension = dimension;
  return number;
}

Number Number::real(double value) {
  Number number;
  number.kind = Kind::Real;
  number.value = value;
  return number;
}

static bool fits(Wide value) {
  return value >= std::numeric_limits<int64_t>::min() &&
         value <= std::numeric_limits<int64_t>::max();
}

static Wide gcd(Wide a, Wide b) {
  while (b != 0) {
    Wide rest = a % b;
    a = b;
    b = rest;
  }
  return a < 0 ? -a : a;
}

static Wide floorDivide(Wide a, Wide b) {
  Wide quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

/// A quotient with too many digits to be kept exactly becomes the nearest double, but keeps what it
/// is where an integer is wanted.
Number Number::quotient(int64_t whole, Wide numerator, Wide denominator) {
  Wide divisor = gcd(numerator, denominator);
  if (denominator < 0)
    divisor = -divisor;
  numerator /= divisor;
  denominator /= divisor;
  if (!fits(numerator) || !fits(denominator))
    return real(static_cast<double>(static_cast<long double>(numerator) /
                                    static_cast<long double>(denominator)));
  Number number;
  number.kind = Kind::Quotient;
  number.whole = whole;
  number.numerator = static_cast<int64_t>(numerator);
  number.denominator = static_cast<int64_t>(denominator);
  return number;
}

std::optional<int64_t> Number::integerValue() const {
  if (kind == Kind::Real)
    return std::nullopt;
  return whole;
}

double Number::doubleValue() const {
  if (kind == Kind::Real)
    return value;
  if (kind == Kind::Integer)
    return static_cast<double>(whole);
  // Both parts are exact in 64 bits of mantissa; where they are in 53, this rounds once.
  double top = static_cast<double>(numerator), bottom = static_cast<double>(denominator);
  return top / bottom;
}

Number Number::named(MLIRContext *context, llvm::StringRef name) const {
  if (kind != Kind::Integer || whole < 1)
    return *this;
  if (dimension)
    for (mp::FactorAttr factor : dimension.getFactors())
      if (!factor.getName().empty())
        return *this;
  return integer(whole, mp::getDimension(context, name, whole));
}

std::string Number::str() const {
  if (kind == Kind::Integer) {
    if (!hasBatch())
      return std::to_string(whole);
    return mp::DimensionAttr::get(dimension.getContext(), "", dimension.getFactors()).str();
  }
  if (kind == Kind::Quotient && denominator == 1)
    return std::to_string(numerator);
  llvm::SmallString<32> text;
  llvm::APFloat(doubleValue()).toString(text, 0, 3);
  return text.str().str();
}

static mp::DimensionAttr multiply(MLIRContext *context, const Number &a, const Number &b) {
  auto append = [&](SmallVectorImpl<mp::FactorAttr> &factors, const Number &number) {
    if (number.factors())
      llvm::append_range(factors, number.factors().getFactors());
    else
      factors.push_back(mp::FactorAttr::get(context, "", *number.integerValue()));
  };
  if (!a.factors() && !b.factors())
    return {};
  SmallVector<mp::FactorAttr> factors;
  append(factors, a);
  append(factors, b);
  // A chain of products must not grow without bound; nobody names so many factors.
  return factors.size() > 16 && !a.hasBatch() && !b.hasBatch()
             ? mp::DimensionAttr()
             : mp::DimensionAttr::get(context, "", factors);
}

std::optional<Number> Number::apply(BinaryOperator op, const Number &a, const Number &b,
                                    MLIRContext *context, std::string &error) {
  if (a.hasBatch() || b.hasBatch()) {
    const Number &batch = a.hasBatch() ? a : b;
    const Number &other = a.hasBatch() ? b : a;
    if (op != BinaryOperator::Multiply || !other.isInteger()) {
      error = "`" + batch.str() +
              "` is known only when the program runs; it can be multiplied by "
              "an int, nothing else";
      return std::nullopt;
    }
    if (other.hasBatch()) {
      error = "a size may have `" + batch.str() + "` as a factor only once";
      return std::nullopt;
    }
  }
  if (op == BinaryOperator::Divide || op == BinaryOperator::Remainder) {
    bool isZero = b.kind == Kind::Real ? b.value == 0 : b.top() == 0;
    if (isZero) {
      error = "division by zero";
      return std::nullopt;
    }
  }
  if (a.kind == Kind::Real || b.kind == Kind::Real) {
    double x = a.doubleValue(), y = b.doubleValue();
    switch (op) {
    case BinaryOperator::Add:
      return real(x + y);
    case BinaryOperator::Subtract:
      return real(x - y);
    case BinaryOperator::Multiply:
      return real(x * y);
    case BinaryOperator::Divide:
      return real(x / y);
    default:
      return real(x - y * std::floor(x / y));
    }
  }

  // What stays the same keeps its factors: `channels / groups` without groups.
  if (op == BinaryOperator::Divide && a.isInteger() && b.isInteger() && b.whole == 1)
    return a;
  Wide whole = 0;
  switch (op) {
  case BinaryOperator::Add:
    whole = Wide(a.whole) + b.whole;
    break;
  case BinaryOperator::Subtract:
    whole = Wide(a.whole) - b.whole;
    break;
  case BinaryOperator::Multiply:
    whole = Wide(a.whole) * b.whole;
    break;
  case BinaryOperator::Divide:
    whole = b.whole == 0 ? 0 : floorDivide(a.whole, b.whole);
    break;
  default:
    whole = b.whole == 0 ? 0 : a.whole - b.whole * floorDivide(a.whole, b.whole);
    break;
  }
  if (!fits(whole)) {
    error = a.str() + " " + ast::spelling(op).str() + " " + b.str() + " does not fit in 64 bits";
    return std::nullopt;
  }
  int64_t wanted = static_cast<int64_t>(whole);
  if (a.isInteger() && b.isInteger()) {
    if (op == BinaryOperator::Multiply)
      return integer(wanted, multiply(context, a, b));
    if (op != BinaryOperator::Divide)
      return integer(wanted);
  }

  // Of two reduced quotients; products of 64-bit integers fit in 128 bits, sums of two may not.
  Wide p = a.top(), q = a.bottom(), r = b.top(), s = b.bottom();
  auto sum = [&](Wide x, Wide y) {
    Wide result;
    return __builtin_add_overflow(x, y, &result)
               ? real(static_cast<double>((static_cast<long double>(x) + y) / (q * s)))
               : quotient(wanted, result, q * s);
  };
  switch (op) {
  case BinaryOperator::Add:
    return sum(p * s, r * q);
  case BinaryOperator::Subtract:
    return sum(p * s, -(r * q));
  case BinaryOperator::Multiply: {
    Number product = quotient(wanted, p * r, q * s);
    // `3 * heads * dim` with `dim = width / heads` is the product of its factors, too.
    if (a.isExact() && b.isExact() && product.isExact() && context)
      product.dimension = multiply(context, a, b);
    return product;
  }
  case BinaryOperator::Divide:
    return quotient(wanted, p * s, q * r);
  default: {
    Wide times = floorDivide(p * s, q * r);
    if (!fits(times) || !fits(times * r))
      return real(std::fmod(a.doubleValue(), b.doubleValue()));
    return sum(p * s, -(times * r * q));
  }
  }
}

std::optional<Number> Number::negated(std::string &error) const {
  return apply(BinaryOperator::Subtract, integer(0), *this, nullptr, error);
}

int Number::compare(const Number &a, const Number &b) {
  if (a.kind == Kind::Real || b.kind == Kind::Real) {
    double x = a.doubleValue(), y = b.doubleValue();
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
  }
  Wide left = a.top() * b.bottom(), right = b.top() * a.bottom();
  return left < right ? -1 : left > right ? 1 : 0;
}

} // namespace mparc
