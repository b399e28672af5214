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

// Tests that the schedule of the learning rate, and a parameter that does not decay, read back as they print.
// CHECK-LABEL: mp.model @schedule
// CHECK: mp.parameter @b : {{.*}} init zeros [] {undecayed}
// CHECK: test_data {} lr_schedule {every = 10 : i64, kind = "step"}
mp.model @schedule {
  mp.parameter @b : !weight init zeros [] {undecayed}
  mp.training optimizer "sgd" {lr = 0.1} loss "mse" epochs 3 batch 8 shuffle false seed 7 classes 0 data {} test_data {}
    lr_schedule {kind = "step", every = 10 : i64}
}

// Tests that the norm of gradients, its scale and an update that reads it read back as they print.
// CHECK-LABEL: mp.model @clipping
// CHECK: %[[ONE:.*]] = mp.squared_norm %{{.*}} : (tensor<4x4xf32, #mp.dims<out=4, in=4>>) -> tensor<f32, #mp.dims<>>
// CHECK: %[[TWO:.*]] = mp.squared_norm %{{.*}}, %[[ONE]] : (tensor<4x4xf32, #mp.dims<out=4, in=4>>, tensor<f32, #mp.dims<>>) -> tensor<f32, #mp.dims<>>
// CHECK: %[[SCALE:.*]] = mp.clip_scale %[[TWO]] to 2.500000e-01 : tensor<f32, #mp.dims<>>
// CHECK: mp.update "adam" scale %[[SCALE]] : tensor<f32, #mp.dims<>> {mp.device = 1 : i64}
mp.model @clipping {
  mp.parameter @w : !weight init zeros []
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w : !weight
    %one = mp.squared_norm %w : (!weight) -> tensor<f32, #mp.dims<>>
    %two = mp.squared_norm %w, %one : (!weight, tensor<f32, #mp.dims<>>) -> tensor<f32, #mp.dims<>>
    %scale = mp.clip_scale %two to 0.25 : tensor<f32, #mp.dims<>>
    mp.update "adam" scale %scale : tensor<f32, #mp.dims<>> {mp.device = 1 : i64}
    mp.return %x : !row
  }
}

// Tests that the scale of the loss, what takes it back, with and without clipping, and an update that may be skipped read
// back as they print.
// CHECK-LABEL: mp.model @scaling
// CHECK: %[[SCALE:.*]] = mp.loss_scale : tensor<f32, #mp.dims<>>
// CHECK: mp.unscale %[[SCALE]] : tensor<f32, #mp.dims<>>
// CHECK: %[[BOTH:.*]] = mp.unscale %[[SCALE]] to 2.500000e-01 : tensor<f32, #mp.dims<>>
// CHECK: mp.update "adam" scale %[[BOTH]] : tensor<f32, #mp.dims<>> skipping {mp.device = 1 : i64}
mp.model @scaling {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %scale = mp.loss_scale : tensor<f32, #mp.dims<>>
    %plain = mp.unscale %scale : tensor<f32, #mp.dims<>>
    %both = mp.unscale %scale to 0.25 : tensor<f32, #mp.dims<>>
    mp.update "adam" scale %both : tensor<f32, #mp.dims<>> skipping {mp.device = 1 : i64}
    mp.return %x : !row
  }
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
