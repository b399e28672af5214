//===- MpOps.td - operations on whole tensors ------------------------------------------------------===//

#ifndef MP_OPS
#define MP_OPS

include "dialect/MpBase.td"
include "dialect/MpStructure.td"
include "dialect/MpCollectives.td"
include "dialect/MpElementwise.td"
include "dialect/MpForeign.td"
include "dialect/MpIndexing.td"
include "dialect/MpAttention.td"
include "dialect/MpConvolution.td"
include "dialect/MpSources.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===- Shapes ---------------------------------------------------------------------------------------===//

def Mp_BroadcastOp : Mp_Op<"broadcast", [Pure]> {
  let summary = "repeats a tensor along new dimensions and along those of size 1";
  let description = [{
    (B1) `dimensions` has one entry a dimension of the result: the operand's dimension that lies there, or -1.
    (B2) entries that are not -1 are distinct and name every dimension of the operand whose size is not 1.
    (B3) sizes agree, or the operand's is 1.

    ```mlir
    %y = mp.broadcast %x [-1, 0] : tensor<4xf32, #mp.dims<4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$input, DenseI64ArrayAttr:$dimensions);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$input $dimensions attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Mp_ReshapeOp : Mp_Op<"reshape", [Pure]> {
  let summary = "the same elements in the same order under other dimensions";
  let description = [{
    (R1) the number of elements is the same, and the batch is a factor of both or of neither.

    ```mlir
    %y = mp.reshape %x : tensor<?x12xf32, #mp.dims<batch, 12>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$input);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Mp_PermuteOp : Mp_Op<"permute", [Pure]> {
  let summary = "reorders dimensions: dimension i of the result is dimension permutation[i] of the operand";
  let description = [{
    (P1) `permutation` is one of the operand's dimensions.

    ```mlir
    %y = mp.permute %x [1, 0] : tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<4x3xf32, #mp.dims<4, 3>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$input $permutation attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Mp_SliceOp : Mp_Op<"slice", [Pure]> {
  let summary = "positions [from, to) of a dimension";
  let description = [{
    (S1) the dimension does not contain the batch. (S2) 0 <= from < to <= its size. (S3) or it does, outermost, from and to
    are 0, and the result is that piece of its rows which the result's dimension says.

    ```mlir
    %y = mp.slice %x dimension 1 from 0 to 4 : tensor<?x12xf32, #mp.dims<batch, 12>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```

    ```mlir
    %z = mp.slice %x dimension 0 from 0 to 0 : tensor<?x12xf32, #mp.dims<batch, 12>> -> tensor<?x12xf32, #mp.dims<batch[1 of 2], 12>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$input, I64Attr:$dimension, I64Attr:$from, I64Attr:$to);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$input `dimension` $dimension `from` $from `to` $to attr-dict `:` type($input) `->` type($result)";
  let extraClassDeclaration = [{
    /// Whether it takes a piece of the rows of the batch (S3).
    bool takesRows();
  }];
  let hasVerifier = 1;
}

def Mp_PadOp : Mp_Op<"pad", [Pure]> {
  let summary = "zeros before and after the positions of a dimension: the adjoint of slice";
  let description = [{
    ```mlir
    %y = mp.pad %x dimension 1 before 0 after 8 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x12xf32, #mp.dims<batch, 12>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$input, I64Attr:$dimension, I64Attr:$before, I64Attr:$after);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$input `dimension` $dimension `before` $before `after` $after attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Mp_ConcatOp : Mp_Op<"concat", [Pure]> {
  let summary = "tensors one after the other along a dimension";
  let description = [{
    (K1) they agree in all other dimensions. (K2) the dimension does not contain the batch. (K3) or it does, outermost,
    and they are all the pieces of it, in order.

    ```mlir
    %y = mp.concat %a, %b dimension 1 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x2xf32, #mp.dims<batch, 2>>) -> tensor<?x6xf32, #mp.dims<batch, 6>>
    ```
  }];
  let arguments = (ins Variadic<Mp_Tensor>:$inputs, I64Attr:$dimension);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$inputs `dimension` $dimension attr-dict `:` functional-type($inputs, $result)";
  let extraClassDeclaration = [{
    /// Whether it puts the pieces of the rows of the batch together (K3).
    bool joinsRows();
  }];
  let hasVerifier = 1;
}

//===- Products and reductions ----------------------------------------------------------------------===//

def Mp_MatmulOp : Mp_Op<"matmul", [Pure]> {
  let summary = "matrix products over the last two dimensions";
  let description = [{
    op(a) · op(b), where op transposes the last two dimensions if asked. In c = a · b:

    (M1) both have the same rank, at least 2, and equal leading dimensions (broadcast beforehand). (M2) the inner
    dimensions agree. (M3) the result has the leading dimensions, then op(a)'s row and op(b)'s column dimension.
    (M4) the operands are of one element type, f32, bf16 or f16; products are summed in f32, and the result is f32 or,
    rounded once, of the operands' type.
    A `b` of rank 2 under an `a` of higher rank is written by reshaping `a` to rank 2.

    ```mlir
    %c = mp.matmul %a, %b transpose_b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<8x4xf32, #mp.dims<8, 4>> -> tensor<?x8xf32, #mp.dims<batch, 8>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$a, Mp_Tensor:$b, UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = [{
    $a `,` $b (`transpose_a` $transpose_a^)? (`transpose_b` $transpose_b^)? attr-dict `:` type($a) `,` type($b) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Mp_ReduceOp : Mp_Op<"reduce", [Pure]> {
  let summary = "reduces over dimensions, which the result lacks";
  let description = [{
    (D1) `dimensions` are distinct, ascending dimensions of the operand. (D2) the result has the others, in order.
    The mean divides the sum by the number of elements reduced. (D3) the result has the operand's element type; of bf16 and
    f16 there are sums over all dimensions but the last, in f32.

    ```mlir
    %s = mp.reduce sum %x [0] : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<4xf32, #mp.dims<4>>
    ```
  }];
  let arguments = (ins Mp_ReductionKind:$kind, Mp_Tensor:$input, DenseI64ArrayAttr:$dimensions);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$kind $input $dimensions attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

class Mp_AlongDimension<string opMnemonic> : Mp_Op<opMnemonic, [Pure]> {
  let arguments = (ins Mp_Tensor:$input, I64Attr:$dimension);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$input `dimension` $dimension attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Mp_SoftmaxOp : Mp_AlongDimension<"softmax"> {
  let summary = "exp(x) / Σ exp(x) along a dimension";
  let description = [{
    ```mlir
    %y = mp.softmax %x dimension 1 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_LogSoftmaxOp : Mp_AlongDimension<"log_softmax"> {
  let summary = "x - log Σ exp(x) along a dimension";
  let description = [{
    ```mlir
    %y = mp.log_softmax %x dimension 1 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_ArgmaxOp : Mp_AlongDimension<"argmax"> {
  let summary = "the position of the first largest element along a dimension, as i32; the result lacks the dimension";
  let description = [{
    ```mlir
    %i = mp.argmax %x dimension 1 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?xi32, #mp.dims<batch>>
    ```
  }];
}

//===- Fused ----------------------------------------------------------------------------------------===//

def Mp_LinearOp : Mp_Op<"linear", [Pure]> {
  let summary = "activation(x · weightᵀ + bias)";
  let description = [{
    x [rows, in], weight [out, in], bias [out] where there is one, of the result's element type. Bit for bit the product, the
    addition, the activation and a cast to the result's type apart.

    ```mlir
    %y = mp.linear %x, %w bias %b relu : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<8x4xf32, #mp.dims<8, 4>>, tensor<8xf32, #mp.dims<8>> -> tensor<?x8xf32, #mp.dims<batch, 8>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$x, Mp_Tensor:$weight, Optional<Mp_Tensor>:$bias,
                       Mp_ActivationKind:$activation);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = [{
    $x `,` $weight (`bias` $bias^)? $activation attr-dict `:` type($x) `,` type($weight) (`,` type($bias)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Mp_MapOp : Mp_Op<"map", [Pure, SingleBlock]> {
  let summary = "a chain of element-wise operations as one loop";
  let description = [{
    (L1) `maps` has one array an operand: for each dimension of the result the operand's dimension that lies there, or -1
    where it is broadcast, as in `mp.broadcast`; permutations are written the same way. (L2) the body's arguments are the
    operands' elements; its operations are element-wise, on scalars; `mp.index` is the position along a dimension of the
    result. (L3) `mp.yield` gives the result's element.

    ```mlir
    %y = mp.map %x, %b maps [array<i64: 0, 1>, array<i64: -1, 0>] : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<4xf32, #mp.dims<4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
    ^bb0(%a: f32, %c: f32):
      %s = mp.add %a, %c : f32, f32 -> f32
      mp.yield %s : f32
    }
    ```
  }];
  let arguments = (ins Variadic<Mp_Tensor>:$inputs, ArrayAttr:$maps);
  let results = (outs Mp_Tensor:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$inputs `maps` $maps attr-dict `:` functional-type($inputs, $result) $body";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// For operand `index`: the operand's dimension at each dimension of the result, or -1.
    ::llvm::ArrayRef<int64_t> getMap(unsigned index);
    /// Whether operand `index` is read in the very order in which the result is written.
    bool isContiguous(unsigned index);
  }];
}

def Mp_IndexOp : Mp_Op<"index", [Pure, ParentOneOf<["MapOp"]>]> {
  let summary = "the position along a dimension of the map's result";
  let description = [{
    ```mlir
    %i = mp.index 1 : i32
    ```
  }];
  let arguments = (ins I64Attr:$dimension);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$dimension attr-dict `:` type($result)";
}

def Mp_YieldOp : Mp_Op<"yield", [Terminator, Pure, ParentOneOf<["MapOp"]>]> {
  let summary = "the element that a map computes";
  let description = [{
    ```mlir
    mp.yield %s : f32
    ```
  }];
  let arguments = (ins AnyType:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

#endif
