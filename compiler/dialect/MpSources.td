//===- MpSources.td - elements from nothing --------------------------------------------------------===//

#ifndef MP_SOURCES
#define MP_SOURCES

include "dialect/MpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// In the body of mp.map they are scalars.

def Mp_ConstantOp : Mp_Op<"constant", [Pure, ConstantLike]> {
  let summary = "a number in every element";
  let description = [{
    The attribute is a FloatAttr of f64, an IntegerAttr of i64 or a BoolAttr, whatever the result's element type; it is
    rounded once to it.

    ```mlir
    %one = mp.constant 1.0 : f64 : tensor<f32, #mp.dims<>>
    ```
  }];
  let arguments = (ins TypedAttrInterface:$value);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Mp_ExtentOp : Mp_Op<"extent", [Pure]> {
  let summary = "how many elements: scale · rows + offset, as f32";
  let description = [{
    What a mean divides by, where the batch is among what it averages. `rows` is the number of rows of the whole batch or,
    with `of_part`, of the part at hand where the batch is cut.

    ```mlir
    %n = mp.extent 12 rows plus -1 : tensor<f32, #mp.dims<>>
    ```

    ```mlir
    %k = mp.extent 12 rows of_part : tensor<f32, #mp.dims<>>
    ```
  }];
  let arguments = (ins I64Attr:$scale, DefaultValuedAttr<I64Attr, "0">:$offset, UnitAttr:$of_part);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$scale `rows` (`plus` $offset^)? (`of_part` $of_part^)? attr-dict `:` type($result)";
}

def Mp_DropoutMaskOp : Mp_Op<"dropout_mask", [Pure]> {
  let summary = "0 with probability p, else 1 / (1 - p)";
  let description = [{
    Keyed by the seed, the step, the layer's path, the number of the call in it and the element's index in the whole batch:
    neither placement nor the cutting of batches changes it. Of a piece of a tensor, elements are numbered as in the whole:
    in a tensor of the dimensions `whole`, of which it begins at the positions `from`.

    ```mlir
    %m = mp.dropout_mask 5.0e-1 of "drop" call 0 : tensor<?x4xf32, #mp.dims<batch, 4>>
    ```

    ```mlir
    %k = mp.dropout_mask 5.0e-1 of "drop" call 0 in <batch, 4> from [0, 2] : tensor<?x2xf32, #mp.dims<batch, 2>>
    ```
  }];
  let arguments = (ins F64Attr:$p, StrAttr:$path, I64Attr:$call, OptionalAttr<Mp_DimensionsAttr>:$whole,
                       OptionalAttr<DenseI64ArrayAttr>:$from);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$p `of` $path `call` $call (`in` $whole^ `from` $from)? attr-dict `:` type($result)";
}

def Mp_IotaOp : Mp_Op<"iota", [Pure]> {
  let summary = "0, 1, 2, … along a dimension, as i32";
  let description = [{
    ```mlir
    %i = mp.iota 0 : tensor<10xi32, #mp.dims<10>>
    ```
  }];
  let arguments = (ins I64Attr:$dimension);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$dimension attr-dict `:` type($result)";
}

#endif
