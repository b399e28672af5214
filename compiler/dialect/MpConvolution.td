//===- MpConvolution.td - convolution and pooling ---------------------------------------------------===//
//
// Dimensions that a kernel moves over are called spatial: one to three, the last of a tensor. Their sizes stand outermost
// first, in `stride`, `padding`, `dilation` and `kernel` as in the types.
//
//===------------------------------------------------------------------------------------------------===//

#ifndef MP_CONVOLUTION
#define MP_CONVOLUTION

include "dialect/MpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Mp_Convolution<string opMnemonic, dag operands> : Mp_Op<opMnemonic, [Pure]> {
  let arguments = !con(operands, (ins DenseI64ArrayAttr:$stride, DenseI64ArrayAttr:$padding,
                                      DenseI64ArrayAttr:$dilation, I64Attr:$groups));
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = [{
    operands `stride` $stride `padding` $padding `dilation` $dilation `groups` $groups attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Mp_ConvOp : Mp_Convolution<"conv", (ins Mp_Tensor:$x, Mp_Tensor:$weight)> {
  let summary = "sums of products of a kernel with what lies under it, at every position: torch's convolution";
  let description = [{
    x [..., in, spatial…], weight [out, in / groups, kernel…], result [..., out, positions…]: x is padded with `padding` zeros
    on both sides of each spatial dimension; the kernel, its elements `dilation` apart, moves by `stride`. Output channels of
    group i see the input channels of group i.

    (C1) there are one to three spatial dimensions: two less than weight has. x has at least one dimension more than that,
    and the result x's dimensions before the channels. (C2) `groups` divides in and out. (C3) there are
    (size + 2 padding - dilation (kernel - 1) - 1) / stride + 1 positions, at least one. (C4) channels, spatial dimensions and
    weight do not contain the batch; all elements are f32.

    ```mlir
    %y = mp.conv %x, %w stride [2, 1] padding [1, 0] dilation [1, 1] groups 1 : (tensor<?x3x8x8xf32, #mp.dims<batch, 3, 8, 8>>, tensor<4x3x3x3xf32, #mp.dims<4, 3, 3, 3>>) -> tensor<?x4x4x6xf32, #mp.dims<batch, 4, 4, 6>>
    ```
  }];
}

def Mp_ConvInputGradientOp : Mp_Convolution<"conv_input_gradient", (ins Mp_Tensor:$gradient, Mp_Tensor:$weight)> {
  let summary = "the gradient of a convolution's x, from that of its result and the weight";
  let description = [{
    (C1)–(C4) hold with the result as x and `gradient` as the convolution's result.

    ```mlir
    %dx = mp.conv_input_gradient %g, %w stride [1] padding [1] dilation [1] groups 2 : (tensor<?x4x8xf32, #mp.dims<batch, 4, 8>>, tensor<4x1x3xf32, #mp.dims<4, 1, 3>>) -> tensor<?x2x8xf32, #mp.dims<batch, 2, 8>>
    ```
  }];
}

def Mp_ConvWeightGradientOp : Mp_Convolution<"conv_weight_gradient", (ins Mp_Tensor:$gradient, Mp_Tensor:$x)> {
  let summary = "the gradient of a convolution's weight, from that of its result and x: a sum over all dimensions before the channels";
  let description = [{
    (C1)–(C4) hold with the result as weight and `gradient` as the convolution's result.

    ```mlir
    %dw = mp.conv_weight_gradient %g, %x stride [1] padding [0] dilation [2] groups 1 : (tensor<?x4x4xf32, #mp.dims<batch, 4, 4>>, tensor<?x2x8xf32, #mp.dims<batch, 2, 8>>) -> tensor<4x2x3xf32, #mp.dims<4, 2, 3>>
    ```
  }];
}

def Mp_MaxPoolOp : Mp_Op<"max_pool", [Pure]> {
  let summary = "the largest element under a window, at every position, and where it lies";
  let description = [{
    x [..., spatial…], both results [..., positions…], over as many dimensions as `kernel` has entries. A window, which moves by
    `stride`, takes part as far as it lies within x; of equal elements the first counts, and a NaN is the largest. The second
    result, of i32, is the element's number among those of its spatial dimensions.

    (W1) `kernel`, `stride` and `padding` have as many entries, one to three, no more than x has dimensions. (W2) there are
    (size + 2 padding - kernel) / stride + 1 positions, at least one, rounded down or, unless the last window would begin
    beyond x and the padding before it, up; and padding is at most half of the kernel, so that no window is empty. (W3) the spatial dimensions do not contain the batch and hold less than 2³¹ elements; the others are x's.

    ```mlir
    %y, %positions = mp.max_pool %x kernel [2, 2] stride [2, 2] padding [0, 0] : tensor<?x3x8x8xf32, #mp.dims<batch, 3, 8, 8>> -> tensor<?x3x4x4xf32, #mp.dims<batch, 3, 4, 4>>, tensor<?x3x4x4xi32, #mp.dims<batch, 3, 4, 4>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$x, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$stride, DenseI64ArrayAttr:$padding);
  let results = (outs Mp_Tensor:$result, Mp_Tensor:$positions);
  let assemblyFormat = [{
    $x `kernel` $kernel `stride` $stride `padding` $padding attr-dict `:` type($x) `->` type(results)
  }];
  let hasVerifier = 1;
}

def Mp_MaxPoolGradientOp : Mp_Op<"max_pool_gradient", [Pure]> {
  let summary = "adds each element of a gradient at its position, over the last dimensions";
  let description = [{
    The gradient of a maximum's operand from that of its result and from `positions`, those of its second result: what several
    windows give to one element is summed in the order of the windows.

    (W4) `gradient` and `positions`, which are i32, have the same dimensions; all but the last `dimensions` are the result's,
    none of those contains the batch.

    ```mlir
    %dx = mp.max_pool_gradient %g, %positions dimensions 1 : (tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<?x3x4xi32, #mp.dims<batch, 3, 4>>) -> tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$gradient, Mp_Tensor:$positions, I64Attr:$dimensions);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "operands `dimensions` $dimensions attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

class Mp_AveragePool<string opMnemonic, dag operands> : Mp_Op<opMnemonic, [Pure]> {
  let arguments = !con(operands, (ins DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$stride,
                                      DenseI64ArrayAttr:$padding, UnitAttr:$count_padding));
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = [{
    operands `kernel` $kernel `stride` $stride `padding` $padding (`count_padding` $count_padding^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Mp_AvgPoolOp : Mp_AveragePool<"avg_pool", (ins Mp_Tensor:$x)> {
  let summary = "the mean of the elements under a window, at every position";
  let description = [{
    As `mp.max_pool`; (W1)–(W3) hold. The sum is divided by the number of the window's elements that lie within x, or, with
    `count_padding`, within x and its padding.

    ```mlir
    %y = mp.avg_pool %x kernel [3] stride [2] padding [1] count_padding : (tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>) -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    ```
  }];
}

def Mp_AvgPoolGradientOp : Mp_AveragePool<"avg_pool_gradient", (ins Mp_Tensor:$gradient)> {
  let summary = "the gradient of a mean under a window: each element takes its share of those it was part of";
  let description = [{
    (W1)–(W3) hold with the result as x and `gradient` as the pooling's result.

    ```mlir
    %dx = mp.avg_pool_gradient %g kernel [2] stride [2] padding [0] : (tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>) -> tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>
    ```
  }];
}

#endif
