// RUN: mp-opt %s --mp-cut-rows | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that with microbatches evaluation and prediction are cut as training is: a mean is a sum over the parts that is divided
// after them, and what reads no rows comes before.
// CHECK-LABEL: mp.model @cut
// CHECK: mp.program @evaluate {{.*}}mp.rows_a_part = 64
// CHECK: mp.read @w {{.*}}mp.when = "before"
// CHECK: mp.linear
// CHECK: mp.reduce sum {{.*}}mp.accumulate
// CHECK: mp.map {{.*}}mp.when = "after"
// CHECK: mp.program @predict {{.*}}mp.rows_a_part = 64
mp.model @cut devices 1 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} microbatches 2 schedule "gpipe"
  mp.program @evaluate ["x", "target"] {
  ^bb0(%x: !row, %target: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %y = mp.linear %x, %w none {mp.device = 0 : i64} : !row, !weight -> !row
    %loss = mp.reduce mean %y [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %y, %loss : !row, !scalar
  }
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %y = mp.linear %x, %w none {mp.device = 0 : i64} : !row, !weight -> !row
    mp.return %y : !row
  }
}

// Tests that neither is cut where one of them cannot be: rows of an evaluation depend on a sum over all.
// CHECK-LABEL: mp.model @rows_of_a_sum
// CHECK-NOT: mp.rows_a_part
mp.model @rows_of_a_sum devices 1 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} microbatches 2 schedule "gpipe"
  mp.program @evaluate ["x", "target"] {
  ^bb0(%x: !row, %target: !row):
    %mean = mp.reduce mean %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    %y = mp.map %x, %mean maps [array<i64: 0, 1>, array<i64: -1, -1>] {mp.device = 0 : i64} : (!row, !scalar) -> !row {
    ^bb0(%a: f32, %b: f32):
      %d = mp.sub %a, %b : f32, f32 -> f32
      mp.yield %d : f32
    }
    %loss = mp.reduce sum %y [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %y, %loss : !row, !scalar
  }
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %y = mp.map %x maps [array<i64: 0, 1>] {mp.device = 0 : i64} : (!row) -> !row {
    ^bb0(%a: f32):
      %d = mp.add %a, %a : f32, f32 -> f32
      mp.yield %d : f32
    }
    mp.return %y : !row
  }
}

// Tests that what returns an input stays whole: no device has it.
// CHECK-LABEL: mp.model @returns_input
// CHECK-NOT: mp.rows_a_part
mp.model @returns_input devices 1 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} microbatches 2 schedule "gpipe"
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    mp.return %x : !row
  }
}
