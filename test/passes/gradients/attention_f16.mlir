// Tests the rules of attention of products in f16. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/attention_f16.txt --expect %S/Inputs/attention_f16.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// TORCH: 4 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @q : tensor<3x4xf32, #mp.dims<3, 4>> init zeros []
  mp.parameter @k : tensor<5x4xf32, #mp.dims<5, 4>> init zeros []
  mp.parameter @v : tensor<5x2xf32, #mp.dims<5, 2>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<3x2xf32, #mp.dims<3, 2>>):
    %q = mp.read @q : tensor<3x4xf32, #mp.dims<3, 4>>
    %k = mp.read @k : tensor<5x4xf32, #mp.dims<5, 4>>
    %v = mp.read @v : tensor<5x2xf32, #mp.dims<5, 2>>
    %v1:2 = mp.attention %q, %k, %v rounding f16 : (tensor<3x4xf32, #mp.dims<3, 4>>, tensor<5x4xf32, #mp.dims<5, 4>>, tensor<5x2xf32, #mp.dims<5, 2>>) -> (tensor<3x2xf32, #mp.dims<3, 2>>, tensor<3xf32, #mp.dims<3>>)
    %v2 = mp.mul %v1, %weights : tensor<3x2xf32, #mp.dims<3, 2>>, tensor<3x2xf32, #mp.dims<3, 2>> -> tensor<3x2xf32, #mp.dims<3, 2>>
    %v3 = mp.reduce mean %v2 [0, 1] : tensor<3x2xf32, #mp.dims<3, 2>> -> tensor<f32, #mp.dims<>>
    mp.return %v3 : tensor<f32, #mp.dims<>>
  }
}
