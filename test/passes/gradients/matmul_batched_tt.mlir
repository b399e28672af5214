// Tests both rules of a matrix product, with both transposed, batched. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/matmul_batched_tt.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/matmul_batched_tt.txt --expect %S/Inputs/matmul_batched_tt.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 3 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x3x3x2xf32, #mp.dims<2, 3, 3, 2>> init zeros []
  mp.parameter @b : tensor<2x3x4x3xf32, #mp.dims<2, 3, 4, 3>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<2x3x2x4xf32, #mp.dims<2, 3, 2, 4>>):
    %a = mp.read @a : tensor<2x3x3x2xf32, #mp.dims<2, 3, 3, 2>>
    %b = mp.read @b : tensor<2x3x4x3xf32, #mp.dims<2, 3, 4, 3>>
    %v1 = mp.matmul %a, %b transpose_a transpose_b : tensor<2x3x3x2xf32, #mp.dims<2, 3, 3, 2>>, tensor<2x3x4x3xf32, #mp.dims<2, 3, 4, 3>> -> tensor<2x3x2x4xf32, #mp.dims<2, 3, 2, 4>>
    %v2 = mp.mul %v1, %weights : tensor<2x3x2x4xf32, #mp.dims<2, 3, 2, 4>>, tensor<2x3x2x4xf32, #mp.dims<2, 3, 2, 4>> -> tensor<2x3x2x4xf32, #mp.dims<2, 3, 2, 4>>
    %v3 = mp.reduce mean %v2 [0, 1, 2, 3] : tensor<2x3x2x4xf32, #mp.dims<2, 3, 2, 4>> -> tensor<f32, #mp.dims<>>
    mp.return %v3 : tensor<f32, #mp.dims<>>
  }
}
