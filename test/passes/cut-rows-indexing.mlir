// RUN: mp-opt %s --mp-cut-rows | FileCheck %s

!ids = tensor<?x2xi32, #mp.dims<batch, 2>>
!table = tensor<5x3xf32, #mp.dims<5, 3>>
!rows = tensor<?x2x3xf32, #mp.dims<batch, 2, 3>>
!losses = tensor<?x2xf32, #mp.dims<batch, 2>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that rows of a table and the losses of classes are a row's own, and that what a table's rows sum up is a sum over
// the parts of the batch.
// CHECK-LABEL: mp.model @lookup
// CHECK: mp.program @train {{.*}}mp.rows_a_part = 64
// CHECK: mp.read @table {{.*}}mp.when = "before"
// CHECK: mp.gather
// CHECK-NOT: mp.when
// CHECK: mp.cross_entropy
// CHECK-NOT: mp.when
// CHECK: mp.cross_entropy_gradient
// CHECK-NOT: mp.when
// CHECK: mp.scatter_add {{.*}}mp.accumulate
// CHECK: mp.gradient @table, {{.*}}mp.when = "after"
mp.model @lookup devices 1 {
  mp.program @train ["ids", "target"] {
  ^bb0(%ids: !ids, %target: !ids):
    %table = mp.read @table {mp.device = 0 : i64} : !table
    %h = mp.gather %table, %ids {mp.device = 0 : i64} : !table, !ids -> !rows
    %l = mp.cross_entropy %h, %target {mp.device = 0 : i64} : !rows, !ids -> !losses
    %loss = mp.reduce sum %l [0, 1] {mp.device = 0 : i64} : !losses -> !scalar
    %dh = mp.cross_entropy_gradient %h, %target, %l {mp.device = 0 : i64} : !rows, !ids, !losses -> !rows
    %gradient = mp.scatter_add %ids, %dh {mp.device = 0 : i64} : !ids, !rows -> !table
    mp.gradient @table, %gradient {mp.device = 0 : i64} : !table
    mp.return %loss : !scalar
  }
}
