//===- MpAttention.td - attention and normalization, each one operation -----------------------------===//
//
// Operations with several results: the first is what the function gives; the others are what its gradient needs of it, and
// nothing but the gradient may read them.
//
//===------------------------------------------------------------------------------------------------===//

#ifndef MP_ATTENTION
#define MP_ATTENTION

include "dialect/MpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

/// What operands are rounded to within an operation.
def Mp_Rounding : TypeAttrOf<AnyTypeOf<[BF16, F16]>>;

def Mp_AttentionOp : Mp_Op<"attention", [Pure]> {
  let summary = "softmax(q · kᵀ / √dim) · v, for every head by itself";
  let description = [{
    q [..., heads, time, dim], k [..., kv_heads, keys, dim], v [..., kv_heads, keys, value_dim]; of rank 2 they are one
    head. With `causal`, query i takes part of keys 0 to i only. The second result is the logarithm of the sum of each
    query's exponentials, [..., heads, time].

    (A1) the operands have one rank of at least 2, and equal dimensions before the heads. (A2) k and v have equally many
    heads, which divide q's: head h reads head h / (heads / kv_heads). (A3) q and k agree in their last dimension, k and v
    in the one before. (A4) the last two dimensions do not contain the batch, nor do the heads where q has more of them.

    With `views`, an array of `#mp.view` for q, k, v and the result, these are not the operands and the result themselves
    but what the views see of them: heads are read where a projection left them. (A6) the last step of a view is 1, and
    all dimensions before the heads are walked by one step. (A7) a view lies within its tensor. (A8) the views of a result
    cover each of its elements once. test/passes/fold-views.mlir has examples.

    `rounding` says that what is multiplied is rounded first: queries, keys, values and the exponentials of the scores.
    Sums, what the exponentials are divided by, and both results are not. It is an attribute and no cast of the operands,
    since the exponentials are values of nobody else. (A9) it is bf16 or f16.

    ```mlir
    %y, %sums = mp.attention %q, %k, %v causal : (tensor<?x4x8x16xf32, #mp.dims<batch, 4, 8, 16>>, tensor<?x2x8x16xf32, #mp.dims<batch, 2, 8, 16>>, tensor<?x2x8x16xf32, #mp.dims<batch, 2, 8, 16>>) -> (tensor<?x4x8x16xf32, #mp.dims<batch, 4, 8, 16>>, tensor<?x4x8xf32, #mp.dims<batch, 4, 8>>)
    ```
  }];
  let arguments = (ins Mp_Tensor:$q, Mp_Tensor:$k, Mp_Tensor:$v, UnitAttr:$causal,
                       OptionalAttr<Mp_Rounding>:$rounding, OptionalAttr<ArrayAttr>:$views);
  let results = (outs Mp_Tensor:$result, Mp_Tensor:$log_sums);
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$types, "::mlir::Value":$q, "::mlir::Value":$k,
                                 "::mlir::Value":$v, "bool":$causal, "::mlir::TypeAttr":$rounding),
    "build($_builder, $_state, types[0], types[1], q, k, v, causal, rounding, ::mlir::ArrayAttr());">];
  let assemblyFormat = [{
    $q `,` $k `,` $v (`causal` $causal^)? (`rounding` $rounding^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Mp_AttentionGradientOp : Mp_Op<"attention_gradient", [Pure]> {
  let summary = "the gradients of attention's three operands";
  let description = [{
    From `gradient`, that of attention's result, its operands and both its results; the probabilities are computed anew.

    (A5) `gradient` and `result` are alike, and each result is like its operand. With `views`, of the gradient, q, k, v, the
    result, dq, dk and dv, (A6) to (A8) hold as of `mp.attention`; a result may then hold several of the gradients. (A9)
    holds of `rounding`, by which `gradient`, q, k, v, the probabilities and the scores' gradients are rounded where they
    are multiplied.

    ```mlir
    %dq, %dk, %dv = mp.attention_gradient %g, %q, %k, %v, %y, %sums causal : (tensor<2x8x16xf32, #mp.dims<2, 8, 16>>, tensor<2x8x16xf32, #mp.dims<2, 8, 16>>, tensor<2x8x16xf32, #mp.dims<2, 8, 16>>, tensor<2x8x16xf32, #mp.dims<2, 8, 16>>, tensor<2x8x16xf32, #mp.dims<2, 8, 16>>, tensor<2x8xf32, #mp.dims<2, 8>>) -> (tensor<2x8x16xf32, #mp.dims<2, 8, 16>>, tensor<2x8x16xf32, #mp.dims<2, 8, 16>>, tensor<2x8x16xf32, #mp.dims<2, 8, 16>>)
    ```
  }];
  let arguments = (ins Mp_Tensor:$gradient, Mp_Tensor:$q, Mp_Tensor:$k, Mp_Tensor:$v,
                       Mp_Tensor:$result, Mp_Tensor:$log_sums, UnitAttr:$causal,
                       OptionalAttr<Mp_Rounding>:$rounding, OptionalAttr<ArrayAttr>:$views);
  let results = (outs Variadic<Mp_Tensor>:$gradients);
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$types, "::mlir::Value":$gradient, "::mlir::Value":$q,
                                 "::mlir::Value":$k, "::mlir::Value":$v, "::mlir::Value":$result,
                                 "::mlir::Value":$log_sums, "bool":$causal, "::mlir::TypeAttr":$rounding),
    "build($_builder, $_state, types, gradient, q, k, v, result, log_sums, causal, rounding, ::mlir::ArrayAttr());">];
  let assemblyFormat = [{
    operands (`causal` $causal^)? (`rounding` $rounding^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Mp_LayerNormOp : Mp_Op<"layer_norm", [Pure, AttrSizedOperandSegments]> {
  let summary = "(x - mean) / √(variance + eps), times a weight, plus a bias, over the last dimensions";
  let description = [{
    The mean and the variance (of all elements: divided by their number) are those over the last `dimensions` dimensions;
    the second and third result are the mean and 1 / √(variance + eps), of the dimensions before these.

    (N1) `dimensions` is at least 1 and at most the rank, and the last dimensions do not contain the batch. (N2) weight
    and bias, where there are any, have the last dimensions.

    ```mlir
    %y, %mean, %scale = mp.layer_norm %x weight %w bias %b dimensions 1 eps 1.0e-5 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>>)
    ```
  }];
  let arguments = (ins Mp_Tensor:$x, Optional<Mp_Tensor>:$weight, Optional<Mp_Tensor>:$bias,
                       I64Attr:$dimensions, F64Attr:$eps);
  let results = (outs Mp_Tensor:$result, Mp_Tensor:$mean, Mp_Tensor:$scale);
  let assemblyFormat = [{
    $x (`weight` $weight^)? (`bias` $bias^)? `dimensions` $dimensions `eps` $eps attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Mp_LayerNormGradientOp : Mp_Op<"layer_norm_gradient", [Pure]> {
  let summary = "the gradients of layer normalization's operand, weight and bias";
  let description = [{
    From `gradient`, that of the result, from x, and from the mean and the scale that the layer normalization gave. The
    last two results are sums over the dimensions before the last `dimensions`.

    (N3) the first result is like x, the others have the last dimensions.

    ```mlir
    %dx, %dw, %db = mp.layer_norm_gradient %g, %x, %mean, %scale weight %w dimensions 1 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>>, tensor<4xf32, #mp.dims<4>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>>)
    ```
  }];
  let arguments = (ins Mp_Tensor:$gradient, Mp_Tensor:$x, Mp_Tensor:$mean, Mp_Tensor:$scale,
                       Optional<Mp_Tensor>:$weight, I64Attr:$dimensions);
  let results = (outs Mp_Tensor:$dx, Mp_Tensor:$dweight, Mp_Tensor:$dbias);
  let assemblyFormat = [{
    $gradient `,` $x `,` $mean `,` $scale (`weight` $weight^)? `dimensions` $dimensions attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Mp_RmsNormOp : Mp_Op<"rms_norm", [Pure]> {
  let summary = "x / √(mean(x²) + eps), times a weight, over the last dimensions";
  let description = [{
    As `mp.layer_norm`, with neither mean nor bias; the second result is 1 / √(mean(x²) + eps). (N1) and (N2) hold.

    ```mlir
    %y, %scale = mp.rms_norm %x weight %w dimensions 1 eps 1.0e-6 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<4xf32, #mp.dims<4>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>)
    ```
  }];
  let arguments = (ins Mp_Tensor:$x, Optional<Mp_Tensor>:$weight, I64Attr:$dimensions, F64Attr:$eps);
  let results = (outs Mp_Tensor:$result, Mp_Tensor:$scale);
  let assemblyFormat = [{
    $x (`weight` $weight^)? `dimensions` $dimensions `eps` $eps attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Mp_RmsNormGradientOp : Mp_Op<"rms_norm_gradient", [Pure]> {
  let summary = "the gradients of RMS normalization's operand and weight";
  let description = [{
    From `gradient`, that of the result, from x, and from the scale that the normalization gave. (N3) holds.

    ```mlir
    %dx, %dw = mp.rms_norm_gradient %g, %x, %scale weight %w dimensions 1 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>, tensor<4xf32, #mp.dims<4>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<4xf32, #mp.dims<4>>)
    ```
  }];
  let arguments = (ins Mp_Tensor:$gradient, Mp_Tensor:$x, Mp_Tensor:$scale,
                       Optional<Mp_Tensor>:$weight, I64Attr:$dimensions);
  let results = (outs Mp_Tensor:$dx, Mp_Tensor:$dweight);
  let assemblyFormat = [{
    $gradient `,` $x `,` $scale (`weight` $weight^)? `dimensions` $dimensions attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif
