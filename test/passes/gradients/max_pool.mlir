// Tests the rule of a maximum under windows that lie side by side. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/max_pool.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/max_pool.txt --expect %S/Inputs/max_pool.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x4x6xf32, #mp.dims<2, 4, 6>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["xa", "weights"] {
  ^bb0(%xa: tensor<?x2x4x6xf32, #mp.dims<batch, 2, 4, 6>>, %weights: tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>>):
    %a = mp.read @a : tensor<2x4x6xf32, #mp.dims<2, 4, 6>>
    %v1 = mp.broadcast %a [-1, 0, 1, 2] : tensor<2x4x6xf32, #mp.dims<2, 4, 6>> -> tensor<?x2x4x6xf32, #mp.dims<batch, 2, 4, 6>>
    %v2 = mp.mul %v1, %xa : tensor<?x2x4x6xf32, #mp.dims<batch, 2, 4, 6>>, tensor<?x2x4x6xf32, #mp.dims<batch, 2, 4, 6>> -> tensor<?x2x4x6xf32, #mp.dims<batch, 2, 4, 6>>
    %v3:2 = mp.max_pool %v2 kernel [2, 3] stride [2, 3] padding [0, 0] : tensor<?x2x4x6xf32, #mp.dims<batch, 2, 4, 6>> -> tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>>, tensor<?x2x2x2xi32, #mp.dims<batch, 2, 2, 2>>
    %v4 = mp.mul %v3, %weights : tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>>, tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>> -> tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>>
    %v5 = mp.reduce mean %v4 [0, 1, 2, 3] : tensor<?x2x2x2xf32, #mp.dims<batch, 2, 2, 2>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
