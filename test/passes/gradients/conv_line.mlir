// Tests both rules of a convolution of one dimension. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/conv_line.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/conv_line.txt --expect %S/Inputs/conv_line.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 3 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x7xf32, #mp.dims<2, 7>> init zeros []
  mp.parameter @weight : tensor<3x2x3xf32, #mp.dims<3, 2, 3>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["xa", "weights"] {
  ^bb0(%xa: tensor<?x2x7xf32, #mp.dims<batch, 2, 7>>, %weights: tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>):
    %a = mp.read @a : tensor<2x7xf32, #mp.dims<2, 7>>
    %v1 = mp.broadcast %a [-1, 0, 1] : tensor<2x7xf32, #mp.dims<2, 7>> -> tensor<?x2x7xf32, #mp.dims<batch, 2, 7>>
    %v2 = mp.mul %v1, %xa : tensor<?x2x7xf32, #mp.dims<batch, 2, 7>>, tensor<?x2x7xf32, #mp.dims<batch, 2, 7>> -> tensor<?x2x7xf32, #mp.dims<batch, 2, 7>>
    %weight = mp.read @weight : tensor<3x2x3xf32, #mp.dims<3, 2, 3>>
    %v3 = mp.conv %v2, %weight stride [2] padding [1] dilation [1] groups 1 : (tensor<?x2x7xf32, #mp.dims<batch, 2, 7>>, tensor<3x2x3xf32, #mp.dims<3, 2, 3>>) -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    %v4 = mp.mul %v3, %weights : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>, tensor<?x3x4xf32, #mp.dims<batch, 3, 4>> -> tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
    %v5 = mp.reduce mean %v4 [0, 1, 2] : tensor<?x3x4xf32, #mp.dims<batch, 3, 4>> -> tensor<f32, #mp.dims<>>
    mp.return %v5 : tensor<f32, #mp.dims<>>
  }
}
