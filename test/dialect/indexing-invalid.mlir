// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (G1) refuses ids that are no integers.
%table = "test.value"() : () -> tensor<5x3xf32, #mp.dims<5, 3>>
%ids = "test.value"() : () -> tensor<?xf32, #mp.dims<batch>>
// expected-error @below {{'mp.gather' op expected ids of i32, got 'f32'}}
%h = mp.gather %table, %ids : tensor<5x3xf32, #mp.dims<5, 3>>, tensor<?xf32, #mp.dims<batch>> -> tensor<?x3xf32, #mp.dims<batch, 3>>

// -----

// Tests that (G2) refuses a table whose rows are the batch's.
%table = "test.value"() : () -> tensor<?x3xf32, #mp.dims<batch, 3>>
%ids = "test.value"() : () -> tensor<2xi32, #mp.dims<2>>
// expected-error @below {{'mp.gather' op expected a table with a first dimension of constant size}}
%h = mp.gather %table, %ids : tensor<?x3xf32, #mp.dims<batch, 3>>, tensor<2xi32, #mp.dims<2>> -> tensor<2x3xf32, #mp.dims<2, 3>>

// -----

// Tests that (G3) refuses a result of other dimensions.
%table = "test.value"() : () -> tensor<5x3xf32, #mp.dims<5, 3>>
%ids = "test.value"() : () -> tensor<?xi32, #mp.dims<batch>>
// expected-error @below {{'mp.gather' op expected rows of the table in the ids' dimensions}}
%h = mp.gather %table, %ids : tensor<5x3xf32, #mp.dims<5, 3>>, tensor<?xi32, #mp.dims<batch>> -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (G3) refuses rows of other dimensions than were gathered.
%ids = "test.value"() : () -> tensor<?xi32, #mp.dims<batch>>
%g = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.scatter_add' op expected rows of the table in the ids' dimensions}}
%t = mp.scatter_add %ids, %g : tensor<?xi32, #mp.dims<batch>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<5x3xf32, #mp.dims<5, 3>>

// -----

// Tests that integers are not summed.
%ids = "test.value"() : () -> tensor<?xi32, #mp.dims<batch>>
// expected-error @below {{'mp.scatter_add' op expected rows of f32, got 'i32'}}
%t = mp.scatter_add %ids, %ids : tensor<?xi32, #mp.dims<batch>>, tensor<?xi32, #mp.dims<batch>> -> tensor<5xi32, #mp.dims<5>>

// -----

// Tests that (X1) refuses classes that are the batch's rows.
%x = "test.value"() : () -> tensor<3x?xf32, #mp.dims<3, batch>>
%target = "test.value"() : () -> tensor<3xi32, #mp.dims<3>>
// expected-error @below {{'mp.cross_entropy' op expected reals with a last dimension of constant size}}
%l = mp.cross_entropy %x, %target : tensor<3x?xf32, #mp.dims<3, batch>>, tensor<3xi32, #mp.dims<3>> -> tensor<3xf32, #mp.dims<3>>

// -----

// Tests that (X2) refuses a target of other dimensions.
%x = "test.value"() : () -> tensor<?x4x3xf32, #mp.dims<batch, 4, 3>>
%target = "test.value"() : () -> tensor<?xi32, #mp.dims<batch>>
// expected-error @below {{'mp.cross_entropy' op expected a target of i32 without the last dimension}}
%l = mp.cross_entropy %x, %target : tensor<?x4x3xf32, #mp.dims<batch, 4, 3>>, tensor<?xi32, #mp.dims<batch>> -> tensor<?xf32, #mp.dims<batch>>

// -----

// Tests that (X3) refuses losses of other dimensions.
%x = "test.value"() : () -> tensor<?x3xf32, #mp.dims<batch, 3>>
%target = "test.value"() : () -> tensor<?xi32, #mp.dims<batch>>
// expected-error @below {{'mp.cross_entropy' op expected an f32 for each target}}
%l = mp.cross_entropy %x, %target : tensor<?x3xf32, #mp.dims<batch, 3>>, tensor<?xi32, #mp.dims<batch>> -> tensor<?x1xf32, #mp.dims<batch, 1>>

// -----

// Tests that a gradient has the type of what it is the gradient of.
%x = "test.value"() : () -> tensor<?x3xf32, #mp.dims<batch, 3>>
%target = "test.value"() : () -> tensor<?xi32, #mp.dims<batch>>
%g = "test.value"() : () -> tensor<?xf32, #mp.dims<batch>>
// expected-error @below {{'mp.cross_entropy_gradient' op expected a result of the type of x or of f32}}
%l = mp.cross_entropy_gradient %x, %target, %g : tensor<?x3xf32, #mp.dims<batch, 3>>, tensor<?xi32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>> -> tensor<?xf32, #mp.dims<batch>>
