// RUN: mp-opt %s --allow-unregistered-dialect --split-input-file --verify-diagnostics

// Tests that (C1) refuses a weight without spatial dimensions.
%x = "test.value"() : () -> tensor<?x3xf32, #mp.dims<batch, 3>>
%w = "test.value"() : () -> tensor<4x3xf32, #mp.dims<4, 3>>
// expected-error @below {{'mp.conv' op expected one to three spatial dimensions, after the channels}}
%y = mp.conv %x, %w stride [] padding [] dilation [] groups 1 : (tensor<?x3xf32, #mp.dims<batch, 3>>, tensor<4x3xf32, #mp.dims<4, 3>>) -> tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (C1) refuses an operand without channels.
%x = "test.value"() : () -> tensor<8xf32, #mp.dims<8>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv' op expected one to three spatial dimensions, after the channels}}
%y = mp.conv %x, %w stride [1] padding [0] dilation [1] groups 1 : (tensor<8xf32, #mp.dims<8>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<6xf32, #mp.dims<6>>

// -----

// Tests that (C1) refuses other dimensions before the channels.
%x = "test.value"() : () -> tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv' op expected equal dimensions before the channels}}
%y = mp.conv %x, %w stride [1] padding [0] dilation [1] groups 1 : (tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<2x4x6xf32, #mp.dims<2, 4, 6>>

// -----

// Tests that (C1) refuses as many steps as there are no dimensions.
%x = "test.value"() : () -> tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv' op expected 1 sizes, got 2}}
%y = mp.conv %x, %w stride [1, 1] padding [0] dilation [1] groups 1 : (tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<?x4x6xf32, #mp.dims<batch, 4, 6>>

// -----

// Tests that (C2) refuses groups that do not divide the channels.
%x = "test.value"() : () -> tensor<?x6x8xf32, #mp.dims<batch, 6, 8>>
%w = "test.value"() : () -> tensor<5x3x3xf32, #mp.dims<5, 3, 3>>
// expected-error @below {{'mp.conv' op expected the weight's channels in 2 groups}}
%y = mp.conv %x, %w stride [1] padding [0] dilation [1] groups 2 : (tensor<?x6x8xf32, #mp.dims<batch, 6, 8>>, tensor<5x3x3xf32, #mp.dims<5, 3, 3>>) -> tensor<?x5x6xf32, #mp.dims<batch, 5, 6>>

// -----

// Tests that (C2) refuses other channels than the weight's.
%x = "test.value"() : () -> tensor<?x4x8xf32, #mp.dims<batch, 4, 8>>
%w = "test.value"() : () -> tensor<5x3x3xf32, #mp.dims<5, 3, 3>>
// expected-error @below {{'mp.conv' op expected the weight's channels in 1 groups}}
%y = mp.conv %x, %w stride [1] padding [0] dilation [1] groups 1 : (tensor<?x4x8xf32, #mp.dims<batch, 4, 8>>, tensor<5x3x3xf32, #mp.dims<5, 3, 3>>) -> tensor<?x5x6xf32, #mp.dims<batch, 5, 6>>

// -----

// Tests that (C3) refuses another number of positions.
%x = "test.value"() : () -> tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv' op expected 3 positions of the kernel}}
%y = mp.conv %x, %w stride [2] padding [0] dilation [1] groups 1 : (tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<?x4x6xf32, #mp.dims<batch, 4, 6>>

// -----

// Tests that (C3) refuses a kernel that does not fit.
%x = "test.value"() : () -> tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv' op expected 0 positions of the kernel}}
%y = mp.conv %x, %w stride [1] padding [0] dilation [4] groups 1 : (tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<?x4x1xf32, #mp.dims<batch, 4, 1>>

// -----

// Tests that (C3) refuses a step of 0.
%x = "test.value"() : () -> tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv' op expected steps of at least 1, and padding of at least 0}}
%y = mp.conv %x, %w stride [0] padding [0] dilation [1] groups 1 : (tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<?x4x6xf32, #mp.dims<batch, 4, 6>>

// -----

// Tests that (C4) refuses the batch among the spatial dimensions.
%x = "test.value"() : () -> tensor<2x3x?xf32, #mp.dims<2, 3, batch>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv' op expected the batch neither in the weight nor after the first dimensions}}
%y = mp.conv %x, %w stride [1] padding [0] dilation [1] groups 1 : (tensor<2x3x?xf32, #mp.dims<2, 3, batch>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<2x4x?xf32, #mp.dims<2, 4, batch>>

// -----

// Tests that (C4) refuses integers.
%x = "test.value"() : () -> tensor<?x3x8xi32, #mp.dims<batch, 3, 8>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv' op expected f32, got 'tensor<?x3x8xi32}}
%y = mp.conv %x, %w stride [1] padding [0] dilation [1] groups 1 : (tensor<?x3x8xi32, #mp.dims<batch, 3, 8>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<?x4x6xf32, #mp.dims<batch, 4, 6>>

// -----

// Tests that (C3) holds of the input's gradient, whose result is x.
%x = "test.value"() : () -> tensor<?x4x6xf32, #mp.dims<batch, 4, 6>>
%w = "test.value"() : () -> tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
// expected-error @below {{'mp.conv_input_gradient' op expected 5 positions of the kernel}}
%y = mp.conv_input_gradient %x, %w stride [1] padding [0] dilation [1] groups 1 : (tensor<?x4x6xf32, #mp.dims<batch, 4, 6>>, tensor<4x3x3xf32, #mp.dims<4, 3, 3>>) -> tensor<?x3x7xf32, #mp.dims<batch, 3, 7>>

// -----

// Tests that (C2) holds of the weight's gradient.
%x = "test.value"() : () -> tensor<?x4x6xf32, #mp.dims<batch, 4, 6>>
%w = "test.value"() : () -> tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>
// expected-error @below {{'mp.conv_weight_gradient' op expected the weight's channels in 1 groups}}
%y = mp.conv_weight_gradient %x, %w stride [1] padding [0] dilation [1] groups 1 : (tensor<?x4x6xf32, #mp.dims<batch, 4, 6>>, tensor<?x3x8xf32, #mp.dims<batch, 3, 8>>) -> tensor<4x2x3xf32, #mp.dims<4, 2, 3>>

// -----

// Tests that (W1) refuses more sizes than there are dimensions.
%x = "test.value"() : () -> tensor<8xf32, #mp.dims<8>>
// expected-error @below {{'mp.max_pool' op expected one to three sizes, and as many dimensions}}
%y, %positions = mp.max_pool %x kernel [2, 2] stride [2, 2] padding [0, 0] : tensor<8xf32, #mp.dims<8>> -> tensor<4xf32, #mp.dims<4>>, tensor<4xi32, #mp.dims<4>>

// -----

// Tests that (W2) refuses another number of positions.
%x = "test.value"() : () -> tensor<?x8xf32, #mp.dims<batch, 8>>
// expected-error @below {{'mp.max_pool' op expected 4 positions of the window}}
%y, %positions = mp.max_pool %x kernel [2] stride [2] padding [0] : tensor<?x8xf32, #mp.dims<batch, 8>> -> tensor<?x3xf32, #mp.dims<batch, 3>>, tensor<?x3xi32, #mp.dims<batch, 3>>

// -----

// Tests that (W2) refuses padding in which a window could lie.
%x = "test.value"() : () -> tensor<?x8xf32, #mp.dims<batch, 8>>
// expected-error @below {{'mp.max_pool' op expected steps of at least 1, and padding of half a window at most}}
%y, %positions = mp.max_pool %x kernel [2] stride [1] padding [2] : tensor<?x8xf32, #mp.dims<batch, 8>> -> tensor<?x11xf32, #mp.dims<batch, 11>>, tensor<?x11xi32, #mp.dims<batch, 11>>

// -----

// Tests that (W3) refuses the batch among the window's dimensions.
%x = "test.value"() : () -> tensor<3x?xf32, #mp.dims<3, batch>>
// expected-error @below {{'mp.max_pool' op expected the batch before the window's dimensions, and these equal}}
%y, %positions = mp.max_pool %x kernel [1] stride [1] padding [0] : tensor<3x?xf32, #mp.dims<3, batch>> -> tensor<3x?xf32, #mp.dims<3, batch>>, tensor<3x?xi32, #mp.dims<3, batch>>

// -----

// Tests that (W3) refuses more elements than 32 bits number.
%x = "test.value"() : () -> tensor<?x65536x65536xf32, #mp.dims<batch, 65536, 65536>>
// expected-error @below {{'mp.max_pool' op expected positions that 32 bits can number}}
%y, %positions = mp.max_pool %x kernel [65536, 65536] stride [1, 1] padding [0, 0] : tensor<?x65536x65536xf32, #mp.dims<batch, 65536, 65536>> -> tensor<?x1x1xf32, #mp.dims<batch, 1, 1>>, tensor<?x1x1xi32, #mp.dims<batch, 1, 1>>

// -----

// Tests that positions are integers.
%x = "test.value"() : () -> tensor<?x8xf32, #mp.dims<batch, 8>>
// expected-error @below {{'mp.max_pool' op expected positions of i32 like the result}}
%y, %positions = mp.max_pool %x kernel [2] stride [2] padding [0] : tensor<?x8xf32, #mp.dims<batch, 8>> -> tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>

// -----

// Tests that (W4) refuses fewer positions.
%g = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
%positions = "test.value"() : () -> tensor<?x3xi32, #mp.dims<batch, 3>>
// expected-error @below {{'mp.max_pool_gradient' op expected positions of i32 like the gradient, which is f32}}
%dx = mp.max_pool_gradient %g, %positions dimensions 1 : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x3xi32, #mp.dims<batch, 3>>) -> tensor<?x8xf32, #mp.dims<batch, 8>>

// -----

// Tests that (W4) refuses other dimensions before the window's.
%g = "test.value"() : () -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
%positions = "test.value"() : () -> tensor<?x3x4xi32, #mp.dims<batch, 3, 4>>
// expected-error @below {{'mp.max_pool_gradient' op expected the gradient's dimensions but for the last 1}}
%dx = mp.max_pool_gradient %g, %positions dimensions 1 : (tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<?x3x4xi32, #mp.dims<batch, 3, 4>>) -> tensor<?x2x8xf32, #mp.dims<batch, 2, 8>>

// -----

// Tests that (W2) holds of the mean's gradient, whose result is x; positions are not more than rounding up makes them.
%g = "test.value"() : () -> tensor<?x4xf32, #mp.dims<batch, 4>>
// expected-error @below {{'mp.avg_pool_gradient' op expected 3 positions of the window}}
%dx = mp.avg_pool_gradient %g kernel [2] stride [2] padding [0] : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x6xf32, #mp.dims<batch, 6>>

// -----

// Tests that (W1) holds of means.
%x = "test.value"() : () -> tensor<?x8xf32, #mp.dims<batch, 8>>
// expected-error @below {{'mp.avg_pool' op expected one to three sizes, and as many dimensions}}
%y = mp.avg_pool %x kernel [2] stride [2, 2] padding [0] : (tensor<?x8xf32, #mp.dims<batch, 8>>) -> tensor<?x4xf32, #mp.dims<batch, 4>>
