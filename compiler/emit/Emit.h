// From the last level of the IR to C++: two passes that prepare and name, and a printer that
// decides nothing.
#pragma once

#include "dialect/MpDialect.h"

#include "mlir/Pass/Pass.h"

#include <memory>
#include <string>

namespace mparc::emit {

/// Discardable attributes that the passes here leave for the printer.
/// The member function of the emitted class an operation is printed into.
inline constexpr llvm::StringLiteral kFunction = "mp.function";
/// The functor of an mp.map.
inline constexpr llvm::StringLiteral kFunctor = "mp.functor";
/// The C++ name of an operation's result; an array of them where it has several.
inline constexpr llvm::StringLiteral kName = "mp.name";
/// On an operation, the numbers of the results whose pointers outlive the function that computes
/// them.
inline constexpr llvm::StringLiteral kMember = "mp.member";
/// On an operation of @train that computes gradients.
inline constexpr llvm::StringLiteral kBackward = "mp.backward";
/// On mp.program: the C++ names of the arguments.
inline constexpr llvm::StringLiteral kArgumentNames = "mp.argument_names";
/// On mp.model: the C++ name of the class; on mp.parameter, kName: of the member.
inline constexpr llvm::StringLiteral kClass = "mp.class";

/// The name of a result, by kName, and whether it is a member, by kMember.
llvm::StringRef getName(mlir::Value result);
bool isMember(mlir::Value result);
/// What has the pointer to a result: a local variable of its function; the part of the batch, where
/// it has rows; the model; or, of a sum over the parts of a batch, every function that names it,
/// for it lies elsewhere for each thread.
enum class Holder { local, part, model, place };
Holder getHolder(mlir::Value result);

/// Gives every operation of the graph that the source leaves unnamed a name from its layer
/// (`layer1_out`) or its operand (`h_relu`), so that gradients and copies made later have names
/// too.
std::unique_ptr<mlir::Pass> createNameGraphPass();
/// Rewrites what cannot be printed (element-wise operations and iotas outside of loops) and divides
/// each program into functions: maximal runs of operations on one device in one direction.
std::unique_ptr<mlir::Pass> createPrepareEmissionPass();
/// Gives every value, parameter and functor the name it has in C++.
std::unique_ptr<mlir::Pass> createNameValuesPass();

struct EmitOptions {
  std::string version; // of mparc
  std::string command; // as the user gave it
  std::string source;  // the .mp file, as the user named it
  bool main = true;    // whether a program or a part of one is wanted
  std::string header;  // the file the declaration goes to, as the source includes it; empty: none
};

struct EmittedText {
  std::string source;
  std::string header; // empty without EmitOptions::header
};

/// Prints a model that both passes have gone over. Not yet formatted.
EmittedText printCpp(mp::ModelOp model, const EmitOptions &options);

/// The fewest rows a step of @train can work on: fewer, and a variance would divide by 0.
/// `ofPart`: of those of each part of a batch that is cut, not of the whole.
int64_t leastRows(mp::ProgramOp train, bool ofPart = false);
/// The floats of state the optimiser keeps for a parameter: as the runtime's `optimizer_slots`.
int optimizerSlots(mp::TrainingOp training);
/// What a device's rows are rounded up to a multiple of.
int64_t rowUnit(mlir::DictionaryAttr device);
/// The rows of a batch that a device has values of at once, at most: those of as many microbatches
/// as are under way there.
int64_t rowsAtOnce(mlir::DictionaryAttr device, int64_t batch);
/// Whether an operation multiplies a value with itself.
bool isSquare(mlir::Operation *op);
/// What a device needs for activations: "512 B + 96 B a row, of 2 of 8 microbatches at once".
std::string activationsText(mlir::DictionaryAttr device);
/// The bytes of a device's arena at this batch: the formula of the runtime's `arena_bytes`.
int64_t arenaBytes(mlir::DictionaryAttr device, int slots, int64_t batch);
/// Of these the bytes of parameters, gradients and the optimiser's state.
int64_t trainingBytes(mlir::DictionaryAttr device, int slots);
/// The most rows of a batch that one replica takes.
int64_t rowsOfReplica(mlir::DictionaryAttr device, int64_t batch);

} // namespace mparc::emit
