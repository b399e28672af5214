// Tests the rules of attention in which a query sees what came before. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/attention_causal.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/attention_causal.txt --expect %S/Inputs/attention_causal.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 4 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @q : tensor<2x5x3xf32, #mp.dims<2, 5, 3>> init zeros []
  mp.parameter @k : tensor<2x5x3xf32, #mp.dims<2, 5, 3>> init zeros []
  mp.parameter @v : tensor<2x5x3xf32, #mp.dims<2, 5, 3>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<2x5x3xf32, #mp.dims<2, 5, 3>>):
    %q = mp.read @q : tensor<2x5x3xf32, #mp.dims<2, 5, 3>>
    %k = mp.read @k : tensor<2x5x3xf32, #mp.dims<2, 5, 3>>
    %v = mp.read @v : tensor<2x5x3xf32, #mp.dims<2, 5, 3>>
    %v1:2 = mp.attention %q, %k, %v causal : (tensor<2x5x3xf32, #mp.dims<2, 5, 3>>, tensor<2x5x3xf32, #mp.dims<2, 5, 3>>, tensor<2x5x3xf32, #mp.dims<2, 5, 3>>) -> (tensor<2x5x3xf32, #mp.dims<2, 5, 3>>, tensor<2x5xf32, #mp.dims<2, 5>>)
    %v2 = mp.mul %v1, %weights : tensor<2x5x3xf32, #mp.dims<2, 5, 3>>, tensor<2x5x3xf32, #mp.dims<2, 5, 3>> -> tensor<2x5x3xf32, #mp.dims<2, 5, 3>>
    %v3 = mp.reduce mean %v2 [0, 1, 2] : tensor<2x5x3xf32, #mp.dims<2, 5, 3>> -> tensor<f32, #mp.dims<>>
    mp.return %v3 : tensor<f32, #mp.dims<>>
  }
}
