// Tests the rule of the cross-entropy, a class for each position of a row. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/cross_entropy_positions.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/cross_entropy_positions.txt --expect %S/Inputs/cross_entropy_positions.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<3x5xf32, #mp.dims<3, 5>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["x", "target", "weights"] {
  ^bb0(%x: tensor<?x3x5xf32, #mp.dims<batch, 3, 5>>, %target: tensor<?x3xi32, #mp.dims<batch, 3>>, %weights: tensor<?x3xf32, #mp.dims<batch, 3>>):
    %a = mp.read @a : tensor<3x5xf32, #mp.dims<3, 5>>
    %v1 = mp.broadcast %a [-1, 0, 1] : tensor<3x5xf32, #mp.dims<3, 5>> -> tensor<?x3x5xf32, #mp.dims<batch, 3, 5>>
    %v2 = mp.mul %v1, %x : tensor<?x3x5xf32, #mp.dims<batch, 3, 5>>, tensor<?x3x5xf32, #mp.dims<batch, 3, 5>> -> tensor<?x3x5xf32, #mp.dims<batch, 3, 5>>
    %v3 = mp.cross_entropy %v2, %target : tensor<?x3x5xf32, #mp.dims<batch, 3, 5>>, tensor<?x3xi32, #mp.dims<batch, 3>> -> tensor<?x3xf32, #mp.dims<batch, 3>>
    %v4 = mp.mul %v3, %weights : tensor<?x3xf32, #mp.dims<batch, 3>>, tensor<?x3xf32, #mp.dims<batch, 3>> -> tensor<?x3xf32, #mp.dims<batch, 3>>
    %v5 = mp.reduce mean %v4 [0, 1] : tensor<?x3xf32, #mp.dims<batch, 3>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
