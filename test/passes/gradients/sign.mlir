// Tests that no gradient flows through a sign. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/sign.txt --expect %S/Inputs/sign.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<3x4xf32, #mp.dims<3, 4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<3x4xf32, #mp.dims<3, 4>>):
    %a = mp.read @a : tensor<3x4xf32, #mp.dims<3, 4>>
    %v1 = mp.sign %a : tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<3x4xf32, #mp.dims<3, 4>>
    %v2 = mp.mul %a, %v1 : tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<3x4xf32, #mp.dims<3, 4>>
    %v3 = mp.mul %v2, %weights : tensor<3x4xf32, #mp.dims<3, 4>>, tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<3x4xf32, #mp.dims<3, 4>>
    %v4 = mp.reduce mean %v3 [0, 1] : tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<f32, #mp.dims<>>
    mp.return %v4 : tensor<f32, #mp.dims<>>
  }
}
