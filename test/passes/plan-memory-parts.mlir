// RUN: mp-opt %s --mp-cut-rows --mp-schedule --mp-plan-memory --mp-verify-scheduled --mp-verify-calls | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that the copy of a gradient that arrives by a transfer comes after the parts of the batch, with what it copies.
// CHECK-LABEL: mp.model @arrives
// CHECK: mp.matmul {{.*}}mp.accumulate
// CHECK: %[[MOVED:.*]] = mp.transfer {{.*}} mp.when = "after"
// CHECK: mp.map %[[MOVED]] {{.*}}mp.buffer = #mp.buffer<gradients, 0>, {{.*}} mp.when = "after"
// CHECK: mp.gradient @w
mp.model @arrives devices 2 {
  mp.parameter @w : !weight init zeros [] {mp.device = 0 : i64}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %l = mp.reduce sum %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    %g = mp.matmul %x, %x transpose_a {mp.device = 1 : i64} : !row, !row -> !weight
    %moved = mp.transfer %g from 1 {mp.device = 0 : i64} : !weight
    mp.gradient @w, %moved {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %l : !scalar
  }
}

// Tests the same of the copy for a second parameter with the same gradient.
// CHECK-LABEL: mp.model @shared
// CHECK: %[[SUM:.*]] = mp.matmul {{.*}}mp.accumulate, mp.buffer = #mp.buffer<gradients, 0>
// CHECK: mp.gradient @v, %[[SUM]]
// CHECK: %[[COPY:.*]] = mp.map %[[SUM]] {{.*}}mp.buffer = #mp.buffer<gradients, 16>, {{.*}} mp.when = "after"
// CHECK: mp.gradient @w, %[[COPY]]
mp.model @shared devices 1 {
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 0 : i64}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %l = mp.reduce sum %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    mp.gradient @v, %g {mp.device = 0 : i64} : !weight
    mp.gradient @w, %g {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %l : !scalar
  }
}

// Tests that the norm of gradients is summed after the parts, and that its scale is there when each device updates.
// CHECK-LABEL: mp.model @clipped
// CHECK: %[[V:.*]] = mp.matmul {{.*}}mp.accumulate, {{.*}} mp.order = 1
// CHECK: %[[W:.*]] = mp.matmul {{.*}}mp.accumulate, {{.*}} mp.order = 2
// CHECK: mp.squared_norm %[[V]] {{.*}} mp.order = 3 : i64, mp.stream = "compute", mp.waits = array<i64>, mp.when = "after"
// CHECK: mp.transfer {{.*}} mp.order = 4 : i64, mp.stream = "communication", mp.waits = array<i64: 3>, mp.when = "after"
// CHECK: mp.squared_norm %[[W]], {{.*}} mp.order = 5 : i64, mp.stream = "compute", mp.waits = array<i64: 4>, mp.when = "after"
// CHECK: mp.clip_scale {{.*}} mp.order = 6
// CHECK: mp.transfer {{.*}} mp.order = 7 : i64, mp.stream = "communication", mp.waits = array<i64: 6>
// CHECK: mp.update {{.*}} {mp.device = 0 : i64, mp.order = 8 : i64, mp.stream = "compute", mp.waits = array<i64: 7>
// CHECK: mp.update {{.*}} {mp.device = 1 : i64, mp.order = 9 : i64, mp.stream = "compute", mp.waits = array<i64>
mp.model @clipped devices 2 {
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 1 : i64}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %l = mp.reduce sum %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    %gv = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    %gw = mp.matmul %x, %x transpose_a {mp.device = 1 : i64} : !row, !row -> !weight
    mp.gradient @v, %gv {mp.device = 0 : i64} : !weight
    mp.gradient @w, %gw {mp.device = 1 : i64} : !weight
    %nv = mp.squared_norm %gv {mp.device = 0 : i64} : (!weight) -> !scalar
    %moved = mp.transfer %nv from 0 {mp.device = 1 : i64} : !scalar
    %n = mp.squared_norm %gw, %moved {mp.device = 1 : i64} : (!weight, !scalar) -> !scalar
    %s = mp.clip_scale %n to 1.0 {mp.device = 1 : i64} : !scalar
    %s0 = mp.transfer %s from 1 {mp.device = 0 : i64} : !scalar
    mp.update "sgd" scale %s0 : !scalar {mp.device = 0 : i64}
    mp.update "sgd" scale %s : !scalar {mp.device = 1 : i64}
    mp.return %l : !scalar
  }
}
