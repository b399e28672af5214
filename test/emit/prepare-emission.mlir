// RUN: mp-opt --pass-pipeline='builtin.module(mp.model(mp-prepare-emission))' %s | FileCheck %s

mp.model @Net devices 2 {
  // Tests that an iota becomes a loop over positions, and keeps its place.
  // CHECK-LABEL: mp.program @predict
  mp.program @predict ["x"] {
  ^bb0(%x: tensor<?x4xf32, #mp.dims<batch, 4>>):
    // CHECK: mp.map {{.*}}mp.buffer = #mp.buffer<fixed, 256>{{.*}}mp.function = "predict_on_0"
    // CHECK-NEXT: %[[I:.*]] = mp.index 0 : i32
    // CHECK-NEXT: mp.yield %[[I]]
    %i = mp.iota 0 {mp.device = 0 : i64, mp.buffer = #mp.buffer<fixed, 256>} : tensor<4xi32, #mp.dims<4>>
    // Tests that an element-wise operation alone becomes a loop.
    // CHECK: mp.map
    // CHECK: mp.tanh
    %t = mp.tanh %x {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    // Tests that a transfer, which is two devices', is a function of its own.
    // CHECK: mp.transfer {{.*}}mp.function = "predict_0_to_1"
    %u = mp.transfer %t from 0 {mp.device = 1 : i64, mp.buffer = #mp.buffer<rows, 0>} : tensor<?x4xf32, #mp.dims<batch, 4>>
    mp.return %u : tensor<?x4xf32, #mp.dims<batch, 4>>
  }
}
