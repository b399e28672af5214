// RUN: mp-opt %s --mp-differentiate --mp-place --mp-insert-transfers --mp-elide-transfers --mp-verify-transferred \
// RUN:   | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that eight layers on four devices, two a device, take three hops forward and three backward: activations down
// the line, gradients up it, and nothing else.
// CHECK-LABEL: mp.model @article
// CHECK: mp.transfer {{.*}} from 0 {mp.device = 1 : i64
// CHECK: mp.transfer {{.*}} from 1 {mp.device = 2 : i64
// CHECK: mp.transfer {{.*}} from 2 {mp.device = 3 : i64
// CHECK-NOT: mp.transfer
// CHECK: mp.reduce mean
// CHECK-NOT: mp.transfer
// CHECK: mp.transfer {{.*}} from 3 {mp.device = 2 : i64
// CHECK: mp.transfer {{.*}} from 2 {mp.device = 1 : i64
// CHECK: mp.transfer {{.*}} from 1 {mp.device = 0 : i64
// CHECK-NOT: mp.transfer
mp.model @article {
  mp.parameter @layer1.weight : !weight init zeros []
  mp.parameter @layer2.weight : !weight init zeros []
  mp.parameter @layer3.weight : !weight init zeros []
  mp.parameter @layer4.weight : !weight init zeros []
  mp.parameter @layer5.weight : !weight init zeros []
  mp.parameter @layer6.weight : !weight init zeros []
  mp.parameter @layer7.weight : !weight init zeros []
  mp.parameter @layer8.weight : !weight init zeros []
  mp.training optimizer "adam" {} loss "mse" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %t: !row):
    %w1 = mp.read @layer1.weight {mp.device = 0 : i64} : !weight
    %p1 = mp.matmul %x, %w1 transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %h1 = mp.relu %p1 : !row -> !row
    %w2 = mp.read @layer2.weight {mp.device = 0 : i64} : !weight
    %p2 = mp.matmul %h1, %w2 transpose_b {mp.device = 0 : i64} : !row, !weight -> !row
    %h2 = mp.relu %p2 : !row -> !row
    %w3 = mp.read @layer3.weight {mp.device = 1 : i64} : !weight
    %p3 = mp.matmul %h2, %w3 transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %h3 = mp.relu %p3 : !row -> !row
    %w4 = mp.read @layer4.weight {mp.device = 1 : i64} : !weight
    %p4 = mp.matmul %h3, %w4 transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %h4 = mp.relu %p4 : !row -> !row
    %w5 = mp.read @layer5.weight {mp.device = 2 : i64} : !weight
    %p5 = mp.matmul %h4, %w5 transpose_b {mp.device = 2 : i64} : !row, !weight -> !row
    %h5 = mp.relu %p5 : !row -> !row
    %w6 = mp.read @layer6.weight {mp.device = 2 : i64} : !weight
    %p6 = mp.matmul %h5, %w6 transpose_b {mp.device = 2 : i64} : !row, !weight -> !row
    %h6 = mp.relu %p6 : !row -> !row
    %w7 = mp.read @layer7.weight {mp.device = 3 : i64} : !weight
    %p7 = mp.matmul %h6, %w7 transpose_b {mp.device = 3 : i64} : !row, !weight -> !row
    %h7 = mp.relu %p7 : !row -> !row
    %w8 = mp.read @layer8.weight {mp.device = 3 : i64} : !weight
    %p8 = mp.matmul %h7, %w8 transpose_b {mp.device = 3 : i64} : !row, !weight -> !row
    %d = mp.sub %p8, %t {mp.layer = "loss"} : !row, !row -> !row
    %q = mp.mul %d, %d {mp.layer = "loss"} : !row, !row -> !row
    %l = mp.reduce mean %q [0, 1] {mp.layer = "loss"} : !row -> !scalar
    mp.return %l : !scalar
  }
}
