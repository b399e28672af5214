// RUN: mp-opt %s --mp-differentiate --mp-recompute | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>
!row1 = tensor<4xf32, #mp.dims<4>>

// Tests that what only the part's own adjoints read is computed again before the first of them, from what enters the part,
// and that the copy is tied to what it repeats.
// CHECK-LABEL: mp.model @part
// CHECK: %[[W:.*]] = mp.read @w
// CHECK: %[[E:.*]] = mp.exp %[[X:.*]] {mp.id
// CHECK-NEXT: %[[T:.*]] = mp.tanh %[[E]]
// CHECK-NEXT: %[[Y:.*]] = mp.matmul %[[T]], %[[W]] transpose_b
// CHECK-NEXT: mp.reduce sum %[[Y]]
// CHECK: %[[E2:.*]] = mp.exp %[[X]] {mp.of = [[EXP:.*]] : i64, mp.recomputed}
// CHECK-NEXT: %[[T2:.*]] = mp.tanh %[[E2]] {mp.of = {{.*}}, mp.recomputed}
// CHECK-NEXT: mp.matmul %{{.*}}, %[[T2]] transpose_a
mp.model @part {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w : !weight
    %e = mp.exp %x {mp.recompute = 1 : i64} : !row -> !row
    %t = mp.tanh %e {mp.recompute = 1 : i64} : !row -> !row
    %y = mp.matmul %t, %w transpose_b {mp.recompute = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that what another operation's adjoint reads is kept, and serves the part's own adjoints too; and that the later of
// two parts reads what the earlier one gives, which is kept.
// CHECK-LABEL: mp.model @two_parts
// CHECK: %[[A:.*]] = mp.exp
// CHECK-NEXT: %[[B:.*]] = mp.sigmoid %[[A]]
// CHECK-NEXT: %[[C:.*]] = mp.tanh %[[B]]
// CHECK-NEXT: %[[D:.*]] = mp.sin %[[C]]
// CHECK-NEXT: mp.reduce sum %[[D]]
// CHECK: %[[C2:.*]] = mp.tanh %[[B]] {{.*}}mp.recomputed
// CHECK: mp.cos %[[C2]]
// CHECK: %[[A2:.*]] = mp.exp %{{.*}} {{.*}}mp.recomputed
// CHECK-NOT: mp.sigmoid
// CHECK: mp.mul %{{.*}}, %[[A2]]
mp.model @two_parts {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train [] {
    %w = mp.read @w : !weight
    %a = mp.exp %w {mp.recompute = 1 : i64} : !weight -> !weight
    %b = mp.sigmoid %a {mp.recompute = 1 : i64} : !weight -> !weight
    %c = mp.tanh %b {mp.recompute = 2 : i64} : !weight -> !weight
    %d = mp.sin %c {mp.recompute = 2 : i64} : !weight -> !weight
    %l = mp.reduce sum %d [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that neither parameters nor masks are made again, and that no part is left marked.
// CHECK-LABEL: mp.model @sources
// CHECK: %[[W:.*]] = mp.read @w
// CHECK: %[[M:.*]] = mp.dropout_mask
// CHECK-NOT: mp.dropout_mask
// CHECK-NOT: mp.read
// CHECK-NOT: mp.recompute =
// CHECK: mp.return
mp.model @sources {
  mp.parameter @w : !row1 init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.recompute = 1 : i64} : !row1
    %m = mp.dropout_mask 5.0e-1 of "drop" call 0 {mp.recompute = 1 : i64} : !row
    %b = mp.broadcast %w [-1, 0] {mp.recompute = 1 : i64} : !row1 -> !row
    %d = mp.mul %b, %m {mp.recompute = 1 : i64} : !row, !row -> !row
    %y = mp.mul %d, %d {mp.recompute = 1 : i64} : !row, !row -> !row
    %l = mp.reduce sum %y [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}
