// Tests that elements at a kink are skipped and counted, and that steps shrink beside one.
// RUN: mp-run %s --phase grad --input %S/Inputs/kinks.txt --check-gradients | FileCheck %s

// CHECK: gradient a: 2 elements checked, 1 skipped at kinks
// CHECK-NEXT: gradients agree
mp.model @Test {
  mp.parameter @a : tensor<3xf32, #mp.dims<3>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: tensor<3xf32, #mp.dims<3>>):
    %a = mp.read @a : tensor<3xf32, #mp.dims<3>>
    %r = mp.relu %a : tensor<3xf32, #mp.dims<3>> -> tensor<3xf32, #mp.dims<3>>
    %l = mp.reduce sum %r [0] : tensor<3xf32, #mp.dims<3>> -> tensor<f32, #mp.dims<>>
    mp.return %l : tensor<f32, #mp.dims<>>
  }
}
