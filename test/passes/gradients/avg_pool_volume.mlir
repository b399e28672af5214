// Tests the rule of a mean over three dimensions. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/avg_pool_volume.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/avg_pool_volume.txt --expect %S/Inputs/avg_pool_volume.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<3x2x4xf32, #mp.dims<3, 2, 4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["xa", "weights"] {
  ^bb0(%xa: tensor<?x3x2x4xf32, #mp.dims<batch, 3, 2, 4>>, %weights: tensor<?x4x2x3xf32, #mp.dims<batch, 4, 2, 3>>):
    %a = mp.read @a : tensor<3x2x4xf32, #mp.dims<3, 2, 4>>
    %v1 = mp.broadcast %a [-1, 0, 1, 2] : tensor<3x2x4xf32, #mp.dims<3, 2, 4>> -> tensor<?x3x2x4xf32, #mp.dims<batch, 3, 2, 4>>
    %v2 = mp.mul %v1, %xa : tensor<?x3x2x4xf32, #mp.dims<batch, 3, 2, 4>>, tensor<?x3x2x4xf32, #mp.dims<batch, 3, 2, 4>> -> tensor<?x3x2x4xf32, #mp.dims<batch, 3, 2, 4>>
    %v3 = mp.avg_pool %v2 kernel [2, 1, 2] stride [1, 1, 2] padding [1, 0, 1] count_padding : (tensor<?x3x2x4xf32, #mp.dims<batch, 3, 2, 4>>) -> tensor<?x4x2x3xf32, #mp.dims<batch, 4, 2, 3>>
    %v4 = mp.mul %v3, %weights : tensor<?x4x2x3xf32, #mp.dims<batch, 4, 2, 3>>, tensor<?x4x2x3xf32, #mp.dims<batch, 4, 2, 3>> -> tensor<?x4x2x3xf32, #mp.dims<batch, 4, 2, 3>>
    %v5 = mp.reduce mean %v4 [0, 1, 2, 3] : tensor<?x4x2x3xf32, #mp.dims<batch, 4, 2, 3>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
