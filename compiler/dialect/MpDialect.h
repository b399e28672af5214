// The mp dialect: operations, attributes, and what all phases ask of them.
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <algorithm>
#include <optional>
#include <string>

#include "dialect/MpDialect.h.inc"
#include "dialect/MpEnums.h.inc"
#include "dialect/MpInterfaces.h.inc"

namespace mparc::mp {

/// One of `count` contiguous parts of the rows of a batch: with R rows the first R mod `count` are
/// a row longer. Parts may be empty.
struct RowPiece {
  int64_t number = 0, count = 1;

  bool isWhole() const { return count == 1; }
  bool operator==(const RowPiece &other) const {
    return number == other.number && count == other.count;
  }
  /// The first row of it, of so many, and how many it has.
  int64_t first(int64_t rows) const {
    return number * (rows / count) + std::min(number, rows % count);
  }
  int64_t size(int64_t rows) const { return rows / count + (number < rows % count ? 1 : 0); }
};

} // namespace mparc::mp

#define GET_ATTRDEF_CLASSES
#include "dialect/MpAttributes.h.inc"

#define GET_OP_CLASSES
#include "dialect/MpOps.h.inc"

namespace mparc::mp {

/// Names of the discardable attributes that phases add to operations of any kind.
inline constexpr llvm::StringLiteral kDevice = "mp.device";
inline constexpr llvm::StringLiteral kLayer = "mp.layer";
inline constexpr llvm::StringLiteral kOrder = "mp.order";
inline constexpr llvm::StringLiteral kStream = "mp.stream";
inline constexpr llvm::StringLiteral kWaits = "mp.waits";
inline constexpr llvm::StringLiteral kBuffer = "mp.buffer";
/// Of a program that is worked through a few rows at a time: how many. Of its operations: "before"
/// the first part or "after" the last; those that run in every part and sum over the rows of all.
inline constexpr llvm::StringLiteral kRowsAPart = "mp.rows_a_part";
inline constexpr llvm::StringLiteral kWhen = "mp.when";
inline constexpr llvm::StringLiteral kAccumulate = "mp.accumulate";

/// Of what may combine the rows of a batch though it is cut, each part by itself: operations of a
/// layer that says so, and assignments of its buffers. Where a program has such, its parts are the
/// microbatches, and `mp.rows_a_part` is 0. Once operations no longer say so, the program does: cut
/// into another number of parts, it computes something else.
inline constexpr llvm::StringLiteral kEachPart = "mp.each_part";
/// Of an operation that runs in each part: its results without rows are the part's own. Of an
/// assignment: that it sets the buffer once a part.
inline constexpr llvm::StringLiteral kOfPart = "mp.of_part";

/// Of an instruction of a program whose microbatches are scheduled: the number of its stage. Of the
/// program: how many microbatches; its turns, each the stage, the microbatch and, for what it waits
/// for, pairs of a device and how many of that device's turns.
inline constexpr llvm::StringLiteral kStage = "mp.stage";
inline constexpr llvm::StringLiteral kMicrobatches = "mp.microbatches";
inline constexpr llvm::StringLiteral kTurns = "mp.turns";
/// Of @train, where there are replicas: what stages wait for in all other replicas, each the stage,
/// a device and so many of its turns.
inline constexpr llvm::StringLiteral kPeerWaits = "mp.peer_waits";
/// Of @train: the multiplications of matrix products that grow with the rows, a row.
inline constexpr llvm::StringLiteral kRowMultiplications = "mp.row_multiplications";

/// Of a forward operation: the number of the part that the backward pass recomputes. Of an
/// operation made for that: so that it is not taken for the one that it repeats.
inline constexpr llvm::StringLiteral kRecompute = "mp.recompute";
inline constexpr llvm::StringLiteral kRecomputed = "mp.recomputed";

/// The logical device of an operation, where it has one.
std::optional<int64_t> getDevice(mlir::Operation *op);
void setDevice(mlir::Operation *op, int64_t device);

/// Where the result of an operation lies in its device's arena: the entry of the operation's
/// `mp.buffer` that is the result's; null where it has none.
BufferAttr getPlace(mlir::Value result);
void setPlace(mlir::Value result, BufferAttr place);

/// The dimensions of a tensor type of the dialect.
llvm::ArrayRef<DimensionAttr> getDimensions(mlir::Type tensor);
/// A tensor type from dimensions; a dimension with the batch is dynamic.
mlir::RankedTensorType getTensorType(mlir::MLIRContext *context,
                                     llvm::ArrayRef<DimensionAttr> dimensions, mlir::Type element);
/// A scalar tensor type, `tensor<f32, #mp.dims<>>`.
mlir::RankedTensorType getScalarType(mlir::MLIRContext *context, mlir::Type element);
/// A dimension of one factor: `name` may be empty. `size` kDynamic: the batch.
DimensionAttr getDimension(mlir::MLIRContext *context, llvm::StringRef name, int64_t size);

/// Whether two tensor types have the same sizes; names and element types may differ.
bool haveSameShape(mlir::Type a, mlir::Type b);
/// Elements a row of the batch (`perRow` true) or altogether.
struct ElementCount {
  int64_t count;
  bool perRow;
  RowPiece piece = {}; // of the rows that it counts by

  /// So many along a further dimension.
  ElementCount times(DimensionAttr dimension) const {
    return {count * dimension.getStaticSize(), perRow || dimension.hasBatch(),
            dimension.hasBatch() ? dimension.getRowPiece() : piece};
  }
};
ElementCount getElementCount(mlir::Type tensor);
ElementCount getElementCount(llvm::ArrayRef<DimensionAttr> dimensions);
/// The factors from the batch on; all of them where it is not among them.
llvm::ArrayRef<FactorAttr> getFromBatchOn(DimensionAttr dimension);
/// The product of the factors before the batch, which its rows lie within: 1 where it is outermost.
int64_t countBeforeBatch(DimensionAttr dimension);
/// The dimension with the batch cut: of its rows, that piece.
DimensionAttr takeRowPiece(DimensionAttr dimension, RowPiece piece);
/// The bytes of one element: f32 and i32 4, bf16 and f16 2, bool 1.
int64_t getElementBytes(mlir::Type element);

/// Whether a value is a sum that every part of a batch which is cut adds to: of an operation with
/// `mp.accumulate`, the results without rows.
bool isSumOverParts(mlir::Value value);
/// Whether a value is a part's own: it has rows, or is computed from them for the part alone. Where
/// parts have memory of their own, it lies there.
bool isOfPart(mlir::Value value);

uint64_t getDropoutKey(DropoutMaskOp op);

/// Of a call of a C++ function, the function's name with its namespaces; empty of all else.
llvm::StringRef getForeignFunction(mlir::Operation *op);
/// What names are made of where the source gives none: the operation's name, or that of the C++
/// function it calls, without namespaces.
llvm::StringRef getPlainName(mlir::Operation *op);

/// The name the source gave the value of this location, or empty; and its place in the source.
llvm::StringRef getSourceName(mlir::Location location);
std::optional<mlir::FileLineColLoc> getSourceLocation(mlir::Location location);
/// Calls what an operation made of `source` as that is called, or the parameter that it reads, with
/// `suffix`. Nothing where it has no name.
void nameAfter(mlir::Value made, mlir::Value source, const llvm::Twine &suffix);

/// What the numbers of a dropout mask are keyed by, beside seed, step and index: a hash (FNV-1a) of
/// the layer's path and the number of the call in it. The same in every backend.
uint64_t getDropoutKey(llvm::StringRef path, int64_t call);

/// Calls `visit` for each operation of a program, in order, with whether it contributes to no
/// result: in @train the backward pass.
void forEachDirection(ProgramOp program,
                      llvm::function_ref<void(mlir::Operation *op, bool isBackward)> visit);

/// Whether an operation needs no place, because every reader can make its result anew: constants,
/// iotas, extents, masks.
bool isPlaceless(mlir::Operation *op);

} // namespace mparc::mp
