// RUN: mp-opt %s --mp-fuse --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!square = tensor<4x4xf32, #mp.dims<4, 4>>
!bias = tensor<4xf32, #mp.dims<4>>

// Tests that a chain of element-wise operations becomes one loop over what the chain reads.
// CHECK-LABEL: mp.model @chain
// CHECK: ^bb0(%[[X:.*]]: tensor{{.*}}, %[[T:.*]]: tensor
// CHECK: mp.map %[[X]], %[[T]] maps [array<i64: 0, 1>, array<i64: 0, 1>]
// CHECK: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32):
// CHECK-NEXT: %[[DIFFERENCE:.*]] = mp.sub %[[A]], %[[B]]
// CHECK-NEXT: %[[SQUARE:.*]] = mp.mul %[[DIFFERENCE]], %[[DIFFERENCE]]
// CHECK-NEXT: mp.yield %[[SQUARE]]
// CHECK-NOT: mp.map
mp.model @chain devices 1 {
  mp.program @evaluate ["x", "target"] {
  ^bb0(%x: !row, %t: !row):
    %d = mp.sub %x, %t {mp.device = 0 : i64} : !row, !row -> !row
    %q = mp.mul %d, %d {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %q : !row
  }
}

// Tests that a broadcast, even of a broadcast, is how a loop reads its operand.
// CHECK-LABEL: mp.model @broadcast
// CHECK-NOT: mp.broadcast
// CHECK: mp.map %{{.*}}, %{{.*}} maps [array<i64: 0, 1>, array<i64: 0, -1>]
mp.model @broadcast devices 1 {
  mp.program @predict ["x", "b"] {
  ^bb0(%x: !square, %b: !bias):
    %c = mp.broadcast %b [0, -1] {mp.device = 0 : i64} : !bias -> tensor<4x1xf32, #mp.dims<4, 1>>
    %d = mp.broadcast %c [0, 1] {mp.device = 0 : i64} : tensor<4x1xf32, #mp.dims<4, 1>> -> !square
    %y = mp.mul %x, %d {mp.device = 0 : i64} : !square, !square -> !square
    mp.return %y : !square
  }
}

// Tests that constants and extents are made in the body.
// CHECK-LABEL: mp.model @scalars
// CHECK: mp.map %{{.*}} maps [array<i64: 0, 1>] {
// CHECK: mp.extent 4 rows : f32
// CHECK: mp.constant 2.000000e+00 : f64 : f32
mp.model @scalars devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %n = mp.extent 4 rows : !row
    %two = mp.constant 2.0 : f64 : !row
    %a = mp.div %x, %n {mp.device = 0 : i64} : !row, !row -> !row
    %b = mp.mul %a, %two {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %b : !row
  }
}

// Tests that a loop with two readers is not made twice.
// CHECK-LABEL: mp.model @read_twice
// CHECK: %[[ONCE:.*]] = mp.map
// CHECK: mp.exp
// CHECK: mp.map %[[ONCE]]
// CHECK: mp.map %[[ONCE]]
// CHECK-NOT: mp.exp
mp.model @read_twice devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 0 : i64} : !row -> !row
    %b = mp.neg %a {mp.device = 0 : i64} : !row -> !row
    %c = mp.sin %a {mp.device = 0 : i64} : !row -> !row
    mp.return %b, %c : !row, !row
  }
}

// Tests that loops of two devices stay two.
// CHECK-LABEL: mp.model @two_devices
// CHECK: mp.map {{.*}} {mp.device = 0 : i64}
// CHECK: mp.transfer
// CHECK: mp.map {{.*}} {mp.device = 1 : i64}
mp.model @two_devices devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %b = mp.neg %a1 {mp.device = 1 : i64} : !row -> !row
    mp.return %b : !row
  }
}

// Tests that a loop that is read in another order or repeated stays apart: it would be computed once an element read.
// CHECK-LABEL: mp.model @read_otherwise
// CHECK: %[[FEW:.*]] = mp.map
// CHECK: mp.map %{{.*}}, %[[FEW]] maps [array<i64: 0, 1>, array<i64: -1, 0>]
mp.model @read_otherwise devices 1 {
  mp.program @predict ["x", "b"] {
  ^bb0(%x: !row, %b: !bias):
    %a = mp.exp %b {mp.device = 0 : i64} : !bias -> !bias
    %c = mp.broadcast %a [-1, 0] {mp.device = 0 : i64} : !bias -> !row
    %y = mp.mul %x, %c {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %y : !row
  }
}
