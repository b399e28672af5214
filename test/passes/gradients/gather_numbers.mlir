// Tests the rule of single numbers of a table. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/gather_numbers.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/gather_numbers.txt --expect %S/Inputs/gather_numbers.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<4xf32, #mp.dims<4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["i", "weights"] {
  ^bb0(%i: tensor<?x2xi32, #mp.dims<batch, 2>>, %weights: tensor<?x2xf32, #mp.dims<batch, 2>>):
    %a = mp.read @a : tensor<4xf32, #mp.dims<4>>
    %v1 = mp.mul %a, %a : tensor<4xf32, #mp.dims<4>>, tensor<4xf32, #mp.dims<4>> -> tensor<4xf32, #mp.dims<4>>
    %v2 = mp.gather %v1, %i : tensor<4xf32, #mp.dims<4>>, tensor<?x2xi32, #mp.dims<batch, 2>> -> tensor<?x2xf32, #mp.dims<batch, 2>>
    %v3 = mp.mul %v2, %weights : tensor<?x2xf32, #mp.dims<batch, 2>>, tensor<?x2xf32, #mp.dims<batch, 2>> -> tensor<?x2xf32, #mp.dims<batch, 2>>
    %v4 = mp.reduce mean %v3 [0, 1] : tensor<?x2xf32, #mp.dims<batch, 2>> -> tensor<f32, #mp.dims<>>
    mp.return %v4 : tensor<f32, #mp.dims<>>
  }
}
