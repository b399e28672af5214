// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (E1) of a call of a function of scalars refuses tensors whose dimensions have no factors.
%x = "test.value"() : () -> tensor<4xf32>
// expected-error @below {{'mp.call_scalar' op expected a tensor whose dimensions are known, got 'tensor<4xf32>'}}
%y = mp.call_scalar "f" from "f.h"(%x) : (tensor<4xf32>) -> tensor<4xf32>

// -----

// Tests that a call of a function of whole tensors refuses such operands.
%x = "test.value"() : () -> tensor<4xf32>
// expected-error @below {{'mp.call_tensor' op expected a tensor whose dimensions are known, got 'tensor<4xf32>'}}
%y = mp.call_tensor "f" from "f.h"(%x) : (tensor<4xf32>) -> tensor<4xf32, #mp.dims<4>>

// -----

// Tests that its adjoint does.
%x = "test.value"() : () -> tensor<4xf32>
// expected-error @below {{'mp.call_tensor' op expected a tensor whose dimensions are known, got 'tensor<4xf32>'}}
%y = mp.call_tensor "f" from "f.h"(%x, %x) {adjoint = 0 : i64} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>

// -----

// Tests that a product does.
%a = "test.value"() : () -> tensor<2x3xf32>
%b = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
// expected-error @below {{operand #0 must be a tensor whose dimensions are known, but got 'tensor<2x3xf32>'}}
%y = mp.matmul %a, %b : tensor<2x3xf32>, tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<2x4xf32, #mp.dims<2, 4>>

// -----

// Tests that what changes the shape does, of its result too.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{result #0 must be a tensor whose dimensions are known, but got 'tensor<2x2xf32>'}}
%y = mp.reshape %x : tensor<4xf32, #mp.dims<4>> -> tensor<2x2xf32>

// -----

// Tests that a softmax does.
%x = "test.value"() : () -> tensor<4xf32>
// expected-error @below {{operand #0 must be a tensor whose dimensions are known, but got 'tensor<4xf32>'}}
%y = mp.softmax %x dimension 0 : tensor<4xf32> -> tensor<4xf32, #mp.dims<4>>

// -----

// Tests that a concatenation does, of each of its operands.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
%z = "test.value"() : () -> tensor<4xf32>
// expected-error @below {{operand #1 must be variadic of a tensor whose dimensions are known, but got 'tensor<4xf32>'}}
%y = mp.concat %x, %z dimension 0 : (tensor<4xf32, #mp.dims<4>>, tensor<4xf32>) -> tensor<8xf32, #mp.dims<8>>
