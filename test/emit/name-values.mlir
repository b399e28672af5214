// RUN: mp-opt --pass-pipeline='builtin.module(mp.model(mp-prepare-emission,mp-name-values))' %s | FileCheck %s

// Tests that a model called as a class of the runtime gets another name in C++.
// CHECK: mp.model @Model {{.*}}mp.class = "Model_"
mp.model @Model devices 2 {
  // Tests that a parameter is a member, and its path an identifier.
  // CHECK: mp.parameter @block.0.weight{{.*}}mp.name = "block_0_weight_"
  mp.parameter @"block.0.weight" : tensor<4xf32, #mp.dims<4>> init zeros [] {mp.device = 0 : i64, mp.buffer = #mp.buffer<parameters, 0>}
  // Tests that an argument named by a keyword compiles.
  // CHECK: mp.program @predict {{.*}}mp.argument_names = ["float_value"]
  mp.program @predict ["float"] {
  ^bb0(%x: tensor<?x4xf32, #mp.dims<batch, 4>>):
    // Tests that equal names are told apart, and that a macro or a function is not hidden.
    // CHECK: mp.name = "h"
    %a = mp.tanh %x {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("h")
    // CHECK: mp.name = "h_2"
    %b = mp.tanh %a {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 16>} : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("h")
    // CHECK: mp.name = "NULL_value"
    %c = mp.tanh %b {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("NULL")
    // Tests that what another function reads is a member, and that loops of one body share a functor.
    // CHECK: mp.functor = "Tanh"{{.*}}mp.member = array<i64: 0>, mp.name = "linear_value"
    %d = mp.tanh %c {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 16>} : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("linear")
    // CHECK: mp.member = array<i64: 0>, mp.name = "linear_on_1"
    %e = mp.transfer %d from 0 {mp.device = 1 : i64, mp.buffer = #mp.buffer<rows, 0>} : tensor<?x4xf32, #mp.dims<batch, 4>>
    mp.return %e : tensor<?x4xf32, #mp.dims<batch, 4>>
  }
}
