// RUN: mp-opt %s --mp-differentiate --mp-place --mp-verify-placed | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that an adjoint lives with the operation whose adjoint it is, not with its first operand.
// CHECK-LABEL: mp.model @adjoint_with_operation
// CHECK: %[[OUTPUT_GRAD:.*]] = mp.broadcast {{.*}} {mp.device = 2 : i64}
// CHECK: mp.matmul %[[OUTPUT_GRAD]], {{.*}} transpose_a {mp.device = 1 : i64}
// CHECK: mp.gradient @w, {{.*}} {mp.device = 0 : i64}
mp.model @adjoint_with_operation {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %y = mp.matmul %x, %w transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 2 : i64} : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that a sum of gradients over uses lives with the value it is the gradient of, not with the uses.
// CHECK-LABEL: mp.model @sum_with_value
// CHECK: mp.reduce
// CHECK: %[[FIRST:.*]] = mp.mul {{.*}} {mp.device = 2 : i64} :
// CHECK: %[[SECOND:.*]] = mp.mul {{.*}} {mp.device = 1 : i64} :
// CHECK: mp.add %[[FIRST]], %[[SECOND]] {mp.device = 0 : i64, mp.sum}
mp.model @sum_with_value {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %h = mp.matmul %x, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %a = mp.mul %h, %x {mp.device = 1 : i64} : !row, !row -> !row
    %b = mp.mul %h, %x {mp.device = 2 : i64} : !row, !row -> !row
    %y = mp.add %a, %b {mp.device = 2 : i64} : !row, !row -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 2 : i64} : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that each device with a gradient has one step of the optimiser, and one without has none.
// CHECK-LABEL: mp.model @update_per_device
// CHECK-NOT: mp.update
// CHECK: mp.update "sgd" {mp.device = 0 : i64}
// CHECK-NEXT: mp.update "sgd" {mp.device = 2 : i64}
// CHECK-NEXT: mp.return
mp.model @update_per_device {
  mp.parameter @v : !weight init zeros []
  mp.parameter @w : !weight init zeros []
  mp.parameter @u : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %v = mp.read @v {mp.device = 2 : i64} : !weight
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %u = mp.read @u {mp.device = 2 : i64} : !weight
    %a = mp.matmul %x, %v transpose_b {mp.device = 2 : i64} : !row, !weight -> !row
    %b = mp.matmul %a, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %c = mp.matmul %b, %u transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %c [0, 1] {mp.device = 1 : i64} : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that a gradient is handed over where its parameter lives, also where an earlier call of the layer is of no use.
// CHECK-LABEL: mp.model @unused_call
// CHECK: mp.gradient @w, {{.*}} {mp.device = 2 : i64}
// CHECK-NEXT: mp.update "sgd" {mp.device = 2 : i64}
mp.model @unused_call {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %unused = mp.read @w {mp.device = 2 : i64} : !weight
    %w = mp.read @w {mp.device = 2 : i64} : !weight
    %y = mp.matmul %x, %w transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 1 : i64} : !row -> !scalar
    mp.return %l : !scalar
  }
}
