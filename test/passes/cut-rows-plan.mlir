// RUN: mp-opt %s --mp-cut-rows --mp-schedule --mp-plan-memory --mp-verify-calls | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that a value made before the parts keeps its place until the last part has read it, also where no part does
// anything with it later.
// CHECK-LABEL: mp.model @kept
// CHECK: mp.permute {{.*}} {mp.buffer = #mp.buffer<fixed, [[KEPT:[0-9]+]]>
// CHECK: mp.reduce sum
// CHECK-NOT: #mp.buffer<fixed, [[KEPT]]>
// CHECK: mp.return
mp.model @kept devices 1 {
  mp.program @train ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %p = mp.permute %w [1, 0] {mp.device = 0 : i64} : !weight -> !weight
    %h = mp.matmul %x, %p {mp.device = 0 : i64} : !row, !weight -> !row
    %c = mp.reduce sum %h [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %c : !scalar
  }
}

// Tests that a maximum over the batch, which is no sum, leaves a program whole, and so does a softmax along it.
// CHECK-LABEL: mp.model @no_sum
// CHECK-NOT: mp.rows_a_part
// CHECK-LABEL: mp.model @softmax
// CHECK-NOT: mp.rows_a_part
// CHECK: mp.return
mp.model @no_sum devices 1 {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %t: !row):
    %l = mp.reduce maximum %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %l : !scalar
  }
}
mp.model @softmax devices 1 {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %t: !row):
    %s = mp.softmax %x dimension 0 {mp.device = 0 : i64} : !row -> !row
    %l = mp.reduce mean %s [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %l : !scalar
  }
}
