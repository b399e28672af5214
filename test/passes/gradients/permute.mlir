// Tests the rule of a permutation that is not its own inverse. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/permute.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/permute.txt --expect %S/Inputs/permute.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x3x4xf32, #mp.dims<2, 3, 4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<4x2x?x3xf32, #mp.dims<4, 2, batch, 3>>):
    %a = mp.read @a : tensor<2x3x4xf32, #mp.dims<2, 3, 4>>
    %v1 = mp.broadcast %a [-1, 0, 1, 2] : tensor<2x3x4xf32, #mp.dims<2, 3, 4>> -> tensor<?x2x3x4xf32, #mp.dims<batch, 2, 3, 4>>
    %v2 = mp.permute %v1 [3, 1, 0, 2] : tensor<?x2x3x4xf32, #mp.dims<batch, 2, 3, 4>> -> tensor<4x2x?x3xf32, #mp.dims<4, 2, batch, 3>>
    %v3 = mp.mul %v2, %weights : tensor<4x2x?x3xf32, #mp.dims<4, 2, batch, 3>>, tensor<4x2x?x3xf32, #mp.dims<4, 2, batch, 3>> -> tensor<4x2x?x3xf32, #mp.dims<4, 2, batch, 3>>
    %v4 = mp.reduce mean %v3 [0, 1, 2, 3] : tensor<4x2x?x3xf32, #mp.dims<4, 2, batch, 3>> -> tensor<f32, #mp.dims<>>
    mp.return %v4 : tensor<f32, #mp.dims<>>
  }
}
