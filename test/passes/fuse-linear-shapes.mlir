// RUN: mp-opt %s --mp-fuse --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!bias = tensor<4xf32, #mp.dims<4>>
!wide = tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
!rows = tensor<?x4xf32, #mp.dims<batch*3, 4>>
!turned = tensor<?x4x3xf32, #mp.dims<batch, 4, 3>>

// Tests that a bias and a ReLU are taken in through the reshape that tensors of higher rank are multiplied by, which
// then follows.
// CHECK-LABEL: mp.model @through_reshape
// CHECK: %[[LINEAR:.*]] = mp.linear {{.*}} relu
// CHECK-NEXT: %[[SHAPED:.*]] = mp.reshape %[[LINEAR]]
// CHECK-NEXT: mp.return %[[SHAPED]]
mp.model @through_reshape devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !wide):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %b = mp.read @b {mp.device = 0 : i64} : !bias
    %r = mp.reshape %x {mp.device = 0 : i64} : !wide -> !rows
    %m = mp.matmul %r, %w transpose_b {mp.device = 0 : i64} : !rows, !weight -> !rows
    %n = mp.reshape %m {mp.device = 0 : i64} : !rows -> !wide
    %c = mp.broadcast %b [-1, -1, 0] {mp.device = 0 : i64} : !bias -> !wide
    %s = mp.add %n, %c {mp.device = 0 : i64} : !wide, !wide -> !wide
    %y = mp.relu %s {mp.device = 0 : i64} : !wide -> !wide
    mp.return %y : !wide
  }
}

// Tests that a reshape of the last dimension, after which the bias is none of the product's, keeps them apart.
// CHECK-LABEL: mp.model @reshape_of_last_dimension
// CHECK-NOT: mp.linear
mp.model @reshape_of_last_dimension devices 1 {
  mp.program @predict ["x", "b"] {
  ^bb0(%x: !rows, %b: tensor<3xf32, #mp.dims<3>>):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %m = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !rows, !weight -> !rows
    %n = mp.reshape %m {mp.device = 0 : i64} : !rows -> !turned
    %c = mp.broadcast %b [-1, -1, 0] {mp.device = 0 : i64} : tensor<3xf32, #mp.dims<3>> -> !turned
    %s = mp.add %n, %c {mp.device = 0 : i64} : !turned, !turned -> !turned
    mp.return %s : !turned
  }
}

// Tests that a product that something else reads, too, stays apart.
// CHECK-LABEL: mp.model @product_read_twice
// CHECK: mp.matmul
// CHECK-NOT: mp.linear
mp.model @product_read_twice devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %b = mp.read @b {mp.device = 0 : i64} : !bias
    %m = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 0 : i64} : !bias -> !row
    %s = mp.add %m, %c {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %m, %s : !row, !row
  }
}

// Tests that what is added along another dimension than the last, or repeated along it, is no bias.
// CHECK-LABEL: mp.model @no_bias
// CHECK-NOT: mp.linear
mp.model @no_bias devices 1 {
  mp.program @predict ["x", "b", "one"] {
  ^bb0(%x: !weight, %b: !bias, %one: tensor<1xf32, #mp.dims<1>>):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %m = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !weight, !weight -> !weight
    %c = mp.broadcast %b [0, -1] {mp.device = 0 : i64} : !bias -> !weight
    %s = mp.add %m, %c {mp.device = 0 : i64} : !weight, !weight -> !weight
    %n = mp.matmul %s, %w transpose_b {mp.device = 0 : i64} : !weight, !weight -> !weight
    %d = mp.broadcast %one [-1, 0] {mp.device = 0 : i64} : tensor<1xf32, #mp.dims<1>> -> !weight
    %t = mp.add %n, %d {mp.device = 0 : i64} : !weight, !weight -> !weight
    mp.return %t : !weight
  }
}

// Tests that only the product x · weightᵀ is a linear layer's.
// CHECK-LABEL: mp.model @other_products
// CHECK-NOT: mp.linear
mp.model @other_products devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %b = mp.read @b {mp.device = 0 : i64} : !bias
    %m = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %c = mp.broadcast %b [-1, 0] {mp.device = 0 : i64} : !bias -> !row
    %s = mp.add %m, %c {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %s : !row
  }
}
