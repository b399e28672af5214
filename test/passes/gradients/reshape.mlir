// Tests the rule of reshape. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/reshape.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/reshape.txt --expect %S/Inputs/reshape.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x6xf32, #mp.dims<2, 6>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>):
    %a = mp.read @a : tensor<2x6xf32, #mp.dims<2, 6>>
    %v1 = mp.broadcast %a [-1, 0, 1] : tensor<2x6xf32, #mp.dims<2, 6>> -> tensor<?x2x6xf32, #mp.dims<batch, 2, 6>>
    %v2 = mp.reshape %v1 : tensor<?x2x6xf32, #mp.dims<batch, 2, 6>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    %v3 = mp.mul %v2, %weights : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<?x3x4xf32, #mp.dims<batch, 3, 4>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    %v4 = mp.reduce mean %v3 [0, 1, 2] : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>> -> tensor<f32, #mp.dims<>>
    mp.return %v4 : tensor<f32, #mp.dims<>>
  }
}
