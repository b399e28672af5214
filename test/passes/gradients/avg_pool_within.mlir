// Tests the rule of a mean of what lies within. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/avg_pool_within.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/avg_pool_within.txt --expect %S/Inputs/avg_pool_within.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x4x5xf32, #mp.dims<2, 4, 5>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["xa", "weights"] {
  ^bb0(%xa: tensor<?x2x4x5xf32, #mp.dims<batch, 2, 4, 5>>, %weights: tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>>):
    %a = mp.read @a : tensor<2x4x5xf32, #mp.dims<2, 4, 5>>
    %v1 = mp.broadcast %a [-1, 0, 1, 2] : tensor<2x4x5xf32, #mp.dims<2, 4, 5>> -> tensor<?x2x4x5xf32, #mp.dims<batch, 2, 4, 5>>
    %v2 = mp.mul %v1, %xa : tensor<?x2x4x5xf32, #mp.dims<batch, 2, 4, 5>>, tensor<?x2x4x5xf32, #mp.dims<batch, 2, 4, 5>> -> tensor<?x2x4x5xf32, #mp.dims<batch, 2, 4, 5>>
    %v3 = mp.avg_pool %v2 kernel [3, 3] stride [2, 3] padding [1, 1] : (tensor<?x2x4x5xf32, #mp.dims<batch, 2, 4, 5>>) -> tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>>
    %v4 = mp.mul %v3, %weights : tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>>, tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>> -> tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>>
    %v5 = mp.reduce mean %v4 [0, 1, 2, 3] : tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
