// Tests powers with a constant exponent, of bases of either sign. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/pow_constant.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/pow_constant.txt --expect %S/Inputs/pow_constant.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<6xf32, #mp.dims<6>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<6xf32, #mp.dims<6>>):
    %a = mp.read @a : tensor<6xf32, #mp.dims<6>>
    %v1 = mp.constant 2.0 : f64 : tensor<6xf32, #mp.dims<6>>
    %v2 = mp.pow %a, %v1 : tensor<6xf32, #mp.dims<6>>, tensor<6xf32, #mp.dims<6>> -> tensor<6xf32, #mp.dims<6>>
    %v3 = mp.constant 3.0 : f64 : tensor<6xf32, #mp.dims<6>>
    %v4 = mp.pow %a, %v3 : tensor<6xf32, #mp.dims<6>>, tensor<6xf32, #mp.dims<6>> -> tensor<6xf32, #mp.dims<6>>
    %v5 = mp.constant -1.0 : f64 : tensor<6xf32, #mp.dims<6>>
    %v6 = mp.pow %a, %v5 : tensor<6xf32, #mp.dims<6>>, tensor<6xf32, #mp.dims<6>> -> tensor<6xf32, #mp.dims<6>>
    %v7 = mp.add %v2, %v4 : tensor<6xf32, #mp.dims<6>>, tensor<6xf32, #mp.dims<6>> -> tensor<6xf32, #mp.dims<6>>
    %v8 = mp.add %v7, %v6 : tensor<6xf32, #mp.dims<6>>, tensor<6xf32, #mp.dims<6>> -> tensor<6xf32, #mp.dims<6>>
    %v9 = mp.mul %v8, %weights : tensor<6xf32, #mp.dims<6>>, tensor<6xf32, #mp.dims<6>> -> tensor<6xf32, #mp.dims<6>>
    %v10 = mp.reduce mean %v9 [0] : tensor<6xf32, #mp.dims<6>> -> tensor<f32, #mp.dims<>>
    mp.return %v10 : tensor<f32, #mp.dims<>>
  }
}
