// Tests the rules of attention of products in bf16. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/attention_bf16.txt --expect %S/Inputs/attention_bf16.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// TORCH: 4 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @q : tensor<2x5x3xf32, #mp.dims<2, 5, 3>> init zeros []
  mp.parameter @k : tensor<2x5x3xf32, #mp.dims<2, 5, 3>> init zeros []
  mp.parameter @v : tensor<2x5x4xf32, #mp.dims<2, 5, 4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["xq", "xk", "xv", "weights"] {
  ^bb0(%xq: tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>, %xk: tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>, %xv: tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>, %weights: tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>):
    %q = mp.read @q : tensor<2x5x3xf32, #mp.dims<2, 5, 3>>
    %v1 = mp.broadcast %q [-1, 0, 1, 2] : tensor<2x5x3xf32, #mp.dims<2, 5, 3>> -> tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>
    %v2 = mp.mul %v1, %xq : tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>, tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>> -> tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>
    %k = mp.read @k : tensor<2x5x3xf32, #mp.dims<2, 5, 3>>
    %v3 = mp.broadcast %k [-1, 0, 1, 2] : tensor<2x5x3xf32, #mp.dims<2, 5, 3>> -> tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>
    %v4 = mp.mul %v3, %xk : tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>, tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>> -> tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>
    %v = mp.read @v : tensor<2x5x4xf32, #mp.dims<2, 5, 4>>
    %v5 = mp.broadcast %v [-1, 0, 1, 2] : tensor<2x5x4xf32, #mp.dims<2, 5, 4>> -> tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>
    %v6 = mp.mul %v5, %xv : tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>, tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>> -> tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>
    %v7:2 = mp.attention %v2, %v4, %v6 causal rounding bf16 : (tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>, tensor<?x2x5x3xf32, #mp.dims<batch, 2, 5, 3>>, tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>) -> (tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>, tensor<?x2x5xf32, #mp.dims<batch, 2, 5>>)
    %v8 = mp.mul %v7, %weights : tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>, tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>> -> tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>>
    %v9 = mp.reduce mean %v8 [0, 1, 2, 3] : tensor<?x2x5x4xf32, #mp.dims<batch, 2, 5, 4>> -> tensor<f32, #mp.dims<>>
    mp.return %v9 : tensor<f32, #mp.dims<>>
  }
}
