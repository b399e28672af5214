// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (E1) refuses operands of another shape.
%x = "test.value"() : () -> tensor<?xf32, #mp.dims<batch>>
// expected-error @below {{'mp.call_scalar' op expected operands of the result's shape}}
%y = mp.call_scalar "f" from "f.h"(%x) : (tensor<?xf32, #mp.dims<batch>>) -> tensor<4xf32, #mp.dims<4>>

// -----

// Tests that (K1) refuses a call on nothing.
// expected-error @below {{'mp.call_scalar' op expected one to eight operands, got 0}}
%y = mp.call_scalar "f" from "f.h"() : () -> tensor<4xf32, #mp.dims<4>>

// -----

// Tests that a call on whole tensors has one.
// expected-error @below {{'mp.call_tensor' op expected one operand or more}}
%y = mp.call_tensor "f" from "f.h"() : () -> tensor<4xf32, #mp.dims<4>>

// -----

// Tests that (K2) refuses the adjoint of the adjoint.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.call_tensor' op expected an operand before the last as the one whose adjoint it gives, got 1}}
%y = mp.call_tensor "f" from "f.h"(%x, %x) {adjoint = 1 : i64} : (tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>>) -> tensor<4xf32, #mp.dims<4>>

// -----

// Tests that (K2) refuses an adjoint of another type.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.call_tensor' op expected the adjoint of}}
%y = mp.call_tensor "f" from "f.h"(%x, %x) {adjoint = 0 : i64} : (tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>>) -> tensor<5xf32, #mp.dims<5>>
