// Small pieces of C++ text that several printers share.
#pragma once

#include "dialect/MpDialect.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include <string>

namespace mparc::emit {

/// What the printers look up in a model: each once, since models have thousands of parameters.
struct ModelIndex {
  explicit ModelIndex(mp::ModelOp model);
  mp::ModelOp model;
  mp::TrainingOp training; // null where the model has no train block
  mp::ProgramOp train, evaluate, predict;
  llvm::DenseMap<mlir::Attribute, mp::ParameterOp> parameters; // by symbol
  llvm::StringMap<mp::LayerOp> layers;                         // by path
};

/// A string literal, quotes included, whatever bytes the text holds.
std::string quote(llvm::StringRef text);
/// The text on one line of a comment: control characters become spaces.
std::string inComment(llvm::StringRef text);
/// Shortest digits that read back as this double, as a literal of type double.
std::string number(double value);
/// 1234567 → `1,234,567`.
std::string grouped(int64_t value);
/// `count`, or `rows * count`.
std::string sizeText(mp::ElementCount size);
/// What a function calls a piece of its rows: `rows_0_of_2`, with the first of them and their
/// count.
std::string rowsName(mp::RowPiece piece);
/// The size of one dimension.
mp::ElementCount sizeOf(mp::DimensionAttr dimension);
/// `[rows, out 256]`: the dimensions for a reader, with their names.
std::string shapeComment(mlir::Type tensor);
/// What a group's devices exchange in a program, forward or backward, one by one:
/// "all_reduce fc2.h over 0, 1 48 B a row".
llvm::SmallVector<std::string> describeCollectives(mp::ProgramOp program, bool backward);
/// `, also head.weight`: the further names of a tied parameter; empty where there are none.
std::string alsoComment(mp::ParameterOp parameter);
/// `512 B a row`, `1,024 B`.
std::string bytesComment(mlir::Type tensor);
/// `autoencoder.mp:3`, or empty where the location has no place in a file.
std::string placeComment(mlir::Location location);
/// The bytes of one element times the number of elements, a row or altogether; of a piece of the
/// rows, shared out over all of them.
mp::ElementCount bytesOf(mlir::Type tensor);

} // namespace mparc::emit
