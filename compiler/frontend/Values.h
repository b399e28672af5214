//===- Values.h - What names and expressions stand for ----------------------===//
//
// The instances of layers that a model expands to, and the values that expressions have while a
// program is checked. Instances live as long as the Session that made them.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_VALUES_H
#define MPARC_FRONTEND_VALUES_H

#include "frontend/Number.h"
#include "llvm/ADT/DenseMap.h"

#include <map>
#include <memory>
#include <variant>
#include <vector>

namespace mparc {

struct Instance;

/// Logical devices: one, or a group over which a layer is spread.
using Devices = llvm::SmallVector<int64_t, 1>;

/// What `@split` says: names of factors, and into how many pieces each is cut; 0: as many as there
/// are devices.
struct SplitMark {
  llvm::SmallVector<std::pair<std::string, int64_t>, 2> axes;
  SourceRange where;
};

/// What annotations say of whatever stands under them.
struct Marks {
  std::optional<Devices> device;
  /// `@recompute`: what the part computes forward is computed again in the backward pass.
  bool recompute = false;
  /// `@precision`: the element type of the operands of matrix products; null where nothing says it.
  mlir::Type precision;
  /// How the devices cut what they share; nothing: each has all of it.
  std::optional<SplitMark> split = std::nullopt;
  /// `@each_part`: rows may be combined, those of each part of a batch that is cut by themselves.
  bool eachPart = false;
};

/// Where a tensor's shape was decided, for the note of a shape error.
struct Origin {
  SourceRange where;
  /// What stands there, as the note says it: "`layer1`", "the input `x`".
  std::string what;
};

/// A tensor of the program. Its dimensions are those of `value`, perhaps by other names: a layer
/// calls its inputs by its own.
struct Tensor {
  mlir::Value value;
  mp::DimensionsAttr dims;
  const Origin *origin = nullptr;

  llvm::ArrayRef<mp::DimensionAttr> dimensions() const { return dims.getDimensions(); }
  int64_t rank() const { return static_cast<int64_t>(dims.getDimensions().size()); }
  mlir::Type element() const { return mlir::getElementTypeOrSelf(value.getType()); }
};

/// A `param` of an instance, a tensor that is trained, or a `buffer`, one that `update` sets.
struct ParameterInfo {
  const ast::ParamStmt *declaration = nullptr;
  /// The parameter that it is tied to, which is not tied itself: then this is only a name for that
  /// one, with dimensions called as they are here.
  ParameterInfo *tied = nullptr;
  Instance *owner = nullptr;
  /// "block.3.attn.qkv.bias". Set by Instantiator::resolvePaths, as the further names it has.
  std::string path;
  llvm::SmallVector<std::string, 0> furtherNames;
  mlir::RankedTensorType type;
  mp::InitializerKind initializer = mp::InitializerKind::zeros;
  llvm::SmallVector<double, 2> arguments;
  /// Whether the optimizer's weight decay leaves it alone.
  bool isUndecayed = false;
  /// What reads of it may be told about its shape.
  Origin origin;

  bool isBuffer() const { return declaration->isBuffer; }
};

/// Sub-layers made in loops under one name.
struct LayerArray {
  llvm::StringRef name;
  std::map<std::vector<int64_t>, Instance *> elements;
};

/// An array, and the indices it has so far.
struct ArrayRefValue {
  const LayerArray *array = nullptr;
  std::vector<int64_t> indices;
};

/// Something about it is wrong and has been reported; whatever it is used for is silently wrong
/// too.
struct Poison {};
/// `none`: the default of `dim`.
struct None {};

struct Tuple;
struct List;

using Value =
    std::variant<Poison, None, Number, bool, std::string, Tensor, Instance *, ArrayRefValue,
                 std::shared_ptr<const Tuple>, std::shared_ptr<const List>>;

/// Several results of one call: `a, b = f(x);` takes them apart, and that is all it is for.
struct Tuple {
  std::vector<Value> values;
};

inline Value makeTuple(std::vector<Value> values) {
  return std::make_shared<const Tuple>(Tuple{std::move(values)});
}
/// The values of a tuple; null where it is none.
inline const std::vector<Value> *asTuple(const Value &value) {
  auto *tuple = std::get_if<std::shared_ptr<const Tuple>>(&value);
  return tuple ? &(*tuple)->values : nullptr;
}

/// `[12, 256, 12]`: what is known when compiling, and layers.
struct List {
  std::vector<Value> elements;
};

inline Value makeList(std::vector<Value> elements) {
  return std::make_shared<const List>(List{std::move(elements)});
}
/// The elements of a list; null where the value is none.
inline const std::vector<Value> *asList(const Value &value) {
  auto *list = std::get_if<std::shared_ptr<const List>>(&value);
  return list ? &(*list)->elements : nullptr;
}
/// Whether a value is a layer, or has some in it.
bool holdsLayers(const Value &value);

inline bool isPoison(const Value &value) { return std::holds_alternative<Poison>(value); }

/// "device 2", "devices 0, 1".
std::string describe(const Devices &devices);
/// "an int", "a tensor f32[batch, 12]", "a layer", for "expected …, got …".
std::string describe(const Value &value);
/// "f32[batch, out*3]" as a diagnostic writes a type: sizes where they are known.
std::string describe(const Tensor &tensor);
std::string describe(mlir::Type element, llvm::ArrayRef<mp::DimensionAttr> dimensions);
std::string describe(mlir::Type element);

/// A name of a layer's body, and where it was given.
struct Named {
  Value value;
  SourceRange where;
};

/// An argument that ties a tensor of a layer to a parameter of another.
struct Tie {
  ParameterInfo *target = nullptr;
  SourceRange where;
  /// Whether the layer's body declared the tensor.
  bool isUsed = false;
};

/// A name that a layer has in another: "block.3" in its owner.
struct Membership {
  Instance *owner = nullptr;
  std::string name;
  /// The name of the parameter that it was given for, until the owner's body names it or hands it
  /// on.
  bool isProvisional = false;
};

/// A layer made with arguments.
struct Instance {
  const ast::LayerDecl *declaration = nullptr;
  /// The layer in whose text it is made; null for the model and the loss.
  Instance *scope = nullptr;
  /// What it is called, and by whom: one or more, but for the model and the loss. The first gives
  /// its path.
  llvm::SmallVector<Membership, 1> memberships;
  /// The text that made it: a statement or an argument; invalid for the model and the loss.
  SourceRange made;
  /// What that text calls it: "block[3]", "layers[1]".
  std::string shown;
  bool isArgument = false;
  Origin origin;
  /// Of its annotation; once paths are resolved, of the nearest enclosing layer that has one.
  std::optional<Devices> device;
  std::optional<SplitMark> split;
  /// Whether the statement that made it, or gave it a name, said the device.
  bool isPlaced = false;

  /// Set by Instantiator::resolvePaths. "block.3.attn"; empty for the model.
  std::string path;
  mlir::StringAttr pathAttribute;
  /// All its paths, `path` first: a layer that is given to others has one in each.
  std::vector<std::string> paths;
  /// As layers nest; while expanding, as their texts do.
  unsigned depth = 0;
  /// Each call of it is a part whose activations are recomputed.
  bool recompute = false;
  /// It may combine the rows of each part of a batch that is cut.
  bool eachPart = false;
  /// Of its annotation; once paths are resolved, of the nearest enclosing layer that has one; null:
  /// of whoever calls it.
  mlir::Type precision;
  /// The loss, or a layer in it.
  bool isLoss = false;
  /// Something in it is wrong and reported: calling it gives nothing.
  bool isBroken = false;
  bool isUsed = false;
  /// Stands for the declaration of a C++ function.
  bool isExtern = false;
  /// How often `dropout` was called in it, in the program being built.
  int64_t dropoutCalls = 0;

  /// Compile-time parameters, constants and sub-layers.
  llvm::DenseMap<llvm::StringRef, Named> names;
  llvm::DenseMap<llvm::StringRef, ParameterInfo *> parameters;
  /// By the names of its tensors.
  std::map<llvm::StringRef, Tie> ties;
  std::vector<std::unique_ptr<LayerArray>> arrays;

  /// Where its operations run without an annotation of their own; nothing: where operands are.
  std::optional<Devices> placement() const {
    if (device || parameters.empty())
      return device;
    return Devices{0};
  }
  llvm::StringRef name() const { return declaration->name.text; }
};

} // namespace mparc

#endif // MPARC_FRONTEND_VALUES_H
