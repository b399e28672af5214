// Tests the rules of a product over the rows of the batch. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/matmul_rows.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/matmul_rows.txt --expect %S/Inputs/matmul_rows.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 3 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<3x2xf32, #mp.dims<3, 2>> init zeros []
  mp.parameter @b : tensor<3x2xf32, #mp.dims<3, 2>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["x", "weights"] {
  ^bb0(%x: tensor<?x2xf32, #mp.dims<batch, 2>>, %weights: tensor<?x2xf32, #mp.dims<batch, 2>>):
    %a = mp.read @a : tensor<3x2xf32, #mp.dims<3, 2>>
    %b = mp.read @b : tensor<3x2xf32, #mp.dims<3, 2>>
    %v1 = mp.matmul %x, %a transpose_b : tensor<?x2xf32, #mp.dims<batch, 2>>, tensor<3x2xf32, #mp.dims<3, 2>> -> tensor<?x3xf32, #mp.dims<batch, 3>>
    %v2 = mp.matmul %v1, %b : tensor<?x3xf32, #mp.dims<batch, 3>>, tensor<3x2xf32, #mp.dims<3, 2>> -> tensor<?x2xf32, #mp.dims<batch, 2>>
    %v3 = mp.mul %v2, %weights : tensor<?x2xf32, #mp.dims<batch, 2>>, tensor<?x2xf32, #mp.dims<batch, 2>> -> tensor<?x2xf32, #mp.dims<batch, 2>>
    %v4 = mp.reduce mean %v3 [0, 1] : tensor<?x2xf32, #mp.dims<batch, 2>> -> tensor<f32, #mp.dims<>>
    mp.return %v4 : tensor<f32, #mp.dims<>>
  }
}
