// Tests both rules of a convolution in groups of channels. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/conv_groups.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/conv_groups.txt --expect %S/Inputs/conv_groups.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 3 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<4x3x3xf32, #mp.dims<4, 3, 3>> init zeros []
  mp.parameter @weight : tensor<6x2x2x2xf32, #mp.dims<6, 2, 2, 2>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["xa", "weights"] {
  ^bb0(%xa: tensor<?x4x3x3xf32, #mp.dims<batch, 4, 3, 3>>, %weights: tensor<?x6x4x4xf32, #mp.dims<batch, 6, 4, 4>>):
    %a = mp.read @a : tensor<4x3x3xf32, #mp.dims<4, 3, 3>>
    %v1 = mp.broadcast %a [-1, 0, 1, 2] : tensor<4x3x3xf32, #mp.dims<4, 3, 3>> -> tensor<?x4x3x3xf32, #mp.dims<batch, 4, 3, 3>>
    %v2 = mp.mul %v1, %xa : tensor<?x4x3x3xf32, #mp.dims<batch, 4, 3, 3>>, tensor<?x4x3x3xf32, #mp.dims<batch, 4, 3, 3>> -> tensor<?x4x3x3xf32, #mp.dims<batch, 4, 3, 3>>
    %weight = mp.read @weight : tensor<6x2x2x2xf32, #mp.dims<6, 2, 2, 2>>
    %v3 = mp.conv %v2, %weight stride [1, 1] padding [1, 1] dilation [1, 1] groups 2 : (tensor<?x4x3x3xf32, #mp.dims<batch, 4, 3, 3>>, tensor<6x2x2x2xf32, #mp.dims<6, 2, 2, 2>>) -> tensor<?x6x4x4xf32, #mp.dims<batch, 6, 4, 4>>
    %v4 = mp.mul %v3, %weights : tensor<?x6x4x4xf32, #mp.dims<batch, 6, 4, 4>>, tensor<?x6x4x4xf32, #mp.dims<batch, 6, 4, 4>> -> tensor<?x6x4x4xf32, #mp.dims<batch, 6, 4, 4>>
    %v5 = mp.reduce mean %v4 [0, 1, 2, 3] : tensor<?x6x4x4xf32, #mp.dims<batch, 6, 4, 4>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
