// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (B1) refuses a map of too few entries.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.broadcast' op expected 2 entries in the map, got 1}}
%y = mp.broadcast %x [0] : tensor<4xf32, #mp.dims<4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (B2) refuses a dimension twice.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
// expected-error @below {{'mp.broadcast' op expected distinct dimensions of the operand, got 0}}
%y = mp.broadcast %x [0, 0] : tensor<4x4xf32, #mp.dims<4, 4>> -> tensor<4x4xf32, #mp.dims<4, 4>>

// -----

// Tests that (B2) refuses a dimension that the operand has not.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.broadcast' op expected distinct dimensions of the operand, got 1}}
%y = mp.broadcast %x [-1, 1] : tensor<4xf32, #mp.dims<4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (B2) refuses to leave a dimension out.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.broadcast' op dimension 0 of the operand has no place in the result}}
%y = mp.broadcast %x [-1, -1] : tensor<4xf32, #mp.dims<4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (B3) refuses to repeat what is not of size 1.
%x = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.broadcast' op dimension 0 does not broadcast to 1}}
%y = mp.broadcast %x [-1, 0] : tensor<4xf32, #mp.dims<4>> -> tensor<?x8xf32, #mp.dims<batch, 8>>

// -----

// Tests that (R1) refuses another number of elements.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.reshape' op expected as many elements in}}
%y = mp.reshape %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x8xf32, #mp.dims<batch, 8>>

// -----

// Tests that (R1) refuses to lose the batch.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.reshape' op expected as many elements in}}
%y = mp.reshape %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<4xf32, #mp.dims<4>>

// -----

// Tests that (P1) refuses a permutation of too few dimensions.
%x = "test.value"() : () -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
// expected-error @below {{'mp.permute' op expected a permutation of 3 dimensions}}
%y = mp.permute %x [1, 0] : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>

// -----

// Tests that (P1) refuses a dimension twice.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
// expected-error @below {{'mp.permute' op expected each dimension once, got 1}}
%y = mp.permute %x [1, 1] : tensor<4x4xf32, #mp.dims<4, 4>> -> tensor<4x4xf32, #mp.dims<4, 4>>

// -----

// Tests that (P1) refuses a result of other sizes.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.permute' op dimension 0 has another size than its source}}
%y = mp.permute %x [1, 0] : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
