// Tests that a gradient that is wrong is found by finite differences, and by numbers to compare with.
// RUN: not mp-run %s --check-gradients | FileCheck %s
// RUN: not mp-run %s --input %S/Inputs/sine.txt --expect %S/Inputs/sine.txt | FileCheck %s --check-prefix=EXPECT

// CHECK: gradient a: 3 elements checked, off by {{.*}}: element {{[0-9]}} is {{.*}}, differences give
// CHECK-NEXT: gradients differ
// EXPECT: gradient a: element 0 is {{.*}}, expected 0.625
mp.model @Test {
  mp.parameter @a : tensor<3xf32, #mp.dims<3>> init zeros []
  mp.program @train ["x"] {
  ^bb0(%x: tensor<3xf32, #mp.dims<3>>):
    %a = mp.read @a : tensor<3xf32, #mp.dims<3>>
    %s = mp.sin %a : tensor<3xf32, #mp.dims<3>> -> tensor<3xf32, #mp.dims<3>>
    %l = mp.reduce sum %s [0] : tensor<3xf32, #mp.dims<3>> -> tensor<f32, #mp.dims<>>
    // The derivative of a sine is a cosine.
    mp.gradient @a, %s : tensor<3xf32, #mp.dims<3>>
    mp.return %l : tensor<f32, #mp.dims<>>
  }
}
