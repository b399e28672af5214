// Tests both rules of a matrix product, with the first transposed. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/matmul_tn.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/matmul_tn.txt --expect %S/Inputs/matmul_tn.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 3 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<3x2xf32, #mp.dims<3, 2>> init zeros []
  mp.parameter @b : tensor<3x4xf32, #mp.dims<3, 4>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<2x4xf32, #mp.dims<2, 4>>):
    %a = mp.read @a : tensor<3x2xf32, #mp.dims<3, 2>>
    %b = mp.read @b : tensor<3x4xf32, #mp.dims<3, 4>>
    %v1 = mp.matmul %a, %b transpose_a : tensor<3x2xf32, #mp.dims<3, 2>>, tensor<3x4xf32, #mp.dims<3, 4>> -> tensor<2x4xf32, #mp.dims<2, 4>>
    %v2 = mp.mul %v1, %weights : tensor<2x4xf32, #mp.dims<2, 4>>, tensor<2x4xf32, #mp.dims<2, 4>> -> tensor<2x4xf32, #mp.dims<2, 4>>
    %v3 = mp.reduce mean %v2 [0, 1] : tensor<2x4xf32, #mp.dims<2, 4>> -> tensor<f32, #mp.dims<>>
    mp.return %v3 : tensor<f32, #mp.dims<>>
  }
}
