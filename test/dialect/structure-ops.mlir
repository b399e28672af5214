// RUN: mp-opt %s | mp-opt | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<out=4, in=4>>

// Tests that a model with its devices, layers, parameters and training reads back as it prints.
// CHECK-LABEL: mp.model @declarations devices 2 {
// CHECK-NEXT: mp.layer "up" declared "up = Linear(4, 4)"
// CHECK-NEXT: mp.parameter @up.weight : tensor<4x4xf32, #mp.dims<out=4, in=4>> init kaiming_uniform [4.000000e+00] {mp.device = 1 : i64}
// CHECK-NEXT: mp.training optimizer "sgd" {lr = 1.000000e-01 : f64} loss "mse" epochs 3 batch 8 shuffle false seed 7 classes 0 data {kind = "csv", path = "d.csv"} test_data {}
mp.model @declarations devices 2 {
  mp.layer "up" declared "up = Linear(4, 4)"
  mp.parameter @up.weight : !weight init kaiming_uniform [4.0] {mp.device = 1 : i64}
  mp.training optimizer "sgd" {lr = 0.1} loss "mse" epochs 3 batch 8 shuffle false seed 7 classes 0
    data {kind = "csv", path = "d.csv"} test_data {}
}

// Tests that each kind of initialiser reads back as it prints.
// CHECK-LABEL: mp.model @initializers
// CHECK: init zeros []
// CHECK: init ones []
// CHECK: init constant [5.000000e-01]
// CHECK: init uniform [-1.000000e+00, 1.000000e+00]
// CHECK: init normal [0.000000e+00, 2.000000e-02]
// CHECK: init kaiming_uniform [4.000000e+00]
// CHECK: init xavier_uniform [4.000000e+00, 4.000000e+00]
mp.model @initializers {
  mp.parameter @a : !weight init zeros []
  mp.parameter @b : !weight init ones []
  mp.parameter @c : !weight init constant [0.5]
  mp.parameter @d : !weight init uniform [-1.0, 1.0]
  mp.parameter @e : !weight init normal [0.0, 0.02]
  mp.parameter @f : !weight init kaiming_uniform [4.0]
  mp.parameter @g : !weight init xavier_uniform [4.0, 4.0]
}

// Tests that a program of training, with its reads, transfers, gradients and updates, reads back as it prints.
// CHECK-LABEL: mp.model @program
// CHECK: mp.parameter @b : tensor<{{.*}}> init zeros [] untrained
// CHECK: mp.program @train ["x"] {
// CHECK: %[[W:.*]] = mp.read @w {mp.device = 0 : i64} : tensor
// CHECK: %[[MOVED:.*]] = mp.transfer %[[W]] from 0 {mp.device = 1 : i64} : tensor
// CHECK: mp.gradient @w, %[[MOVED]] {mp.device = 1 : i64} : tensor
// CHECK: mp.assign @b, %{{.*}} {mp.device = 0 : i64} : tensor
// CHECK: mp.update "adam" {mp.device = 1 : i64}
// CHECK: mp.return %{{.*}}, %[[MOVED]] : tensor
mp.model @program {
  mp.parameter @w : !weight init zeros []
  mp.parameter @b : !weight init zeros [] untrained
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %w1 = mp.transfer %w from 0 {mp.device = 1 : i64} : !weight
    mp.gradient @w, %w1 {mp.device = 1 : i64} : !weight
    mp.assign @b, %w {mp.device = 0 : i64} : !weight
    mp.update "adam" {mp.device = 1 : i64}
    mp.return %x, %w1 : !row, !weight
  }
}
