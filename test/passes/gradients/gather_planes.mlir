// Tests the rule of rows of two dimensions. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/gather_planes.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/gather_planes.txt --expect %S/Inputs/gather_planes.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<4x2x3xf32, #mp.dims<4, 2, 3>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["i", "weights"] {
  ^bb0(%i: tensor<?xi32, #mp.dims<batch>>, %weights: tensor<?x2x3xf32, #mp.dims<batch, 2, 3>>):
    %a = mp.read @a : tensor<4x2x3xf32, #mp.dims<4, 2, 3>>
    %v1 = mp.mul %a, %a : tensor<4x2x3xf32, #mp.dims<4, 2, 3>>, tensor<4x2x3xf32, #mp.dims<4, 2, 3>> -> tensor<4x2x3xf32, #mp.dims<4, 2, 3>>
    %v2 = mp.gather %v1, %i : tensor<4x2x3xf32, #mp.dims<4, 2, 3>>, tensor<?xi32, #mp.dims<batch>> -> tensor<?x2x3xf32, #mp.dims<batch, 2, 3>>
    %v3 = mp.mul %v2, %weights : tensor<?x2x3xf32, #mp.dims<batch, 2, 3>>, tensor<?x2x3xf32, #mp.dims<batch, 2, 3>> -> tensor<?x2x3xf32, #mp.dims<batch, 2, 3>>
    %v4 = mp.reduce mean %v3 [0, 1, 2] : tensor<?x2x3xf32, #mp.dims<batch, 2, 3>> -> tensor<f32, #mp.dims<>>
    mp.return %v4 : tensor<f32, #mp.dims<>>
  }
}
