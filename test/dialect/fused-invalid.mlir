// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that a linear layer of other than matrices is refused.
%x = "test.value"() : () -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
%w = "test.value"() : () -> tensor<8x4xf32, #mp.dims<8, 4>>
// expected-error @below {{'mp.linear' op expected matrices}}
%y = mp.linear %x, %w none : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<8x4xf32, #mp.dims<8, 4>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>

// -----

// Tests that a linear layer refuses inner dimensions that differ.
%x = "test.value"() : () -> tensor<?x8xf32, #mp.dims<batch, 8>>
%w = "test.value"() : () -> tensor<8x4xf32, #mp.dims<8, 4>>
// expected-error @below {{'mp.linear' op expected equal inner dimensions}}
%y = mp.linear %x, %w none : tensor<?x8xf32, #mp.dims<batch, 8>>, tensor<8x4xf32, #mp.dims<8, 4>> -> tensor<?x8xf32, #mp.dims<batch, 8>>

// -----

// Tests that a linear layer refuses a result of other dimensions.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%w = "test.value"() : () -> tensor<8x4xf32, #mp.dims<8, 4>>
// expected-error @below {{'mp.linear' op expected a result of the operands' outer dimensions}}
%y = mp.linear %x, %w none : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<8x4xf32, #mp.dims<8, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that a linear layer refuses a bias of another size than its output.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%w = "test.value"() : () -> tensor<8x4xf32, #mp.dims<8, 4>>
%b = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.linear' op expected a bias of the output's size}}
%y = mp.linear %x, %w bias %b none : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<8x4xf32, #mp.dims<8, 4>>, tensor<4xf32, #mp.dims<4>> -> tensor<?x8xf32, #mp.dims<batch, 8>>

// -----

// Tests that (L1) refuses operands without a map.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.map' op expected 1 maps, got 0}}
%y = mp.map %x maps [] : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
^bb0(%e: f32):
  mp.yield %e : f32
}

// -----

// Tests that (L1) refuses maps of other than i64.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.map' op expected maps of i64}}
%y = mp.map %x maps [array<i32: 0, 1>] : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
^bb0(%e: f32):
  mp.yield %e : f32
}

// -----

// Tests that (L1) refuses a map that does not fit the operand.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.map' op dimension 0 does not broadcast to 1}}
%y = mp.map %x maps [array<i64: -1, 0>] : (tensor<4xf32, #mp.dims<4>>) -> tensor<?x8xf32, #mp.dims<batch, 8>> {
^bb0(%e: f32):
  mp.yield %e : f32
}

// -----

// Tests that (L2) refuses a body of other arguments than the operands.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.map' op expected one argument of the body an operand}}
%y = mp.map %x maps [array<i64: 0, 1>] : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
^bb0(%e: f32, %f: f32):
  mp.yield %e : f32
}

// -----

// Tests that (L2) refuses arguments of another element type.
%x = "test.value"() : () -> tensor<?x4xi32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.map' op expected the body's arguments to have the operands' element types}}
%y = mp.map %x maps [array<i64: 0, 1>] : (tensor<?x4xi32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
^bb0(%e: f32):
  mp.yield %e : f32
}

// -----

// Tests that (L2) refuses what is not element-wise in the body.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.map' op expected element-wise operations in the body, got test.value}}
%y = mp.map %x maps [array<i64: 0, 1>] : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
^bb0(%e: f32):
  %v = "test.value"() : () -> f32
  mp.yield %v : f32
}

// -----

// Tests that (L3) refuses to yield another element type than the result has.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.map' op expected the body to yield the result's element}}
%y = mp.map %x maps [array<i64: 0, 1>] : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xi32, #mp.dims<batch, 4>> {
^bb0(%e: f32):
  mp.yield %e : f32
}

// -----

// Tests that (L3) refuses a body that yields nothing.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.map' op expected the body to yield the result's element}}
%y = mp.map %x maps [array<i64: 0, 1>] : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
^bb0(%e: f32):
  %f = mp.neg %e : f32 -> f32
}
