// RUN: mp-opt %s --mp-schedule --mp-plan-memory --mp-verify-scheduled --mp-verify-calls | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!flags = tensor<?x3xi1, #mp.dims<batch, 3>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that values alive at once lie apart, and that memory is used again once its value is dead.
// CHECK-LABEL: mp.model @reuse
// CHECK: row_bytes = 32
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, [[A:0|16]]>
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, [[B:0|16]]>
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, [[A]]>
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, [[B]]>
mp.model @reuse devices 1 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %b = mp.matmul %a, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %c = mp.matmul %b, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %d = mp.matmul %c, %w {mp.device = 0 : i64} : !row, !weight -> !row
    mp.return %d : !row
  }
}

// Tests that what a program returns is never written over.
// CHECK-LABEL: mp.model @returned
// CHECK: row_bytes = 32
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, [[FIRST:[0-9]+]]>
// CHECK-NOT: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, [[FIRST]]>
// CHECK: mp.return
mp.model @returned devices 1 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %b = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    mp.return %a, %b : !row, !row
  }
}

// Tests that what depends on the batch counts bytes a row, rounded up to 4, all else bytes, rounded up to 256: with rows
// rounded up to 64 every value begins at a multiple of 256.
// CHECK-LABEL: mp.model @regions
// CHECK: fixed_bytes = 512 : i64, {{.*}} row_bytes = 8 : i64
// CHECK: mp.slice {{.*}} {mp.buffer = #mp.buffer<rows, [[FIRST:0|4]]>
// CHECK: mp.slice {{.*}} {mp.buffer = #mp.buffer<rows, {{0|4}}>
// CHECK: mp.reduce {{.*}} {mp.buffer = #mp.buffer<fixed, {{0|256}}>
// CHECK: mp.reduce {{.*}} {mp.buffer = #mp.buffer<fixed, {{0|256}}>
mp.model @regions devices 1 {
  mp.program @predict ["x", "flags"] {
  ^bb0(%x: !row, %f: tensor<?x9xi1, #mp.dims<batch, 9>>):
    %a = mp.slice %f dimension 1 from 0 to 3 {mp.device = 0 : i64} : tensor<?x9xi1, #mp.dims<batch, 9>> -> !flags
    %b = mp.slice %f dimension 1 from 3 to 6 {mp.device = 0 : i64} : tensor<?x9xi1, #mp.dims<batch, 9>> -> !flags
    %c = mp.reduce sum %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    %d = mp.reduce mean %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %a, %b, %c, %d : !flags, !flags, !scalar, !scalar
  }
}

// Tests that a reshape lies where its operand does, which lives as long as the reshape is read.
// CHECK-LABEL: mp.model @reshape
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, [[PLACE:[0-9]+]]>
// CHECK: mp.reshape {{.*}} {mp.buffer = #mp.buffer<rows, [[PLACE]]>
// CHECK-NOT: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, [[PLACE]]>
// CHECK: mp.return
mp.model @reshape devices 1 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %r = mp.reshape %a {mp.device = 0 : i64} : !row -> tensor<?x2x2xf32, #mp.dims<batch, 2, 2>>
    %b = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    mp.return %r, %b : tensor<?x2x2xf32, #mp.dims<batch, 2, 2>>, !row
  }
}

// Tests that a reshape of an input lies where the input does, and each device has a region of its own.
// CHECK-LABEL: mp.model @inputs_and_devices
// CHECK: mp.reshape %{{.*}} {mp.buffer = #mp.buffer<input, 1>
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0
// CHECK: mp.transfer {{.*}} {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1
mp.model @inputs_and_devices devices 2 {
  mp.program @predict ["w", "x"] {
  ^bb0(%w: !weight, %x: tensor<?x2x2xf32, #mp.dims<batch, 2, 2>>):
    %r = mp.reshape %x {mp.device = 0 : i64} : tensor<?x2x2xf32, #mp.dims<batch, 2, 2>> -> !row
    %a = mp.matmul %r, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %b = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    mp.return %b : !row
  }
}
