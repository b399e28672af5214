//===- Number.h - Compile-time numbers --------------------------------------===//
//
// A number that is known when compiling: exact while it can be (integers of 64 bits, quotients of
// them), else a double. `/` of two integers is both a quotient and its floor, and whoever uses the
// number says which is wanted.
//
// An integer remembers the named factors it was made of (`3 * heads * dim`), so that a dimension of
// that size carries them. The batch, whose size is known only at run time, is such a factor.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_NUMBER_H
#define MPARC_FRONTEND_NUMBER_H

#include "dialect/MpDialect.h"
#include "frontend/Ast.h"

#include <optional>
#include <string>

namespace mparc {

/// Wide enough for any product of two integers.
__extension__ typedef __int128 Wide;

class Number {
public:
  Number() = default;
  /// An integer; `dimension`, where not null, holds its factors.
  static Number integer(int64_t value, mp::DimensionAttr dimension = {});
  static Number real(double value);

  /// Whether it is neither a quotient nor a double.
  bool isInteger() const { return kind == Kind::Integer; }
  /// Whether the batch is one of its factors; then `integerValue` is the product of the others.
  bool hasBatch() const { return dimension && dimension.hasBatch(); }
  /// The integer where one is wanted: itself, or the floor of a quotient; nothing for a double.
  std::optional<int64_t> integerValue() const;
  /// Rounded once.
  double doubleValue() const;
  /// The factors of an integer, or of a product that is one; null for a plain one.
  mp::DimensionAttr factors() const { return dimension; }
  /// This integer as one factor of that name, if no factor of it has a name yet.
  Number named(mlir::MLIRContext *context, llvm::StringRef name) const;
  /// As a diagnostic writes it.
  std::string str() const;

  /// `a op b`, and `-a`. Nothing, and why in `error`, where there is no result: overflow, division
  /// by zero, arithmetic with the batch other than multiplication.
  static std::optional<Number> apply(ast::BinaryOperator op, const Number &a, const Number &b,
                                     mlir::MLIRContext *context, std::string &error);
  std::optional<Number> negated(std::string &error) const;
  /// -1, 0 or 1 as a is less than, equal to or greater than b; 2 where either is NaN. Exact.
  static int compare(const Number &a, const Number &b);

private:
  enum class Kind { Integer, Quotient, Real };
  Kind kind = Kind::Integer;
  /// Where an integer is wanted.
  int64_t whole = 0;
  /// Of a Quotient: reduced, the denominator positive.
  int64_t numerator = 0;
  int64_t denominator = 1;
  double value = 0;
  mp::DimensionAttr dimension;

  /// An integer, or a quotient that is one wherever it is used.
  bool isExact() const {
    return kind == Kind::Integer ||
           (kind == Kind::Quotient && denominator == 1 && numerator == whole);
  }
  static Number quotient(int64_t whole, Wide numerator, Wide denominator);
  Wide top() const { return kind == Kind::Quotient ? numerator : whole; }
  Wide bottom() const { return kind == Kind::Quotient ? denominator : 1; }
};

} // namespace mparc

#endif // MPARC_FRONTEND_NUMBER_H
