// Tests the rule of a broadcast that also reorders. Written by test/golden/gradients.py.
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/broadcast_reorder.txt --check-gradients | FileCheck %s
// RUN: mp-run %s --phase grad --rows 3 --input %S/Inputs/broadcast_reorder.txt --expect %S/Inputs/broadcast_reorder.txt \
// RUN:   --scalar f64 --tolerance 1e-10 | FileCheck %s --check-prefix=TORCH
// RUN: mp-run %s --compare-phases | FileCheck %s --check-prefix=PHASES

// CHECK: gradients agree
// TORCH: 2 tensors agree
// PHASES: @train is the same in all phases
mp.model @Test {
  mp.parameter @a : tensor<2x3xf32, #mp.dims<2, 3>> init zeros []
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64, momentum = 0.0 : f64, weight_decay = 0.0 : f64}
    loss "mse" epochs 1 batch 4 shuffle false seed 0 classes 0 data {} test_data {}
  mp.program @train ["weights"] {
  ^bb0(%weights: tensor<3x?x2xf32, #mp.dims<3, batch, 2>>):
    %a = mp.read @a : tensor<2x3xf32, #mp.dims<2, 3>>
    %v1 = mp.mul %a, %a : tensor<2x3xf32, #mp.dims<2, 3>>, tensor<2x3xf32, #mp.dims<2, 3>> -> tensor<2x3xf32, #mp.dims<2, 3>>
    %v2 = mp.broadcast %v1 [1, -1, 0] : tensor<2x3xf32, #mp.dims<2, 3>> -> tensor<3x?x2xf32, #mp.dims<3, batch, 2>>
    %v3 = mp.mul %v2, %weights : tensor<3x?x2xf32, #mp.dims<3, batch, 2>>, tensor<3x?x2xf32, #mp.dims<3, batch, 2>> -> tensor<3x?x2xf32, #mp.dims<3, batch, 2>>
    %v4 = mp.reduce mean %v3 [0, 1, 2] : tensor<3x?x2xf32, #mp.dims<3, batch, 2>> -> tensor<f32, #mp.dims<>>
    mp.return %v4 : tensor<f32, #mp.dims<>>
  }
}
