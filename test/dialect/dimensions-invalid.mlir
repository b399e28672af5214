// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that dimensions of another rank than the tensor are refused.
// expected-error @below {{expected 2 dimensions, got 1}}
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch>>

// -----

// Tests that a dimension of another size than the tensor is refused, by its name.
// expected-error @below {{dimension out is not of the tensor's size}}
%x = "test.value"() : () -> tensor<8xf32, #mp.dims<out=4>>

// -----

// Tests that a product of factors of another size than the tensor is refused.
// expected-error @below {{dimension heads*dim is not of the tensor's size}}
%x = "test.value"() : () -> tensor<8xf32, #mp.dims<heads=4*dim=4>>

// -----

// Tests that the batch is refused where the tensor has a number.
// expected-error @below {{dimension batch is not of the tensor's size}}
%x = "test.value"() : () -> tensor<8xf32, #mp.dims<batch>>

// -----

// Tests that a number is refused where the tensor has the batch.
// expected-error @below {{dimension 3*4 is not of the tensor's size}}
%x = "test.value"() : () -> tensor<?xf32, #mp.dims<3*4>>
