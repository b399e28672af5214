// RUN: mp-opt %s --mp-fuse --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!low = tensor<?x4xbf16, #mp.dims<batch, 4>>
!lowweight = tensor<4x4xbf16, #mp.dims<4, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!bias = tensor<4xf32, #mp.dims<4>>
!lowbias = tensor<4xbf16, #mp.dims<4>>
!ids = tensor<?xi32, #mp.dims<batch>>
!losses = tensor<?xf32, #mp.dims<batch>>

// Tests that a product whose result is rounded gives it rounded, with a bias that was, and that the next product reads that;
// loops widen it themselves, however many they are; the sum over rows reads it as it is.
// CHECK-LABEL: mp.model @layers
// CHECK: %[[B:.*]] = mp.map {{.*}}-> tensor<4xbf16
// CHECK: %[[H:.*]] = mp.linear %{{.*}} bias %[[B]] relu {{.*}} -> tensor<?x4xbf16
// CHECK-NEXT: %[[M:.*]] = mp.matmul %[[H]], %{{.*}} -> tensor<?x4xbf16
// CHECK-NEXT: mp.map %[[M]] {{.*}} : (tensor<?x4xbf16{{.*}}) -> tensor<?x4xf32
// CHECK: mp.map %[[M]], %{{.*}} : (tensor<?x4xbf16{{.*}}) -> tensor<?x4xf32
// CHECK: mp.reduce sum %[[M]] [0] {{.*}} : tensor<?x4xbf16{{.*}} -> tensor<4xf32
mp.model @layers devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !low):
    %b = mp.read @b {mp.device = 0 : i64} : !bias
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %lw = mp.cast %w {mp.device = 0 : i64} : !weight -> !lowweight
    %lb = mp.cast %b {mp.device = 0 : i64} : !bias -> !lowbias
    %wb = mp.cast %lb {mp.device = 0 : i64} : !lowbias -> !bias
    %p = mp.matmul %x, %lw transpose_b {mp.device = 0 : i64} : !low, !lowweight -> !row
    %c = mp.broadcast %wb [-1, 0] {mp.device = 0 : i64} : !bias -> !row
    %s = mp.add %p, %c {mp.device = 0 : i64} : !row, !row -> !row
    %r = mp.relu %s {mp.device = 0 : i64} : !row -> !row
    %lr = mp.cast %r {mp.device = 0 : i64} : !row -> !low
    %wr = mp.cast %lr {mp.device = 0 : i64} : !low -> !row
    %again = mp.cast %wr {mp.device = 0 : i64} : !row -> !low
    %q = mp.matmul %again, %lw {mp.device = 0 : i64} : !low, !lowweight -> !row
    %lq = mp.cast %q {mp.device = 0 : i64} : !row -> !low
    %wq = mp.cast %lq {mp.device = 0 : i64} : !low -> !row
    %e = mp.exp %wq {mp.device = 0 : i64} : !row -> !row
    %sums = mp.reduce sum %e [0] {mp.device = 0 : i64} : !row -> !bias
    %f = mp.add %wq, %e {mp.device = 0 : i64} : !row, !row -> !row
    %t = mp.reduce sum %wq [0] {mp.device = 0 : i64} : !row -> !bias
    mp.return %f, %t, %sums : !row, !bias, !bias
  }
}

// Tests that f32 stays where the bias was not rounded, and where something else reads what is rounded.
// CHECK-LABEL: mp.model @stays
// CHECK: mp.linear {{.*}} none {{.*}} -> tensor<?x4xf32
// CHECK: mp.matmul {{.*}} -> tensor<?x4xf32
mp.model @stays devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !low):
    %b = mp.read @b {mp.device = 0 : i64} : !bias
    %w = mp.read @w {mp.device = 0 : i64} : !lowweight
    %p = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !low, !lowweight -> !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 0 : i64} : !bias -> !row
    %s = mp.add %p, %c {mp.device = 0 : i64} : !row, !row -> !row
    %ls = mp.cast %s {mp.device = 0 : i64} : !row -> !low
    %q = mp.matmul %ls, %w {mp.device = 0 : i64} : !low, !lowweight -> !row
    %lq = mp.cast %q {mp.device = 0 : i64} : !row -> !low
    %t = mp.reduce sum %q [0] {mp.device = 0 : i64} : !row -> !bias
    mp.return %lq, %t : !low, !bias
  }
}

// Tests that losses of classes and their gradient read scores of two bytes, and that the gradient is given so.
// CHECK-LABEL: mp.model @classes
// CHECK: mp.cross_entropy %arg0, %arg1 {{.*}} : tensor<?x4xbf16
// CHECK-NEXT: mp.cross_entropy_gradient %arg0, %arg1, %{{.*}} -> tensor<?x4xbf16
mp.model @classes devices 1 {
  mp.program @predict ["x", "target"] {
  ^bb0(%x: !low, %target: !ids):
    %wx = mp.cast %x {mp.device = 0 : i64} : !low -> !row
    %y = mp.cross_entropy %wx, %target {mp.device = 0 : i64} : !row, !ids -> !losses
    %g = mp.cross_entropy_gradient %wx, %target, %y {mp.device = 0 : i64} : !row, !ids, !losses -> !row
    %lg = mp.cast %g {mp.device = 0 : i64} : !row -> !low
    mp.return %lg : !low
  }
}
