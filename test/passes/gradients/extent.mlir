// Tests a mean written with an extent: what is divided by grows with the batch. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/extent.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/extent.txt --expect %S/Inputs/extent.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<4xf32, #mp.dims<4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["x", "weights"] {
  ^bb0(%x: tensor<?x4xf32, #mp.dims<batch, 4>>, %weights: tensor<f32, #mp.dims<>>):
    %a = mp.read @a : tensor<4xf32, #mp.dims<4>>
    %v1 = mp.broadcast %a [-1, 0] : tensor<4xf32, #mp.dims<4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    %v2 = mp.mul %v1, %x : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    %v3 = mp.reduce sum %v2 [0, 1] : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<f32, #mp.dims<>>
    %v4 = mp.extent 4 rows plus -1 : tensor<f32, #mp.dims<>>
    %v5 = mp.div %v3, %v4 : tensor<f32, #mp.dims<>>, tensor<f32, #mp.dims<>> -> tensor<f32, #mp.dims<>>
    %v6 = mp.mul %v5, %weights : tensor<f32, #mp.dims<>>, tensor<f32, #mp.dims<>> -> tensor<f32, #mp.dims<>>
    %v7 = mp.reduce mean %v6 [] : tensor<f32, #mp.dims<>> -> tensor<f32, #mp.dims<>>
    mp.return %v7 : tensor<f32, #mp.dims<>>
  }
}
