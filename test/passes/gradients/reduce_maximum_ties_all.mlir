// Tests that equal maxima over everything share evenly, as PyTorch has it. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/reduce_maximum_ties_all.txt --expect %S/Inputs/reduce_maximum_ties_all.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x3xf32, #mp.dims<2, 3>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<f32, #mp.dims<>>):
    %a = mp.read @a : tensor<2x3xf32, #mp.dims<2, 3>>
    %v1 = mp.reduce maximum %a [0, 1] : tensor<2x3xf32, #mp.dims<2, 3>> -> tensor<f32, #mp.dims<>>
    %v2 = mp.mul %v1, %weights : tensor<f32, #mp.dims<>>, tensor<f32, #mp.dims<>> -> tensor<f32, #mp.dims<>>
    %v3 = mp.reduce mean %v2 [] : tensor<f32, #mp.dims<>> -> tensor<f32, #mp.dims<>>
    mp.return %v3 : tensor<f32, #mp.dims<>>
  }
}
