// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (S1) refuses to cut the batch at positions.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.slice' op dimension 0 contains the batch}}
%y = mp.slice %x dimension 0 from 0 to 1 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<1x4xf32, #mp.dims<1, 4>>

// -----

// Tests that (S3) refuses all rows as a piece of them.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.slice' op expected a piece of the batch, got number 0 of 1}}
%y = mp.slice %x dimension 0 from 0 to 0 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (S3) refuses a piece of a piece.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch[1 of 2], 4>>
// expected-error @below {{'mp.slice' op expected a piece of the batch, got number 1 of 2}}
%y = mp.slice %x dimension 0 from 0 to 0 : tensor<?x4xf32, #mp.dims<batch[1 of 2], 4>> -> tensor<?x4xf32, #mp.dims<batch[1 of 2], 4>>

// -----

// Tests that (S2) refuses positions past the end.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.slice' op expected positions of a dimension of size 4, got 2 to 6}}
%y = mp.slice %x dimension 1 from 2 to 6 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (S2) refuses an empty slice.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.slice' op expected positions of a dimension of size 4, got 2 to 2}}
%y = mp.slice %x dimension 1 from 2 to 2 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (S2) refuses a result of another size than the slice.
%x = "test.value"() : () -> tensor<?x8xf32, #mp.dims<batch, 8>>
// expected-error @below {{'mp.slice' op expected positions of a dimension of size 8, got 0 to 3}}
%y = mp.slice %x dimension 1 from 0 to 3 : tensor<?x8xf32, #mp.dims<batch, 8>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that a slice along a dimension that is not there is refused.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.slice' op expected dimension 2 in operands of one rank}}
%y = mp.slice %x dimension 2 from 0 to 1 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that a slice refuses to change another dimension.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
// expected-error @below {{'mp.slice' op expected equal sizes in dimension 0}}
%y = mp.slice %x dimension 1 from 0 to 4 : tensor<4x4xf32, #mp.dims<4, 4>> -> tensor<8x4xf32, #mp.dims<8, 4>>

// -----

// Tests that padding refuses a result of another size.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.pad' op expected a result of size 7}}
%y = mp.pad %x dimension 1 before 1 after 2 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x8xf32, #mp.dims<batch, 8>>

// -----

// Tests that (K1) refuses operands that differ in another dimension.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
%y = "test.value"() : () -> tensor<8x4xf32, #mp.dims<8, 4>>
// expected-error @below {{'mp.concat' op expected equal sizes in dimension 0}}
%z = mp.concat %x, %y dimension 1 : (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<8x4xf32, #mp.dims<8, 4>>) -> tensor<4x8xf32, #mp.dims<4, 8>>

// -----

// Tests that (K3) refuses pieces of the batch that are out of order.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch[0 of 2], 4>>
%y = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch[1 of 2], 4>>
// expected-error @below {{'mp.concat' op expected a piece of the batch, got number 1 of 2}}
%z = mp.concat %y, %x dimension 0 : (tensor<?x4xf32, #mp.dims<batch[1 of 2], 4>>, tensor<?x4xf32, #mp.dims<batch[0 of 2], 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (K2) refuses to join all rows with all rows.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.concat' op expected a piece of the batch, got number 0 of 1}}
%z = mp.concat %x, %x dimension 0 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (S3) refuses rows that lie within other positions of their dimension: pieces of them do not follow one another.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<2*batch, 4>>
// expected-error @below {{'mp.slice' op expected the batch outermost in the dimension, got 2*batch}}
%y = mp.slice %x dimension 0 from 0 to 0 : tensor<?x4xf32, #mp.dims<2*batch, 4>> -> tensor<?x4xf32, #mp.dims<2*batch[0 of 2], 4>>

// -----

// Tests that (K3) refuses them too.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<2*batch[0 of 2], 4>>
%y = "test.value"() : () -> tensor<?x4xf32, #mp.dims<2*batch[1 of 2], 4>>
// expected-error @below {{'mp.concat' op expected the batch outermost in the dimension, got 2*batch}}
%z = mp.concat %x, %y dimension 0 : (tensor<?x4xf32, #mp.dims<2*batch[0 of 2], 4>>, tensor<?x4xf32, #mp.dims<2*batch[1 of 2], 4>>) -> tensor<?x4xf32, #mp.dims<2*batch, 4>>

// -----

// Tests that joining refuses a result of another size.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.concat' op expected a result of size 8}}
%z = mp.concat %x, %x dimension 1 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (C1) refuses to check what are no indices.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.check_index' op expected indices of i32, got 'f32'}}
%y = mp.check_index %x below 4 : tensor<?x4xf32, #mp.dims<batch, 4>>
