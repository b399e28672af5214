// RUN: mp-opt %s --mp-fuse --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!indices = tensor<?x4xi32, #mp.dims<batch, 4>>
!turned = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that a number computed from constants alone is computed in each loop that reads it, however many there are.
// CHECK-LABEL: mp.model @uniform
// CHECK-COUNT-2: mp.map %{{.*}} maps [array<i64: 0, 1>]
// CHECK-NOT: mp.map
mp.model @uniform devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %one = mp.constant 1.0 : f64 : !scalar
    %n = mp.extent 4 rows : !scalar
    %r = mp.div %one, %n {mp.device = 0 : i64} : !scalar, !scalar -> !scalar
    %c = mp.broadcast %r [-1, -1] {mp.device = 0 : i64} : !scalar -> !row
    %a = mp.mul %x, %c {mp.device = 0 : i64} : !row, !row -> !row
    %b = mp.sub %x, %c {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %a, %b : !row, !row
  }
}

// Tests that a mask is drawn in the body of the loop that reads it element by element.
// CHECK-LABEL: mp.model @mask
// CHECK: mp.map %{{.*}} maps [array<i64: 0, 1>]
// CHECK: mp.dropout_mask 5.000000e-01 of "drop" call 0 : f32
mp.model @mask devices 1 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %m = mp.dropout_mask 5.0e-1 of "drop" call 0 : !row
    %y = mp.mul %x, %m {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %y : !row
  }
}

// Tests that a mask that is read in another order lies in memory: its numbers are keyed by its own index.
// CHECK-LABEL: mp.model @mask_broadcast
// CHECK: %[[MASK:.*]] = mp.map maps [] {{.*}}-> tensor<4xf32
// CHECK: mp.dropout_mask
// CHECK: mp.map %{{.*}}, %[[MASK]] maps [array<i64: 0, 1>, array<i64: -1, 0>]
mp.model @mask_broadcast devices 1 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %m = mp.dropout_mask 5.0e-1 of "drop" call 0 : tensor<4xf32, #mp.dims<4>>
    %c = mp.broadcast %m [-1, 0] {mp.device = 0 : i64} : tensor<4xf32, #mp.dims<4>> -> !row
    %y = mp.mul %x, %c {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %y : !row
  }
}

// Tests that positions along a dimension are the loop's own, found through broadcasts.
// CHECK-LABEL: mp.model @iota
// CHECK: mp.map %{{.*}} maps [array<i64: 0, 1>]
// CHECK: mp.index 1 : i32
mp.model @iota devices 1 {
  mp.program @predict ["i"] {
  ^bb0(%i: !indices):
    %p = mp.iota 0 : tensor<4xi32, #mp.dims<4>>
    %c = mp.broadcast %p [-1, 0] {mp.device = 0 : i64} : tensor<4xi32, #mp.dims<4>> -> !indices
    %y = mp.add %i, %c {mp.device = 0 : i64} : !indices, !indices -> !indices
    mp.return %y : !indices
  }
}

// Tests that what a product reads lies in memory: constants and broadcasts are written out for it, on its device.
// CHECK-LABEL: mp.model @written_out
// CHECK: %[[ONES:.*]] = mp.map maps [] {mp.device = 1 : i64}
// CHECK: mp.matmul %{{.*}}, %[[ONES]]
mp.model @written_out devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %one = mp.constant 1.0 : f64 : !turned
    %y = mp.matmul %x, %one {mp.device = 1 : i64} : !row, !turned -> !row
    mp.return %y : !row
  }
}
