// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (M1) refuses operands of two ranks.
%a = "test.value"() : () -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
%b = "test.value"() : () -> tensor<8x4xf32, #mp.dims<8, 4>>
// expected-error @below {{'mp.matmul' op expected operands of one rank of at least 2}}
%c = mp.matmul %a, %b transpose_b : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<8x4xf32, #mp.dims<8, 4>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>

// -----

// Tests that (M1) refuses vectors.
%a = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.matmul' op expected operands of one rank of at least 2}}
%c = mp.matmul %a, %a : tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>> -> tensor<4xf32, #mp.dims<4>>

// -----

// Tests that (M1) refuses leading dimensions that differ.
%a = "test.value"() : () -> tensor<2x4x4xf32, #mp.dims<2, 4, 4>>
%b = "test.value"() : () -> tensor<3x4x4xf32, #mp.dims<3, 4, 4>>
// expected-error @below {{'mp.matmul' op expected equal leading dimensions}}
%c = mp.matmul %a, %b : tensor<2x4x4xf32, #mp.dims<2, 4, 4>>, tensor<3x4x4xf32, #mp.dims<3, 4, 4>> -> tensor<2x4x4xf32, #mp.dims<2, 4, 4>>

// -----

// Tests that (M2) refuses inner dimensions that differ, and names them.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%b = "test.value"() : () -> tensor<8x4xf32, #mp.dims<out=8, 4>>
// expected-error @below {{'mp.matmul' op expected equal inner dimensions, got 4 and out}}
%c = mp.matmul %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<8x4xf32, #mp.dims<out=8, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (M3) refuses a result of other dimensions.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%b = "test.value"() : () -> tensor<8x4xf32, #mp.dims<8, 4>>
// expected-error @below {{'mp.matmul' op expected a result of the operands' outer dimensions}}
%c = mp.matmul %a, %b transpose_b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<8x4xf32, #mp.dims<8, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (D1) refuses dimensions that do not ascend.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.reduce' op expected ascending dimensions of the operand}}
%y = mp.reduce sum %x [1, 0] : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<f32, #mp.dims<>>

// -----

// Tests that (D1) refuses a dimension that is not there.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.reduce' op expected ascending dimensions of the operand}}
%y = mp.reduce sum %x [2] : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<f32, #mp.dims<>>

// -----

// Tests that (D2) refuses a result of another rank.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.reduce' op expected a result of rank 1}}
%y = mp.reduce sum %x [0] : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<f32, #mp.dims<>>

// -----

// Tests that (D2) refuses a result of other dimensions.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.reduce' op expected the operand's dimensions that are kept}}
%y = mp.reduce sum %x [0] : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<8xf32, #mp.dims<8>>

// -----

// Tests that a softmax along a dimension that is not there is refused.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.softmax' op expected a dimension of the operand, got 2}}
%y = mp.softmax %x dimension 2 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that a softmax refuses a result of another shape.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.log_softmax' op expected a result of the operand's shape}}
%y = mp.log_softmax %x dimension 1 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x8xf32, #mp.dims<batch, 8>>

// -----

// Tests that argmax refuses a result that keeps the dimension.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.argmax' op expected a result without the dimension}}
%y = mp.argmax %x dimension 1 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xi32, #mp.dims<batch, 4>>

// -----

// Tests that (M4) refuses operands of two element types.
mp.program @mixed ["a", "b"] {
^bb0(%a: tensor<2x3xbf16, #mp.dims<2, 3>>, %b: tensor<3x4xf32, #mp.dims<3, 4>>):
  // expected-error @below {{'mp.matmul' op expected operands of one floating-point type and a result of it or f32, got 'bf16', 'f32' and 'f32'}}
  %c = mp.matmul %a, %b : tensor<2x3xbf16, #mp.dims<2, 3>>, tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<2x4xf32, #mp.dims<2, 4>>
  mp.return
}

// -----

// Tests that (M4) refuses a result of another two-byte type than the operands'.
%a = "test.value"() : () -> tensor<?x4xbf16, #mp.dims<batch, 4>>
%b = "test.value"() : () -> tensor<4x4xbf16, #mp.dims<4, 4>>
// expected-error @below {{'mp.matmul' op expected operands of one floating-point type and a result of it or f32, got 'bf16', 'bf16' and 'f16'}}
%c = mp.matmul %a, %b : tensor<?x4xbf16, #mp.dims<batch, 4>>, tensor<4x4xbf16, #mp.dims<4, 4>> -> tensor<?x4xf16, #mp.dims<batch, 4>>

// -----

// Tests that a product whose result is rounded refuses a bias that is not.
%a = "test.value"() : () -> tensor<?x4xbf16, #mp.dims<batch, 4>>
%w = "test.value"() : () -> tensor<4x4xbf16, #mp.dims<4, 4>>
%b = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.linear' op expected a bias of the result's type}}
%c = mp.linear %a, %w bias %b none : tensor<?x4xbf16, #mp.dims<batch, 4>>, tensor<4x4xbf16, #mp.dims<4, 4>>, tensor<4xf32, #mp.dims<4>> -> tensor<?x4xbf16, #mp.dims<batch, 4>>

// -----

// Tests that (D3) refuses all but sums over rows of two-byte elements.
%a = "test.value"() : () -> tensor<?x4xbf16, #mp.dims<batch, 4>>
// expected-error @below {{'mp.reduce' op of 'bf16' sums over all dimensions but the last}}
%c = mp.reduce sum %a [1] : tensor<?x4xbf16, #mp.dims<batch, 4>> -> tensor<?xf32, #mp.dims<batch>>

// -----

// Tests that (D3) refuses a result of another element type.
%a = "test.value"() : () -> tensor<?x4xbf16, #mp.dims<batch, 4>>
// expected-error @below {{'mp.reduce' op expected a result of 'f32'}}
%c = mp.reduce sum %a [0] : tensor<?x4xbf16, #mp.dims<batch, 4>> -> tensor<4xbf16, #mp.dims<4>>
