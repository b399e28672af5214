// Tests powers at a base or an exponent of 0, as PyTorch has them. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/pow_at_zero.txt --expect %S/Inputs/pow_at_zero.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// TORCH: 3 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<5xf32, #mp.dims<5>> init zeros []
  mp.parameter @b : tensor<5xf32, #mp.dims<5>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<5xf32, #mp.dims<5>>):
    %a = mp.read @a : tensor<5xf32, #mp.dims<5>>
    %b = mp.read @b : tensor<5xf32, #mp.dims<5>>
    %v1 = mp.pow %a, %b : tensor<5xf32, #mp.dims<5>>, tensor<5xf32, #mp.dims<5>> -> tensor<5xf32, #mp.dims<5>>
    %v2 = mp.mul %v1, %weights : tensor<5xf32, #mp.dims<5>>, tensor<5xf32, #mp.dims<5>> -> tensor<5xf32, #mp.dims<5>>
    %v3 = mp.reduce mean %v2 [0] : tensor<5xf32, #mp.dims<5>> -> tensor<f32, #mp.dims<>>
    mp.return %v3 : tensor<f32, #mp.dims<>>
  }
}
