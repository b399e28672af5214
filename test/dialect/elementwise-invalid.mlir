// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (E1) refuses operands of two shapes.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%b = "test.value"() : () -> tensor<?x8xf32, #mp.dims<batch, 8>>
// expected-error @below {{'mp.add' op expected operands of the result's shape}}
%c = mp.add %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x8xf32, #mp.dims<batch, 8>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (E1) refuses a result of another shape.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.relu' op expected operands of the result's shape}}
%c = mp.relu %a : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x8xf32, #mp.dims<batch, 8>>

// -----

// Tests that (E1) refuses dimensions that differ in what multiplies the batch.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.relu' op expected operands of the result's shape}}
%c = mp.relu %a : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch*3, 4>>

// -----

// Tests that (E1) refuses a number and a tensor together.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%b = "test.value"() : () -> f32
// expected-error @below {{'mp.mul' op expected operands of the result's shape}}
%c = mp.mul %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, f32 -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (E2) refuses arithmetic on two element types.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%b = "test.value"() : () -> tensor<?x4xi32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.add' op expected operands of the result's element type}}
%c = mp.add %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xi32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (E2) refuses another element type as a result.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.exp' op expected operands of the result's element type}}
%c = mp.exp %a : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xi32, #mp.dims<batch, 4>>

// -----

// Tests that (E2) refuses a comparison of two element types.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%b = "test.value"() : () -> tensor<?x4xi32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.compare' op expected operands of one element type, and a result of bool}}
%c = mp.compare lt %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xi32, #mp.dims<batch, 4>> -> tensor<?x4xi1, #mp.dims<batch, 4>>

// -----

// Tests that (E2) refuses a comparison whose result is no bool.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.compare' op expected operands of one element type, and a result of bool}}
%c = mp.compare lt %a, %a : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (E2) refuses logic on numbers.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.and' op expected operands and a result of bool}}
%c = mp.and %a, %a : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (E2) refuses a choice by a number.
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.select' op expected a condition of bool, and operands of the result's element type}}
%c = mp.select %a, %a, %a : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (E2) refuses a choice between two element types.
%c = "test.value"() : () -> tensor<?x4xi1, #mp.dims<batch, 4>>
%a = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%b = "test.value"() : () -> tensor<?x4xi32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.select' op expected a condition of bool, and operands of the result's element type}}
%d = mp.select %c, %a, %b : tensor<?x4xi1, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xi32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that a tensor whose dimensions have no factors is refused.
%a = "test.value"() : () -> tensor<4xf32>
// expected-error @below {{'mp.relu' op expected a tensor whose dimensions are known, got 'tensor<4xf32>'}}
%c = mp.relu %a : tensor<4xf32> -> tensor<4xf32>
