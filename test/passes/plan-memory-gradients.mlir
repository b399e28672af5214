// RUN: mp-opt %s --mp-schedule --mp-plan-memory --mp-verify-scheduled --mp-verify-calls | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!bias = tensor<3xf32, #mp.dims<3>>

// Tests that parameters begin at multiples of 16 floats, those that are trained first, each device counting for itself.
// CHECK-LABEL: mp.model @parameters
// CHECK: parameter_floats = 48 : i64, row_bytes = {{.*}} trained_floats = 32
// CHECK: parameter_floats = 16 : i64, row_bytes = {{.*}} trained_floats = 0
// CHECK: @frozen {{.*}} #mp.buffer<parameters, 32>
// CHECK: @bias {{.*}} #mp.buffer<parameters, 0>
// CHECK: @weight {{.*}} #mp.buffer<parameters, 16>
// CHECK: @there {{.*}} #mp.buffer<parameters, 0>
// CHECK: mp.read @weight {mp.buffer = #mp.buffer<parameters, 16>
mp.model @parameters devices 2 {
  mp.parameter @frozen : !bias init zeros [] {mp.device = 0 : i64}
  mp.parameter @bias : !bias init zeros [] {mp.device = 0 : i64}
  mp.parameter @weight : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @there : !bias init zeros [] {mp.device = 1 : i64}
  mp.program @train ["x", "b"] {
  ^bb0(%x: !row, %b: tensor<?x3xf32, #mp.dims<batch, 3>>):
    %w = mp.read @weight {mp.device = 0 : i64} : !weight
    %gb = mp.reduce sum %b [0] {mp.device = 0 : i64} : tensor<?x3xf32, #mp.dims<batch, 3>> -> !bias
    mp.gradient @bias, %gb {mp.device = 0 : i64} : !bias
    %gw = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    mp.gradient @weight, %gw {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %x : !row
  }
}

// Tests that of the trained parameters those that do not decay come last, before the untrained.
// CHECK-LABEL: mp.model @undecayed
// CHECK: parameter_floats = 64 : i64, {{.*}} trained_floats = 48 : i64, undecayed_floats = 32 : i64
// CHECK: @frozen {{.*}} #mp.buffer<parameters, 48>
// CHECK: @bias {{.*}} #mp.buffer<parameters, 16>
// CHECK: @weight {{.*}} #mp.buffer<parameters, 0>
// CHECK: @other {{.*}} #mp.buffer<parameters, 32>
mp.model @undecayed devices 1 {
  mp.parameter @frozen : !bias init zeros [] {mp.device = 0 : i64, undecayed}
  mp.parameter @bias : !bias init zeros [] {mp.device = 0 : i64, undecayed}
  mp.parameter @weight : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @other : !bias init zeros [] {mp.device = 0 : i64, undecayed}
  mp.program @train ["x", "b"] {
  ^bb0(%x: !row, %b: tensor<?x3xf32, #mp.dims<batch, 3>>):
    %gb = mp.reduce sum %b [0] {mp.device = 0 : i64} : tensor<?x3xf32, #mp.dims<batch, 3>> -> !bias
    mp.gradient @bias, %gb {mp.device = 0 : i64} : !bias
    %go = mp.reduce mean %b [0] {mp.device = 0 : i64} : tensor<?x3xf32, #mp.dims<batch, 3>> -> !bias
    mp.gradient @other, %go {mp.device = 0 : i64} : !bias
    %gw = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    mp.gradient @weight, %gw {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %x : !row
  }
}

// Tests that what computes a gradient writes it in its parameter's place, with no copy.
// CHECK-LABEL: mp.model @written_at_once
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<gradients, 0>
// CHECK-NEXT: mp.gradient @w
mp.model @written_at_once devices 1 {
  mp.parameter @w : !weight init zeros [] {mp.device = 0 : i64}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    mp.gradient @w, %g {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %x : !row
  }
}

// Tests that a gradient of two parameters is copied for the second.
// CHECK-LABEL: mp.model @shared
// CHECK: %[[GRADIENT:.*]] = mp.matmul {{.*}} {mp.buffer = #mp.buffer<gradients, 0>
// CHECK-NEXT: mp.gradient @v, %[[GRADIENT]]
// CHECK-NEXT: %[[COPY:.*]] = mp.map %[[GRADIENT]] {{.*}} {mp.buffer = #mp.buffer<gradients, 16>
// CHECK: mp.gradient @w, %[[COPY]]
mp.model @shared devices 1 {
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 0 : i64}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    mp.gradient @v, %g {mp.device = 0 : i64} : !weight
    mp.gradient @w, %g {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %x : !row
  }
}

// Tests that a gradient that arrives from another device is copied, after it has arrived: the transfer may copy nothing.
// CHECK-LABEL: mp.model @arrived
// CHECK: %[[ARRIVED:.*]] = mp.transfer {{.*}} mp.order = 1
// CHECK-NEXT: %[[COPY:.*]] = mp.map %[[ARRIVED]] {{.*}} {mp.buffer = #mp.buffer<gradients, 0>
// CHECK-SAME: mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64: 1>
// CHECK: mp.gradient @w, %[[COPY]]
mp.model @arrived devices 2 {
  mp.parameter @w : !weight init zeros [] {mp.device = 0 : i64}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %g = mp.matmul %x, %x transpose_a {mp.device = 1 : i64} : !row, !row -> !weight
    %g0 = mp.transfer %g from 1 {mp.device = 0 : i64} : !weight
    mp.gradient @w, %g0 {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %x : !row
  }
}

// Tests that a gradient that is a parameter's or an input's value is copied.
// CHECK-LABEL: mp.model @no_producer
// CHECK: %[[COPY:.*]] = mp.map %{{.*}} {mp.buffer = #mp.buffer<gradients, 0>
// CHECK: mp.gradient @w, %[[COPY]]
mp.model @no_producer devices 1 {
  mp.parameter @w : !weight init zeros [] {mp.device = 0 : i64}
  mp.program @train ["g"] {
  ^bb0(%g: !weight):
    mp.gradient @w, %g {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %g : !weight
  }
}
