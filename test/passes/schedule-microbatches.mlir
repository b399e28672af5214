// RUN: mp-opt %s --mp-schedule --mp-plan-memory --mp-schedule-microbatches --mp-verify-turns | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that runs on one device and transfers are stages, that stages take turns, and that a turn waits for another
// device's only: stage 1, a transfer to device 1, waits for one turn of device 0, that of the same microbatch.
// CHECK-LABEL: mp.model @chain
// CHECK-SAME: microbatches = 2 : i64
// CHECK-SAME: slots = 2 : i64
// CHECK: mp.program @train
// CHECK-SAME: mp.microbatches = 2 : i64
// CHECK-SAME: mp.row_multiplications = 48 : i64
// CHECK-SAME: mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 2, 0>, array<i64: 0, 1>, array<i64: 1, 1, 0, 2>
// CHECK: mp.matmul {{.*}}mp.stage = 0
// CHECK: mp.transfer {{.*}}mp.stage = 1
// CHECK: mp.matmul {{.*}}mp.stage = 2
// CHECK: mp.reduce {{.*}}mp.stage = 2
// CHECK: mp.matmul {{.*}}mp.stage = 3
// CHECK: mp.update {{.*}}mp.stage = 4
mp.model @chain devices 2 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} microbatches 2 schedule "gpipe"
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 1 : i64}
  mp.program @train ["x", "target"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %target: !row):
    %v = mp.read @v {mp.device = 0 : i64} : !weight
    %w = mp.read @w {mp.device = 1 : i64} : !weight
    %h = mp.matmul %x, %v {mp.device = 0 : i64} : !row, !weight -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64} : !row
    %y = mp.matmul %h1, %w {mp.device = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 1 : i64, mp.accumulate} : !row -> !scalar
    %g = mp.matmul %h1, %y transpose_a {mp.device = 1 : i64, mp.accumulate} : !row, !row -> !weight
    mp.gradient @w, %g {mp.device = 1 : i64, mp.when = "after"} : !weight
    mp.update "sgd" {mp.device = 1 : i64, mp.when = "after"}
    mp.return %l : !scalar
  }
}

// Tests that a device by itself takes microbatches, too: the bounds of its sums are those of several.
// CHECK-LABEL: mp.model @alone
// CHECK: mp.program @train
// CHECK-SAME: mp.microbatches = 2 : i64
// CHECK-SAME: mp.turns = [array<i64: 0, 0>, array<i64: 0, 1>]
mp.model @alone devices 1 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} microbatches 2 schedule "gpipe"
  mp.program @train ["x", "target"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %target: !row):
    %l = mp.reduce sum %x [0, 1] {mp.device = 0 : i64, mp.accumulate} : !row -> !scalar
    mp.return %l : !scalar
  }
}
