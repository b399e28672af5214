// RUN: mp-opt %s --mp-fuse --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!bias = tensor<4xf32, #mp.dims<4>>

// Tests that a product, its bias and a ReLU become one operation, on their device and in their layer.
// CHECK-LABEL: mp.model @linear_bias_relu
// CHECK: %[[W:.*]] = mp.read @w
// CHECK: %[[B:.*]] = mp.read @b
// CHECK-NEXT: mp.linear %{{.*}}, %[[W]] bias %[[B]] relu {mp.device = 1 : i64, mp.layer = "up"}
// CHECK-NEXT: mp.return
mp.model @linear_bias_relu devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 1 : i64} : !weight
    %b = mp.read @b {mp.device = 1 : i64} : !bias
    %m = mp.matmul %x, %w transpose_b {mp.device = 1 : i64, mp.layer = "up"} : !row, !weight -> !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 1 : i64} : !bias -> !row
    %s = mp.add %m, %c {mp.device = 1 : i64} : !row, !row -> !row
    %y = mp.relu %s {mp.device = 1 : i64} : !row -> !row
    mp.return %y : !row
  }
}

// Tests that the bias may be the first of the two operands.
// CHECK-LABEL: mp.model @bias_first
// CHECK: mp.linear {{.*}} bias {{.*}} none
// CHECK-NOT: mp.map
mp.model @bias_first devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %b = mp.read @b {mp.device = 0 : i64} : !bias
    %m = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 0 : i64} : !bias -> !row
    %s = mp.add %c, %m {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %s : !row
  }
}

// Tests that a ReLU on another device stays there.
// CHECK-LABEL: mp.model @relu_on_another_device
// CHECK: mp.linear {{.*}} none {mp.device = 0 : i64}
// CHECK: mp.transfer
// CHECK: mp.map {{.*}} {mp.device = 1 : i64}
mp.model @relu_on_another_device devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %b = mp.read @b {mp.device = 0 : i64} : !bias
    %m = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 0 : i64} : !bias -> !row
    %s = mp.add %m, %c {mp.device = 0 : i64} : !row, !row -> !row
    %s1 = mp.transfer %s from 0 {mp.device = 1 : i64} : !row
    %y = mp.relu %s1 {mp.device = 1 : i64} : !row -> !row
    mp.return %y : !row
  }
}

// Tests that a bias added on another device than the product's is added there.
// CHECK-LABEL: mp.model @bias_on_another_device
// CHECK-NOT: mp.linear
// CHECK: mp.matmul {{.*}} {mp.device = 0 : i64}
mp.model @bias_on_another_device devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %b = mp.read @b {mp.device = 1 : i64} : !bias
    %m = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %m1 = mp.transfer %m from 0 {mp.device = 1 : i64} : !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 1 : i64} : !bias -> !row
    %s = mp.add %m1, %c {mp.device = 1 : i64} : !row, !row -> !row
    mp.return %s : !row
  }
}

// Tests that a ReLU stays apart where something else reads what it reads.
// CHECK-LABEL: mp.model @sum_read_twice
// CHECK: %[[SUM:.*]] = mp.linear {{.*}} none
// CHECK: mp.map %[[SUM]]
// CHECK: mp.return %[[SUM]]
mp.model @sum_read_twice devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %b = mp.read @b {mp.device = 0 : i64} : !bias
    %m = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 0 : i64} : !bias -> !row
    %s = mp.add %m, %c {mp.device = 0 : i64} : !row, !row -> !row
    %y = mp.relu %s {mp.device = 0 : i64} : !row -> !row
    mp.return %s, %y : !row, !row
  }
}
