// Tests that what two lookups of one table sum up is added. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/gather_twice.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/gather_twice.txt --expect %S/Inputs/gather_twice.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<4x2xf32, #mp.dims<4, 2>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["i", "j", "weights"] {
  ^bb0(%i: tensor<?x2xi32, #mp.dims<batch, 2>>, %j: tensor<?xi32, #mp.dims<batch>>, %weights: tensor<?x2xf32, #mp.dims<batch, 2>>):
    %a = mp.read @a : tensor<4x2xf32, #mp.dims<4, 2>>
    %v1 = mp.gather %a, %i : tensor<4x2xf32, #mp.dims<4, 2>>, tensor<?x2xi32, #mp.dims<batch, 2>> -> tensor<?x2x2xf32, #mp.dims<batch, 2, 2>>
    %v2 = mp.gather %a, %j : tensor<4x2xf32, #mp.dims<4, 2>>, tensor<?xi32, #mp.dims<batch>> -> tensor<?x2xf32, #mp.dims<batch, 2>>
    %v3 = mp.reduce sum %v1 [1] : tensor<?x2x2xf32, #mp.dims<batch, 2, 2>> -> tensor<?x2xf32, #mp.dims<batch, 2>>
    %v4 = mp.mul %v3, %v2 : tensor<?x2xf32, #mp.dims<batch, 2>>, tensor<?x2xf32, #mp.dims<batch, 2>> -> tensor<?x2xf32, #mp.dims<batch, 2>>
    %v5 = mp.mul %v4, %weights : tensor<?x2xf32, #mp.dims<batch, 2>>, tensor<?x2xf32, #mp.dims<batch, 2>> -> tensor<?x2xf32, #mp.dims<batch, 2>>
    %v6 = mp.reduce mean %v5 [0, 1] : tensor<?x2xf32, #mp.dims<batch, 2>> -> tensor<f32, #mp.dims<>>
    mp.return %v6 : tensor<f32, #mp.dims<>>
  }
}
