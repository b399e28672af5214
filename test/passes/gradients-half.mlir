// RUN: mp-opt %s --mp-differentiate --mp-clip-gradients | FileCheck %s
// RUN: mp-opt %s --mp-differentiate --mp-clip-gradients --mp-place --mp-insert-transfers --mp-elide-transfers --mp-verify-transferred | FileCheck %s --check-prefix=PLACED

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!half = tensor<?x4xf16, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!halfweight = tensor<4x4xf16, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>
!head = tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
!each = tensor<?x3xf32, #mp.dims<batch, 3>>
!table = tensor<3x4xf32, #mp.dims<3, 4>>

// Tests that where an adjoint is rounded to f16 the adjoint of the loss is its scale, that one number takes the scale back
// and clips, and that every device's update may be skipped for it.
// CHECK-LABEL: mp.model @scaled
// CHECK: %[[ONE:.*]] = mp.loss_scale
// CHECK-NOT: mp.constant
// CHECK: %[[G:.*]] = mp.broadcast %[[ONE]]
// CHECK: mp.cast %{{.*}} -> tensor<?x4xf16
// CHECK: %[[NORM:.*]] = mp.squared_norm %{{[0-9]+}}, %{{[0-9]+}}
// CHECK: %[[SCALE:.*]] = mp.unscale %[[NORM]] to 5.000000e-01 : tensor<f32, #mp.dims<>>
// CHECK: mp.update "sgd" scale %[[SCALE]] : tensor<f32, #mp.dims<>> skipping

// The scale lives with the loss, what takes it back with the last gradient.
// PLACED-LABEL: mp.model @scaled
// PLACED: mp.loss_scale {mp.device = 0 : i64
// PLACED: %[[SCALE:.*]] = mp.unscale %{{.*}} to 5.000000e-01 {mp.device = 0 : i64}
// PLACED: mp.update "sgd" scale %[[SCALE]] : {{.*}} skipping {mp.device = 0 : i64}
// PLACED: %[[SCALE_ON_1:.*]] = mp.transfer %[[SCALE]] from 0 {mp.device = 1 : i64}
// PLACED: mp.update "sgd" scale %[[SCALE_ON_1]] : {{.*}} skipping {mp.device = 1 : i64}
mp.model @scaled {
  mp.parameter @v : !weight init zeros []
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {clip_norm = 0.5} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %v = mp.read @v {mp.device = 1 : i64} : !weight
    %h = mp.matmul %x, %v transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %hw = mp.cast %w {mp.device = 0 : i64} : !weight -> !halfweight
    %hh = mp.cast %h {mp.device = 0 : i64} : !row -> !half
    %y = mp.matmul %hh, %hw transpose_b {mp.device = 0 : i64} : !half, !halfweight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that without `clip_norm` the norm is taken all the same, as it says whether all gradients are finite.
// CHECK-LABEL: mp.model @unclipped
// CHECK: mp.loss_scale
// CHECK: %[[NORM:.*]] = mp.squared_norm
// CHECK: %[[SCALE:.*]] = mp.unscale %[[NORM]] : tensor<f32, #mp.dims<>>
// CHECK: mp.update "sgd" scale %[[SCALE]] : tensor<f32, #mp.dims<>> skipping
mp.model @unclipped {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w : !weight
    %hw = mp.cast %w : !weight -> !halfweight
    %hx = mp.cast %x : !row -> !half
    %y = mp.matmul %hx, %hw transpose_b : !half, !halfweight -> !row
    %l = mp.reduce sum %y [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that f16 in which no adjoint is rounded (values that are only stored so) leaves the loss as it is.
// CHECK-LABEL: mp.model @stored
// CHECK-NOT: mp.loss_scale
// CHECK: mp.update "sgd"{{$}}
mp.model @stored {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w : !weight
    %h = mp.matmul %x, %w transpose_b : !row, !weight -> !row
    %s = mp.cast %h : !row -> !half
    %y = mp.cast %s : !half -> !row
    %l = mp.reduce sum %y [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that the loss is scaled where attention alone rounds adjoints to f16.
// CHECK-LABEL: mp.model @attends
// CHECK: mp.loss_scale
// CHECK: mp.attention_gradient {{.*}} rounding f16 {
// CHECK: mp.unscale
mp.model @attends {
  mp.parameter @w : !table init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !head):
    %w = mp.read @w : !table
    %k = mp.broadcast %w [-1, 0, 1] : !table -> !head
    %y, %sums = mp.attention %x, %k, %k rounding f16 : (!head, !head, !head) -> (!head, !each)
    %l = mp.reduce sum %y [0, 1, 2] : !head -> !scalar
    mp.return %l : !scalar
  }
}
