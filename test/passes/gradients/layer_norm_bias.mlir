// Tests the rules of layer normalization with a bias alone. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/layer_norm_bias.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/layer_norm_bias.txt --expect %S/Inputs/layer_norm_bias.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 3 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<3x4xf32, #mp.dims<3, 4>> init zeros []
  mp.parameter @bias : tensor<4xf32, #mp.dims<4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["x", "weights"] {
  ^bb0(%x: tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, %weights: tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>):
    %a = mp.read @a : tensor<3x4xf32, #mp.dims<3, 4>>
    %v1 = mp.broadcast %a [-1, 0, 1] : tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    %v2 = mp.mul %v1, %x : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<?x3x4xf32, #mp.dims<batch, 3, 4>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    %bias = mp.read @bias : tensor<4xf32, #mp.dims<4>>
    %v3:3 = mp.layer_norm %v2 bias %bias dimensions 1 eps 1.25e-1 : (tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<4xf32, #mp.dims<4>>) -> (tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<?x3xf32, #mp.dims<batch, 3>>, tensor<?x3xf32, #mp.dims<batch, 3>>)
    %v4 = mp.mul %v3, %weights : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<?x3x4xf32, #mp.dims<batch, 3, 4>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    %v5 = mp.reduce mean %v4 [0, 1, 2] : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
