// Tests the rule of a maximum under windows that overlap, and reach over the edges. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/max_pool_overlapping.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/max_pool_overlapping.txt --expect %S/Inputs/max_pool_overlapping.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x5x5xf32, #mp.dims<2, 5, 5>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["xa", "weights"] {
  ^bb0(%xa: tensor<?x2x5x5xf32, #mp.dims<batch, 2, 5, 5>>, %weights: tensor<?x2x5x6xf32, #mp.dims<batch, 2, 5, 6>>):
    %a = mp.read @a : tensor<2x5x5xf32, #mp.dims<2, 5, 5>>
    %v1 = mp.broadcast %a [-1, 0, 1, 2] : tensor<2x5x5xf32, #mp.dims<2, 5, 5>> -> tensor<?x2x5x5xf32, #mp.dims<batch, 2, 5, 5>>
    %v2 = mp.mul %v1, %xa : tensor<?x2x5x5xf32, #mp.dims<batch, 2, 5, 5>>, tensor<?x2x5x5xf32, #mp.dims<batch, 2, 5, 5>> -> tensor<?x2x5x5xf32, #mp.dims<batch, 2, 5, 5>>
    %v3:2 = mp.max_pool %v2 kernel [3, 2] stride [1, 1] padding [1, 1] : tensor<?x2x5x5xf32, #mp.dims<batch, 2, 5, 5>> -> tensor<?x2x5x6xf32, #mp.dims<batch, 2, 5, 6>>, tensor<?x2x5x6xi32, #mp.dims<batch, 2, 5, 6>>
    %v4 = mp.mul %v3, %weights : tensor<?x2x5x6xf32, #mp.dims<batch, 2, 5, 6>>, tensor<?x2x5x6xf32, #mp.dims<batch, 2, 5, 6>> -> tensor<?x2x5x6xf32, #mp.dims<batch, 2, 5, 6>>
    %v5 = mp.reduce mean %v4 [0, 1, 2, 3] : tensor<?x2x5x6xf32, #mp.dims<batch, 2, 5, 6>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
