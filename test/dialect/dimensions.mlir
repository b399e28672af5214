// RUN: mp-opt %s | mp-opt | FileCheck %s

// Tests that dimensions read back as they print: none, numbers, the batch, names, products of factors, labels.
// CHECK-LABEL: mp.model @dimensions
// CHECK: tensor<f32, #mp.dims<>>
// CHECK: tensor<12xf32, #mp.dims<12>>
// CHECK: tensor<?x12xf32, #mp.dims<batch, in=12>>
// CHECK: tensor<?x192xf32, #mp.dims<batch, qkv: 3*heads=4*dim=16>>
// CHECK: tensor<?x12xf32, #mp.dims<batch*3, 12>>
// CHECK: tensor<12xf32, #mp.dims<out: width=12>>
// CHECK: tensor<1xf32, #mp.dims<1>>
mp.model @dimensions {
  mp.parameter @a : tensor<f32, #mp.dims<>> init zeros []
  mp.parameter @b : tensor<12xf32, #mp.dims<12>> init zeros []
  mp.parameter @c : tensor<?x12xf32, #mp.dims<batch, in=12>> init zeros []
  mp.parameter @d : tensor<?x192xf32, #mp.dims<batch, qkv: 3*heads=4*dim=16>> init zeros []
  mp.parameter @e : tensor<?x12xf32, #mp.dims<batch*3, 12>> init zeros []
  mp.parameter @f : tensor<12xf32, #mp.dims<out: width=12>> init zeros []
  mp.parameter @g : tensor<1xf32, #mp.dims<1>> init zeros []
}

// Tests that a name that is no plain word is quoted.
// CHECK-LABEL: mp.model @quoted
// CHECK: #mp.dims<"two words"=12>
mp.model @quoted {
  mp.parameter @a : tensor<12xf32, #mp.dims<"two words"=12>> init zeros []
}

// Tests that places read back as they print.
// CHECK-LABEL: mp.model @places
// CHECK: #mp.buffer<parameters, 16>
// CHECK: #mp.buffer<gradients, 0>
// CHECK: #mp.buffer<fixed, 256>
// CHECK: #mp.buffer<rows, 4>
// CHECK: #mp.buffer<input, 1>
mp.model @places {
  mp.layer "a" declared "" {mp.buffer = #mp.buffer<parameters, 16>}
  mp.layer "b" declared "" {mp.buffer = #mp.buffer<gradients, 0>}
  mp.layer "c" declared "" {mp.buffer = #mp.buffer<fixed, 256>}
  mp.layer "d" declared "" {mp.buffer = #mp.buffer<rows, 4>}
  mp.layer "e" declared "" {mp.buffer = #mp.buffer<input, 1>}
}
