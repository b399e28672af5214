// RUN: mp-opt %s | mp-opt | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!column = tensor<4x?xf32, #mp.dims<4, batch>>
!weight = tensor<8x4xf32, #mp.dims<8, 4>>
!turned = tensor<4x8xf32, #mp.dims<4, 8>>
!wide = tensor<?x8xf32, #mp.dims<batch, 8>>

// Tests that products of plain and transposed operands read back as they print.
// CHECK-LABEL: mp.model @products
// CHECK: mp.matmul %{{.*}}, %{{[^ ]*}} : tensor
// CHECK: mp.matmul %{{.*}}, %{{.*}} transpose_b : tensor
// CHECK: mp.matmul %{{.*}}, %{{.*}} transpose_a : tensor
// CHECK: mp.matmul %{{.*}}, %{{.*}} transpose_a transpose_b : tensor
mp.model @products {
  mp.program @predict ["x", "c", "w", "t"] {
  ^bb0(%x: !row, %c: !column, %w: !weight, %t: !turned):
    %a = mp.matmul %x, %t : !row, !turned -> !wide
    %b = mp.matmul %x, %w transpose_b : !row, !weight -> !wide
    %d = mp.matmul %c, %t transpose_a : !column, !turned -> !wide
    %e = mp.matmul %c, %w transpose_a transpose_b : !column, !weight -> !wide
    mp.return %e : !wide
  }
}

// Tests that reductions of each kind, and what works along a dimension, read back as they print.
// CHECK-LABEL: mp.model @reductions
// CHECK: mp.reduce sum %{{.*}} [0, 1] : tensor
// CHECK: mp.reduce mean %{{.*}} [0] : tensor
// CHECK: mp.reduce maximum %{{.*}} [1] : tensor
// CHECK: mp.reduce minimum %{{.*}} [] : tensor
// CHECK: mp.softmax %{{.*}} dimension 1 : tensor
// CHECK: mp.log_softmax %{{.*}} dimension 1 : tensor
// CHECK: mp.argmax %{{.*}} dimension 1 : tensor
mp.model @reductions {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.reduce sum %x [0, 1] : !row -> tensor<f32, #mp.dims<>>
    %b = mp.reduce mean %x [0] : !row -> tensor<4xf32, #mp.dims<4>>
    %c = mp.reduce maximum %x [1] : !row -> tensor<?xf32, #mp.dims<batch>>
    %d = mp.reduce minimum %x [] : !row -> !row
    %e = mp.softmax %x dimension 1 : !row -> !row
    %f = mp.log_softmax %x dimension 1 : !row -> !row
    %g = mp.argmax %x dimension 1 : !row -> tensor<?xi32, #mp.dims<batch>>
    mp.return %e : !row
  }
}
