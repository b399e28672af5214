// Tests that of equal elements under a window the first takes all, as PyTorch has it. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/max_pool_ties.txt --expect %S/Inputs/max_pool_ties.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x4xf32, #mp.dims<2, 4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<1x5xf32, #mp.dims<1, 5>>):
    %a = mp.read @a : tensor<2x4xf32, #mp.dims<2, 4>>
    %v1:2 = mp.max_pool %a kernel [2, 2] stride [1, 1] padding [0, 1] : tensor<2x4xf32, #mp.dims<2, 4>> -> tensor<1x5xf32, #mp.dims<1, 5>>, tensor<1x5xi32, #mp.dims<1, 5>>
    %v2 = mp.mul %v1, %weights : tensor<1x5xf32, #mp.dims<1, 5>>, tensor<1x5xf32, #mp.dims<1, 5>> -> tensor<1x5xf32, #mp.dims<1, 5>>
    %v3 = mp.reduce mean %v2 [0, 1] : tensor<1x5xf32, #mp.dims<1, 5>> -> tensor<f32, #mp.dims<>>
    mp.return %v3 : tensor<f32, #mp.dims<>>
  }
}
