// RUN: mp-opt %s --mp-schedule --mp-plan-memory --mp-verify-scheduled --mp-verify-calls | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that memory that a transfer has read, and on a device that shares memory its readers, is written again only
// after those have finished.
// CHECK-LABEL: mp.model @reuse_after_transfer
// CHECK: row_bytes = 16 : i64, {{.*}} row_bytes = 16 : i64
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0
// CHECK: mp.transfer {{.*}} mp.order = 1
// CHECK: mp.reduce {{.*}} {{.*}} mp.device = 1 : i64, mp.order = 2
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 3 : i64, {{.*}} mp.waits = array<i64: 2>}
mp.model @reuse_after_transfer devices 2 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %s = mp.reduce sum %a1 [0, 1] {mp.device = 1 : i64} : !row -> !scalar
    %b = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    mp.return %s, %b : !scalar, !row
  }
}

// Tests that a transfer waits until what it writes over has been read.
// CHECK-LABEL: mp.model @transfer_over_dead_value
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1 : i64, mp.order = 0
// CHECK: mp.reduce {{.*}} mp.order = 1
// CHECK: mp.matmul {{.*}} mp.device = 0 : i64, mp.order = 2
// CHECK: mp.transfer {{.*}} {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1 : i64, mp.order = 3 : i64, {{.*}} mp.waits = array<i64: 1, 2>}
mp.model @transfer_over_dead_value devices 2 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a = mp.matmul %x, %w {mp.device = 1 : i64} : !row, !weight -> !row
    %s = mp.reduce sum %a [0, 1] {mp.device = 1 : i64} : !row -> !scalar
    %b = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %b1 = mp.transfer %b from 0 {mp.device = 1 : i64} : !row
    mp.return %s, %b1 : !scalar, !row
  }
}

// Tests that reuse on one stream needs no wait.
// CHECK-LABEL: mp.model @own_stream
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, 0>
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, 0>{{.*}} mp.waits = array<i64>}
mp.model @own_stream devices 1 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %s = mp.reduce sum %a [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    %b = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    mp.return %s, %b : !scalar, !row
  }
}
