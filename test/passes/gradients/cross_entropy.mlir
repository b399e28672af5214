// Tests the rule of the cross-entropy, a class a row. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/cross_entropy.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/cross_entropy.txt --expect %S/Inputs/cross_entropy.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<4xf32, #mp.dims<4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["x", "target", "weights"] {
  ^bb0(%x: tensor<?x4xf32, #mp.dims<batch, 4>>, %target: tensor<?xi32, #mp.dims<batch>>, %weights: tensor<?xf32, #mp.dims<batch>>):
    %a = mp.read @a : tensor<4xf32, #mp.dims<4>>
    %v1 = mp.broadcast %a [-1, 0] : tensor<4xf32, #mp.dims<4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    %v2 = mp.mul %v1, %x : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    %v3 = mp.cross_entropy %v2, %target : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?xi32, #mp.dims<batch>> -> tensor<?xf32, #mp.dims<batch>>
    %v4 = mp.mul %v3, %weights : tensor<?xf32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>> -> tensor<?xf32, #mp.dims<batch>>
    %v5 = mp.reduce mean %v4 [0] : tensor<?xf32, #mp.dims<batch>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
