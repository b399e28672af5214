// RUN: mp-opt %s --mp-round-products | FileCheck %s
// RUN: mp-opt %s --mp-round-products --mp-differentiate | FileCheck %s --check-prefix=GRADIENTS

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!low = tensor<?x4xbf16, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!lowweight = tensor<4x4xbf16, #mp.dims<4, 4>>
!bias = tensor<4xf32, #mp.dims<4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that a product of two-byte numbers, with the bias and the ReLU that alone read it, is rounded once, the bias too, on
// their device; and that adjoints of rows are rounded where the rows were, those of parameters not: what the rounded adjoint
// of the ReLU gives is a number of two bytes, of which the sum over rows and the products are.
// CHECK-LABEL: mp.model @layer
// CHECK: %[[X:.*]] = mp.cast %arg0 {mp.device = 1 : i64, mp.rounds_adjoint}
// CHECK: %[[W:.*]] = mp.cast %{{.*}} {mp.device = 1 : i64} : {{.*}} -> tensor<4x4xbf16
// CHECK: mp.matmul %[[X]], %[[W]]
// CHECK: %[[LB:.*]] = mp.cast %{{.*}} {mp.device = 1 : i64} : {{.*}} -> tensor<4xbf16
// CHECK-NEXT: %[[B:.*]] = mp.cast %[[LB]] {mp.device = 1 : i64} : {{.*}} -> tensor<4xf32
// CHECK-NEXT: mp.broadcast %[[B]]
// CHECK-NEXT: mp.add
// CHECK-NEXT: %[[H:.*]] = mp.relu
// CHECK-NEXT: %[[R:.*]] = mp.cast %[[H]] {mp.device = 1 : i64, mp.rounds_adjoint} : {{.*}} -> tensor<?x4xbf16
// CHECK-NEXT: %[[Y:.*]] = mp.cast %[[R]] {mp.device = 1 : i64} : {{.*}} -> tensor<?x4xf32
// CHECK-NEXT: mp.exp %[[Y]]
// GRADIENTS-LABEL: mp.model @layer
// GRADIENTS: %[[R:.*]] = mp.cast %{{.*}}mp.rounds_adjoint} : {{.*}} -> tensor<?x4xbf16
// GRADIENTS: mp.exp
// GRADIENTS: %[[LG:.*]] = mp.cast %{{.*}} -> tensor<?x4xbf16
// GRADIENTS: mp.compare gt
// GRADIENTS: %[[S:.*]] = mp.select %{{.*}}, %[[LG]], %{{.*}} -> tensor<?x4xbf16
// GRADIENTS-NEXT: %[[SW:.*]] = mp.cast %[[S]] {{.*}} -> tensor<?x4xf32
// GRADIENTS-NEXT: %[[BG:.*]] = mp.reduce sum %[[SW]] [0]
// GRADIENTS: %[[WG:.*]] = mp.matmul %[[S]], %{{.*}} transpose_a {{.*}} -> tensor<4x4xf32
// GRADIENTS-NEXT: mp.gradient @b
// GRADIENTS-NEXT: mp.gradient @w, %[[WG]]
mp.model @layer {
  mp.parameter @w : !weight init zeros []
  mp.parameter @b : !bias init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 1 : i64} : !weight
    %b = mp.read @b {mp.device = 1 : i64} : !bias
    %lx = mp.cast %x {mp.device = 1 : i64} : !row -> !low
    %lw = mp.cast %w {mp.device = 1 : i64} : !weight -> !lowweight
    %m = mp.matmul %lx, %lw transpose_b {mp.device = 1 : i64} : !low, !lowweight -> !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 1 : i64} : !bias -> !row
    %s = mp.add %m, %c {mp.device = 1 : i64} : !row, !row -> !row
    %h = mp.relu %s {mp.device = 1 : i64} : !row -> !row
    %e = mp.exp %h : !row -> !row
    %l = mp.reduce sum %e [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that a sum that something else reads, a ReLU on another device, and products of f32 stay: the rounding comes first.
// CHECK-LABEL: mp.model @stays
// CHECK: %[[M:.*]] = mp.matmul {{.*}}xbf16
// CHECK-NEXT: %[[R:.*]] = mp.cast %[[M]] {{.*}} -> tensor<?x4xbf16
// CHECK-NEXT: %[[Y:.*]] = mp.cast %[[R]] {{.*}} -> tensor<?x4xf32
// CHECK-NEXT: mp.relu %[[Y]] {mp.device = 2 : i64}
// CHECK: %[[P:.*]] = mp.matmul {{.*}}xf32
// CHECK-NEXT: mp.add %[[P]]
mp.model @stays {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 1 : i64} : !weight
    %lx = mp.cast %x {mp.device = 1 : i64} : !row -> !low
    %lw = mp.cast %w {mp.device = 1 : i64} : !weight -> !lowweight
    %m = mp.matmul %lx, %lw {mp.device = 1 : i64} : !low, !lowweight -> !row
    %h = mp.relu %m {mp.device = 2 : i64} : !row -> !row
    %p = mp.matmul %h, %w {mp.device = 1 : i64} : !row, !weight -> !row
    %s = mp.add %p, %h {mp.device = 1 : i64} : !row, !row -> !row
    mp.return %s : !row
  }
}
