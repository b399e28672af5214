// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (A1) refuses vectors.
%q = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
%k = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
%v = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.attention' op expected operands of one rank of at least 2}}
%y, %sums = mp.attention %q, %k, %v : (tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>>) -> (tensor<4xf32, #mp.dims<4>>, tensor<f32, #mp.dims<>>)

// -----

// Tests that (A1) refuses operands of two ranks.
%q = "test.value"() : () -> tensor<2x3x4xf32, #mp.dims<2, 3, 4>>
%k = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%v = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
// expected-error @below {{'mp.attention' op expected operands of one rank of at least 2}}
%y, %sums = mp.attention %q, %k, %v : (tensor<2x3x4xf32, #mp.dims<2, 3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>) -> (tensor<2x3x4xf32, #mp.dims<2, 3, 4>>, tensor<2x3xf32, #mp.dims<2, 3>>)

// -----

// Tests that (A1) refuses other dimensions before the heads.
%q = "test.value"() : () -> tensor<?x2x3x4xf32, #mp.dims<batch, 2, 3, 4>>
%k = "test.value"() : () -> tensor<5x2x3x4xf32, #mp.dims<5, 2, 3, 4>>
%v = "test.value"() : () -> tensor<5x2x3x4xf32, #mp.dims<5, 2, 3, 4>>
// expected-error @below {{'mp.attention' op expected equal dimensions before the heads}}
%y, %sums = mp.attention %q, %k, %v : (tensor<?x2x3x4xf32, #mp.dims<batch, 2, 3, 4>>, tensor<5x2x3x4xf32, #mp.dims<5, 2, 3, 4>>, tensor<5x2x3x4xf32, #mp.dims<5, 2, 3, 4>>) -> (tensor<?x2x3x4xf32, #mp.dims<batch, 2, 3, 4>>, tensor<?x2x3xf32, #mp.dims<batch, 2, 3>>)

// -----

// Tests that (A2) refuses heads that do not divide.
%q = "test.value"() : () -> tensor<3x3x4xf32, #mp.dims<3, 3, 4>>
%k = "test.value"() : () -> tensor<2x3x4xf32, #mp.dims<2, 3, 4>>
%v = "test.value"() : () -> tensor<2x3x4xf32, #mp.dims<2, 3, 4>>
// expected-error @below {{'mp.attention' op expected as many heads in the values as in the keys, which divide those of the queries}}
%y, %sums = mp.attention %q, %k, %v : (tensor<3x3x4xf32, #mp.dims<3, 3, 4>>, tensor<2x3x4xf32, #mp.dims<2, 3, 4>>, tensor<2x3x4xf32, #mp.dims<2, 3, 4>>) -> (tensor<3x3x4xf32, #mp.dims<3, 3, 4>>, tensor<3x3xf32, #mp.dims<3, 3>>)

// -----

// Tests that (A2) refuses other heads of values than of keys.
%q = "test.value"() : () -> tensor<4x3x4xf32, #mp.dims<4, 3, 4>>
%k = "test.value"() : () -> tensor<2x3x4xf32, #mp.dims<2, 3, 4>>
%v = "test.value"() : () -> tensor<4x3x4xf32, #mp.dims<4, 3, 4>>
// expected-error @below {{'mp.attention' op expected as many heads in the values as in the keys, which divide those of the queries}}
%y, %sums = mp.attention %q, %k, %v : (tensor<4x3x4xf32, #mp.dims<4, 3, 4>>, tensor<2x3x4xf32, #mp.dims<2, 3, 4>>, tensor<4x3x4xf32, #mp.dims<4, 3, 4>>) -> (tensor<4x3x4xf32, #mp.dims<4, 3, 4>>, tensor<4x3xf32, #mp.dims<4, 3>>)

// -----

// Tests that (A4) refuses fewer heads where these are the batch.
%q = "test.value"() : () -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
%k = "test.value"() : () -> tensor<1x3x4xf32, #mp.dims<1, 3, 4>>
%v = "test.value"() : () -> tensor<1x3x4xf32, #mp.dims<1, 3, 4>>
// expected-error @below {{'mp.attention' op expected as many heads in the values as in the keys, which divide those of the queries}}
%y, %sums = mp.attention %q, %k, %v : (tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<1x3x4xf32, #mp.dims<1, 3, 4>>, tensor<1x3x4xf32, #mp.dims<1, 3, 4>>) -> (tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<?x3xf32, #mp.dims<batch, 3>>)

// -----

// Tests that (A3) refuses keys of another length.
%q = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%k = "test.value"() : () -> tensor<3x5xf32, #mp.dims<3, 5>>
%v = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
// expected-error @below {{'mp.attention' op expected queries as long as the keys, and as many keys as values}}
%y, %sums = mp.attention %q, %k, %v : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x5xf32, #mp.dims<3, 5>>, tensor<3x4xf32, #mp.dims<3, 4>>) -> (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3xf32, #mp.dims<3>>)

// -----

// Tests that (A3) refuses fewer values than keys.
%q = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%k = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%v = "test.value"() : () -> tensor<2x4xf32, #mp.dims<2, 4>>
// expected-error @below {{'mp.attention' op expected queries as long as the keys, and as many keys as values}}
%y, %sums = mp.attention %q, %k, %v : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<2x4xf32, #mp.dims<2, 4>>) -> (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3xf32, #mp.dims<3>>)

// -----

// Tests that (A4) refuses the batch as time.
%q = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%k = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%v = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
// expected-error @below {{'mp.attention' op expected the batch in no matrix of a head}}
%y, %sums = mp.attention %q, %k, %v : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>)

// -----

// Tests that attention refuses a result of another length than the values.
%q = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%k = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%v = "test.value"() : () -> tensor<3x2xf32, #mp.dims<3, 2>>
// expected-error @below {{'mp.attention' op expected a result of the queries' dimensions, as long as the values}}
%y, %sums = mp.attention %q, %k, %v : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x2xf32, #mp.dims<3, 2>>) -> (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3xf32, #mp.dims<3>>)

// -----

// Tests that attention refuses sums that are not one a query.
%q = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%k = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%v = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
// expected-error @below {{'mp.attention' op expected a sum a query}}
%y, %sums = mp.attention %q, %k, %v : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>) -> (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that (A5) refuses a gradient of an operand that is not like it.
%q = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
%s = "test.value"() : () -> tensor<3xf32, #mp.dims<3>>
// expected-error @below {{'mp.attention_gradient' op expected gradients like what they are the gradients of}}
%a, %b, %c = mp.attention_gradient %q, %q, %q, %q, %q, %s : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3xf32, #mp.dims<3>>) -> (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<4x3xf32, #mp.dims<4, 3>>, tensor<3x4xf32, #mp.dims<3, 4>>)

// -----

// Tests that (N1) refuses more dimensions than there are.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.layer_norm' op expected between 1 and 2 dimensions, got 3}}
%y, %m, %s = mp.layer_norm %x dimensions 3 eps 1.0e-5 : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>>)

// -----

// Tests that (N1) refuses the batch.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.rms_norm' op expected no batch among the dimensions normalized}}
%y, %s = mp.rms_norm %x dimensions 2 eps 1.0e-5 : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<f32, #mp.dims<>>)

// -----

// Tests that a normalization refuses a result of another shape.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.rms_norm' op expected a result like the operand}}
%y, %s = mp.rms_norm %x dimensions 1 eps 1.0e-5 : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> (tensor<?x5xf32, #mp.dims<batch, 5>>, tensor<?xf32, #mp.dims<batch>>)

// -----

// Tests that (N2) refuses a weight of other dimensions.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%w = "test.value"() : () -> tensor<5xf32, #mp.dims<5>>
// expected-error @below {{'mp.layer_norm' op expected the last dimensions in 'tensor<5xf32, #mp.dims<5>>'}}
%y, %m, %s = mp.layer_norm %x weight %w dimensions 1 eps 1.0e-5 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<5xf32, #mp.dims<5>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>>)

// -----

// Tests that a normalization refuses a statistic that is not one a row.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.rms_norm' op expected the first dimensions in 'tensor<4xf32, #mp.dims<4>>'}}
%y, %s = mp.rms_norm %x dimensions 1 eps 1.0e-5 : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that (N3) refuses a weight's gradient of other dimensions.
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%s = "test.value"() : () -> tensor<?xf32, #mp.dims<batch>>
// expected-error @below {{'mp.layer_norm_gradient' op expected the last dimensions in 'tensor<5xf32, #mp.dims<5>>'}}
%a, %b, %c = mp.layer_norm_gradient %x, %x, %s, %s dimensions 1 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<5xf32, #mp.dims<5>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that layer norm gradient refuses a gradient unlike the operand.
%g = "test.value"() : () -> tensor<?x5xf32, #mp.dims<batch, 5>>
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%s = "test.value"() : () -> tensor<?xf32, #mp.dims<batch>>
// expected-error @below {{'mp.layer_norm_gradient' op expected a gradient like the operand}}
%a, %b, %c = mp.layer_norm_gradient %g, %x, %s, %s dimensions 1 : (tensor<?x5xf32, #mp.dims<batch, 5>>, tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that rms norm gradient refuses a gradient unlike the operand.
%g = "test.value"() : () -> tensor<?x5xf32, #mp.dims<batch, 5>>
%x = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%s = "test.value"() : () -> tensor<?xf32, #mp.dims<batch>>
// expected-error @below {{'mp.rms_norm_gradient' op expected a gradient like the operand}}
%a, %b = mp.rms_norm_gradient %g, %x, %s dimensions 1 : (tensor<?x5xf32, #mp.dims<batch, 5>>, tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xf32, #mp.dims<batch>>) -> (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that there is a view of each operand and result, or none.
%x = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
// expected-error @below {{'mp.attention' op expected 4 views}}
%y, %sums = mp.attention %x, %x, %x {views = [#mp.view<<3, 4> from 0 steps [4, 1] of 0>]} : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>) -> (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3xf32, #mp.dims<3>>)

// -----

// Tests that a view has a step for each dimension.
%x = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
// expected-error @below {{'mp.attention' op expected a step for each of at least 2 dimensions of a view}}
%y, %sums = mp.attention %x, %x, %x {views = [#mp.view<<3, 4> from 0 steps [4] of 0>, #mp.view<<3, 4> from 0 steps [4, 1] of 1>, #mp.view<<3, 4> from 0 steps [4, 1] of 2>, #mp.view<<3, 4> from 0 steps [4, 1] of 0>]} : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>) -> (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3xf32, #mp.dims<3>>)

// -----

// Tests that (A6) refuses rows whose elements are apart.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
// expected-error @below {{'mp.attention' op expected a view with rows of consecutive elements, and one step across what comes before the heads}}
%y, %sums = mp.attention %x, %x, %x {views = [#mp.view<<4, 4> from 0 steps [1, 4] of 0>, #mp.view<<4, 4> from 0 steps [4, 1] of 1>, #mp.view<<4, 4> from 0 steps [4, 1] of 2>, #mp.view<<4, 4> from 0 steps [4, 1] of 0>]} : (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>) -> (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that (A7) refuses what reaches past its tensor.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
// expected-error @below {{'mp.attention' op expected a view inside its tensor}}
%y, %sums = mp.attention %x, %x, %x {views = [#mp.view<<4, 4> from 1 steps [4, 1] of 0>, #mp.view<<4, 4> from 0 steps [4, 1] of 1>, #mp.view<<4, 4> from 0 steps [4, 1] of 2>, #mp.view<<4, 4> from 0 steps [4, 1] of 0>]} : (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>) -> (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that (A8) refuses a result of which a part is not written.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
// expected-error @below {{'mp.attention' op expected views that cover each element of a result once}}
%y, %sums = mp.attention %x, %x, %x {views = [#mp.view<<4, 4> from 0 steps [4, 1] of 0>, #mp.view<<4, 4> from 0 steps [4, 1] of 1>, #mp.view<<4, 4> from 0 steps [4, 1] of 2>, #mp.view<<4, 4> from 0 steps [8, 1] of 0>]} : (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>) -> (tensor<4x8xf32, #mp.dims<4, 8>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that a view of a result names one.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
// expected-error @below {{'mp.attention' op expected views of its results}}
%y, %sums = mp.attention %x, %x, %x {views = [#mp.view<<4, 4> from 0 steps [4, 1] of 0>, #mp.view<<4, 4> from 0 steps [4, 1] of 1>, #mp.view<<4, 4> from 0 steps [4, 1] of 2>, #mp.view<<4, 4> from 0 steps [4, 1] of 1>]} : (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>) -> (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4xf32, #mp.dims<4>>)

// -----

// Tests that without views there is a gradient of each operand.
%x = "test.value"() : () -> tensor<4x4xf32, #mp.dims<4, 4>>
%sums = "test.value"() : () -> tensor<4xf32, #mp.dims<4>>
// expected-error @below {{'mp.attention_gradient' op expected 3 results}}
%dx = mp.attention_gradient %x, %x, %x, %x, %x, %sums : (tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4x4xf32, #mp.dims<4, 4>>, tensor<4xf32, #mp.dims<4>>) -> tensor<4x4xf32, #mp.dims<4, 4>>

// -----

// Tests that (A9) refuses rounding to what is no less.
%q = "test.value"() : () -> tensor<3x4xf32, #mp.dims<3, 4>>
// expected-error @below {{'mp.attention' op attribute 'rounding' failed to satisfy constraint}}
%y, %sums = mp.attention %q, %q, %q rounding f32 : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>>) -> (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3xf32, #mp.dims<3>>)
