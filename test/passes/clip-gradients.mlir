// RUN: mp-opt %s --mp-differentiate --mp-clip-gradients | FileCheck %s
// RUN: mp-opt %s --mp-differentiate --mp-clip-gradients --mp-place --mp-insert-transfers --mp-elide-transfers --mp-verify-transferred | FileCheck %s --check-prefix=PLACED

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that squared norms are added in the order in which parameters are declared, not in that of their gradients, each
// where its gradient is, and that every device's update reads the scale.
// CHECK-LABEL: mp.model @clipped
// CHECK: mp.gradient @w, %[[W_GRAD:.*]] {
// CHECK: mp.gradient @v, %[[V_GRAD:.*]] {
// CHECK: %[[V:.*]] = mp.squared_norm %[[V_GRAD]] {{.*}} : (tensor<4x4xf32, {{.*}}>) -> tensor<f32, #mp.dims<>>
// CHECK: %[[BOTH:.*]] = mp.squared_norm %[[W_GRAD]], %[[V]] {{.*}} : (tensor<4x4xf32, {{.*}}>, tensor<f32, #mp.dims<>>) -> tensor<f32, #mp.dims<>>
// CHECK: %[[SCALE:.*]] = mp.clip_scale %[[BOTH]] to 5.000000e-01 : tensor<f32, #mp.dims<>>
// CHECK: mp.update "sgd" scale %[[SCALE]] : tensor<f32, #mp.dims<>>

// PLACED-LABEL: mp.model @clipped
// PLACED: %[[V:.*]] = mp.squared_norm %{{[0-9]+}} {mp.device = 1 : i64}
// PLACED: %[[V_ON_0:.*]] = mp.transfer %[[V]] from 1 {mp.device = 0 : i64}
// PLACED: %[[BOTH:.*]] = mp.squared_norm %{{[0-9]+}}, %[[V_ON_0]] {mp.device = 0 : i64}
// PLACED: %[[SCALE:.*]] = mp.clip_scale %[[BOTH]] to 5.000000e-01 {mp.device = 0 : i64}
// PLACED: mp.update "sgd" scale %[[SCALE]] : {{.*}} {mp.device = 0 : i64}
// PLACED: %[[SCALE_ON_1:.*]] = mp.transfer %[[SCALE]] from 0 {mp.device = 1 : i64}
// PLACED: mp.update "sgd" scale %[[SCALE_ON_1]] : {{.*}} {mp.device = 1 : i64}
mp.model @clipped {
  mp.parameter @v : !weight init zeros []
  mp.parameter @unused : !weight init zeros []
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {clip_norm = 0.5} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %v = mp.read @v {mp.device = 1 : i64} : !weight
    %h = mp.matmul %x, %v transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %y = mp.matmul %h, %w transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that without `clip_norm` nothing changes.
// CHECK-LABEL: mp.model @unclipped
// CHECK-NOT: mp.squared_norm
// CHECK: mp.update "sgd"{{$}}
mp.model @unclipped {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w : !weight
    %y = mp.matmul %x, %w transpose_b : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that where the loss depends on a parameter and no gradient reaches it nothing is clipped.
// CHECK-LABEL: mp.model @detached
// CHECK-NOT: mp.clip_scale
// CHECK: mp.update "sgd"{{$}}
mp.model @detached {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {clip_norm = 0.5} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w : !weight
    %y = mp.matmul %x, %w transpose_b : !row, !weight -> !row
    %d = mp.detach %y : !row -> !row
    %l = mp.reduce sum %d [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that where nothing is trained nothing is clipped.
// CHECK-LABEL: mp.model @untrained
// CHECK-NOT: mp.clip_scale
mp.model @untrained {
  mp.training optimizer "sgd" {clip_norm = 0.5} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %l = mp.reduce sum %x [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}
