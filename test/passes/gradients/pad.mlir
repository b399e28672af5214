// Tests the rule of pad. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/pad.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/pad.txt --expect %S/Inputs/pad.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<3x2xf32, #mp.dims<3, 2>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<3x6xf32, #mp.dims<3, 6>>):
    %a = mp.read @a : tensor<3x2xf32, #mp.dims<3, 2>>
    %v1 = mp.pad %a dimension 1 before 1 after 3 : tensor<3x2xf32, #mp.dims<3, 2>> -> tensor<3x6xf32, #mp.dims<3, 6>>
    %v2 = mp.mul %v1, %weights : tensor<3x6xf32, #mp.dims<3, 6>>, tensor<3x6xf32, #mp.dims<3, 6>> -> tensor<3x6xf32, #mp.dims<3, 6>>
    %v3 = mp.reduce mean %v2 [0, 1] : tensor<3x6xf32, #mp.dims<3, 6>> -> tensor<f32, #mp.dims<>>
    mp.return %v3 : tensor<f32, #mp.dims<>>
  }
}
