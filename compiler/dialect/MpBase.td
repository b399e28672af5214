//===- MpBase.td - the mp dialect, its attributes and interfaces ----------------------------------===//

#ifndef MP_BASE
#define MP_BASE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/TensorEncoding.td"
include "dialect/MpInterfaces.td"

def Mp_Dialect : Dialect {
  let name = "mp";
  let cppNamespace = "::mparc::mp";
  let summary = "Models whose operations are placed on devices";
  let description = [{
    One set of operations in stated phases; at each border a verifier pass forbids what must be gone.

    | phase | what holds |
    | --- | --- |
    | graph | primitives on tensors, every size known up to the batch |
    | grad | `train` computes the gradient of every parameter and updates it |
    | placed | every operation but constants has `mp.device` |
    | transferred | an operation and its operands are on one device |
    | fused | element-wise chains are `mp.map`, products with bias and ReLU `mp.linear` |
    | scheduled | `mp.order`, `mp.stream` and `mp.waits` give one total order |
    | calls | every result has an `mp.buffer`; every operation is one call of the runtime or one loop |

    Tensors are builtin ranked tensors whose encoding is `#mp.dims`. `?` is a dimension that contains the batch.
    Facts that a phase adds to operations of any kind are discardable attributes with the dialect's prefix:
    `mp.device`, `mp.layer` (the path of the layer an operation belongs to), `mp.order`, `mp.stream`, `mp.waits`, `mp.buffer`.
  }];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

class Mp_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<Mp_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Mp_FactorAttr : Mp_Attr<"Factor", "factor"> {
  let summary = "one named factor of a dimension";
  let description = [{
    A name, which may be empty, and a size; the size of the batch is `ShapedType::kDynamic`. Of the batch it may be a piece:
    its rows are divided into `pieces` contiguous parts, the first of which may be a row longer, and this is number `piece`.

    Example: `#mp.factor<"heads", 4, 0, 1>`
  }];
  let parameters = (ins StringRefParameter<"empty for a plain integer">:$name, "int64_t":$size,
                        "int64_t":$piece, "int64_t":$pieces);
  let builders = [AttrBuilder<(ins "llvm::StringRef":$name, "int64_t":$size), [{
    return $_get($_ctxt, name, size, int64_t(0), int64_t(1));
  }]>];
  let assemblyFormat = "`<` $name `,` $size `,` $piece `,` $pieces `>`";
}

def Mp_DimensionAttr : Mp_Attr<"Dimension", "dimension"> {
  let summary = "a dimension: what the layer called it, and its factors";
  let description = [{
    The size is the product of the factors, in order. The label is empty where the layer wrote an expression or a
    number.

    Example: `#mp.dimension<"out", <"", 3, 0, 1>, <"heads", 4, 0, 1>>`
  }];
  let parameters = (ins StringRefParameter<"what the layer called it">:$label,
                        ArrayRefParameter<"FactorAttr">:$factors);
  let assemblyFormat = "`<` $label `,` $factors `>`";
  let extraClassDeclaration = [{
    /// The product of the factors; kDynamic where the batch is one of them.
    int64_t getSize() const;
    /// The product of all factors but the batch.
    int64_t getStaticSize() const;
    /// Whether the batch is a factor.
    bool hasBatch() const;
    /// Which piece of the batch: the whole, where it is not cut or not a factor.
    RowPiece getRowPiece() const;
    /// As a diagnostic writes it: `out`, `heads*dim`, `12`.
    std::string str() const;
  }];
}

def Mp_DimensionsAttr : Mp_Attr<"Dimensions", "dims", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding, ["verifyEncoding"]>]> {
  let summary = "the dimensions of a tensor: the encoding of every tensor type";
  let description = [{
    Written as a person would: factors with `*`, sizes after `=`, the batch as a bare name; a label before `:` where it
    is not the name of the only factor. Of a batch that is cut, behind it the number of the piece and how many there are.

    Example: `tensor<?x192xf32, #mp.dims<batch, qkv: 3*heads=4*dim=16>>`, `tensor<?x8xf32, #mp.dims<batch[0 of 2], 8>>`
  }];
  let parameters = (ins ArrayRefParameter<"DimensionAttr">:$dimensions);
  let hasCustomAssemblyFormat = 1;
}

def Mp_ViewAttr : Mp_Attr<"View", "view"> {
  let summary = "elements of a tensor, seen under dimensions of their own";
  let description = [{
    Element (i, j, …) of the view is the tensor's element `from` + i · steps[0] + j · steps[1] + …, counted in the tensor's
    own order. A step along the batch counts the elements of a row of it, so only the outermost dimension may contain the
    batch. `of` is the number of the tensor: among an operation's operands, or its results.

    Example: `#mp.view<<batch, heads=4, time=128, dim=32> from 128 steps [49152, 32, 384, 1] of 0>`
  }];
  let parameters = (ins "DimensionsAttr":$dimensions, "int64_t":$offset,
                        ArrayRefParameter<"int64_t">:$steps, "int64_t":$tensor);
  let assemblyFormat = "`<` $dimensions `from` $offset `steps` `[` $steps `]` `of` $tensor `>`";
}

def Mp_RegionKind : I32EnumAttr<"RegionKind", "where a value lies", [
    I32EnumAttrCase<"parameters", 0>, I32EnumAttrCase<"gradients", 1>,
    I32EnumAttrCase<"fixed", 2>, I32EnumAttrCase<"rows", 3>,
    I32EnumAttrCase<"input", 4>]> {
  let cppNamespace = "::mparc::mp";
}

def Mp_BufferAttr : Mp_Attr<"Buffer", "buffer"> {
  let summary = "where in its device's arena a value lies";
  let description = [{
    On an operation with several results the attribute is an array of these, an entry a result. The offset counts floats in `parameters` and `gradients`, bytes in `fixed`, bytes a row of the batch in `rows`, the
    number of the program's argument in `input`.

    Example: `#mp.buffer<rows, 1024>`
  }];
  let parameters = (ins EnumParameter<Mp_RegionKind>:$region, "int64_t":$offset);
  let assemblyFormat = "`<` $region `,` $offset `>`";
}

def Mp_ReductionKind : I32EnumAttr<"ReductionKind", "how elements are reduced", [
    I32EnumAttrCase<"sum", 0>, I32EnumAttrCase<"mean", 1>,
    I32EnumAttrCase<"maximum", 2>, I32EnumAttrCase<"minimum", 3>]> {
  let cppNamespace = "::mparc::mp";
}

def Mp_ComparisonKind : I32EnumAttr<"ComparisonKind", "how two elements are compared", [
    I32EnumAttrCase<"lt", 0>, I32EnumAttrCase<"le", 1>, I32EnumAttrCase<"gt", 2>,
    I32EnumAttrCase<"ge", 3>, I32EnumAttrCase<"eq", 4>, I32EnumAttrCase<"ne", 5>]> {
  let cppNamespace = "::mparc::mp";
}

def Mp_ActivationKind : I32EnumAttr<"ActivationKind", "what mp.linear applies last", [
    I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"relu", 1>]> {
  let cppNamespace = "::mparc::mp";
}

def Mp_InitializerKind : I32EnumAttr<"InitializerKind", "how a parameter is first filled", [
    I32EnumAttrCase<"zeros", 0>, I32EnumAttrCase<"ones", 1>, I32EnumAttrCase<"constant", 2>,
    I32EnumAttrCase<"uniform", 3>, I32EnumAttrCase<"normal", 4>,
    I32EnumAttrCase<"kaiming_uniform", 5>, I32EnumAttrCase<"xavier_uniform", 6>]> {
  let cppNamespace = "::mparc::mp";
}

def Mp_HasDimensions : CPred<"::llvm::isa_and_nonnull<::mparc::mp::DimensionsAttr>("
                             "::llvm::cast<::mlir::RankedTensorType>($_self).getEncoding())">;

def Mp_Tensor : Type<And<[AnyRankedTensor.predicate, Mp_HasDimensions]>, "a tensor whose dimensions are known",
                     "::mlir::RankedTensorType">;

def Mp_Scalar : Type<And<[AnyRankedTensor.predicate, Mp_HasDimensions,
    CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getRank() == 0">,
    CPred<"::llvm::cast<::mlir::RankedTensorType>($_self).getElementType().isF32()">]>,
    "a tensor of f32 without dimensions", "::mlir::RankedTensorType">;

class Mp_Op<string opMnemonic, list<Trait> traits = []> : Op<Mp_Dialect, opMnemonic, traits>;

#endif
