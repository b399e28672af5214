// RUN: mp-opt %s --mp-differentiate | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!low = tensor<?x4xbf16, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!lowweight = tensor<4x4xbf16, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>
!head = tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
!each = tensor<?x3xf32, #mp.dims<batch, 3>>
!table = tensor<3x4xf32, #mp.dims<3, 4>>

// Tests that the adjoints of a product in bf16 are products in bf16 of the rounded adjoint, that they are f32, and that the
// adjoint of the rounding is the identity.
// CHECK: %[[W:.*]] = mp.read @w
// CHECK: %[[LW:.*]] = mp.cast %[[W]]
// CHECK: %[[LX:.*]] = mp.cast %{{.*}} -> tensor<?x4xbf16
// CHECK: mp.matmul %[[LX]], %[[LW]] transpose_b
// CHECK: %[[G:.*]] = mp.broadcast
// CHECK: %[[LG:.*]] = mp.cast %[[G]] {{.*}} -> tensor<?x4xbf16
// CHECK: %[[GW:.*]] = mp.matmul %[[LG]], %[[LX]] transpose_a {{.*}} -> tensor<4x4xf32
// CHECK-NEXT: mp.gradient @w, %[[GW]]
mp.model @rounded {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w : !weight
    %lw = mp.cast %w : !weight -> !lowweight
    %lx = mp.cast %x : !row -> !low
    %y = mp.matmul %lx, %lw transpose_b : !low, !lowweight -> !row
    %l = mp.reduce sum %y [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that the gradient of attention rounds as attention does, and that of bf16 the loss is not scaled.
// CHECK-LABEL: mp.model @attends
// CHECK-NOT: mp.loss_scale
// CHECK: mp.attention_gradient {{.*}} causal rounding bf16 {
mp.model @attends {
  mp.parameter @w : !table init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !head):
    %w = mp.read @w : !table
    %k = mp.broadcast %w [-1, 0, 1] : !table -> !head
    %y, %sums = mp.attention %x, %k, %k causal rounding bf16 : (!head, !head, !head) -> (!head, !each)
    %l = mp.reduce sum %y [0, 1, 2] : !head -> !scalar
    mp.return %l : !scalar
  }
}
