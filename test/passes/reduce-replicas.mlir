// RUN: mp-opt %s --split-input-file --mp-schedule --mp-plan-memory --mp-reduce-replicas --mp-schedule-microbatches --mp-verify-turns | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that gradients and the sum of the loss are added up before anything reads them, each device's by itself, and that
// each stage waits for the same device of the other replicas: stage 5 for the three turns of rows on device 1, stage 7 for stage 5.
// CHECK-LABEL: mp.model @plain
// CHECK-SAME: replicas = 2 : i64
// CHECK: mp.program @train
// CHECK-SAME: mp.peer_waits = [array<i64: 5, 1, 3>, array<i64: 6, 0, 2>, array<i64: 7, 1, 4>, array<i64: 8, 0, 3>]
// CHECK: mp.matmul {{.*}}mp.accumulate
// CHECK: mp.reduce_scatter <gradients, 0>, 16 : f32 {mp.device = 1 {{.*}}mp.stage = 5
// CHECK: mp.reduce_scatter <fixed, {{[0-9]+}}>, 1 : f32 {mp.device = 1 {{.*}}mp.stage = 5
// CHECK: mp.reduce_scatter <gradients, 0>, 16 : f32 {mp.device = 0 {{.*}}mp.stage = 6
// CHECK: mp.all_gather <gradients, 0>, 16 : f32 {mp.device = 1 {{.*}}mp.stage = 7
// CHECK: mp.all_gather <fixed, {{[0-9]+}}>, 1 : f32 {mp.device = 1 {{.*}}mp.stage = 7
// CHECK: mp.all_gather <gradients, 0>, 16 : f32 {mp.device = 0 {{.*}}mp.stage = 8
// CHECK: mp.update {{.*}}mp.stage = 9
// CHECK: mp.update {{.*}}mp.stage = 10
mp.model @plain devices 2 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} replicas 2
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 1 : i64}
  mp.program @train ["x", "target"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %target: !row):
    %v = mp.read @v {mp.device = 0 : i64} : !weight
    %w = mp.read @w {mp.device = 1 : i64} : !weight
    %h = mp.matmul %x, %v {mp.device = 0 : i64} : !row, !weight -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64} : !row
    %y = mp.matmul %h1, %w {mp.device = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 1 : i64, mp.accumulate} : !row -> !scalar
    %gw = mp.matmul %h1, %y transpose_a {mp.device = 1 : i64, mp.accumulate} : !row, !row -> !weight
    %gv = mp.matmul %x, %h transpose_a {mp.device = 0 : i64, mp.accumulate} : !row, !row -> !weight
    mp.gradient @w, %gw {mp.device = 1 : i64, mp.when = "after"} : !weight
    mp.gradient @v, %gv {mp.device = 0 : i64, mp.when = "after"} : !weight
    mp.update "sgd" {mp.device = 0 : i64, mp.when = "after"}
    mp.update "sgd" {mp.device = 1 : i64, mp.when = "after"}
    mp.return %l : !scalar
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that where the optimiser is shared out gradients stay scattered, and parameters are gathered after all updates,
// once the device's update is done in all replicas.
// CHECK-LABEL: mp.model @sharded
// CHECK-SAME: shards = 2 : i64
// CHECK: mp.reduce_scatter <gradients, 0>, 16 : f32 {mp.device = 1
// CHECK-NOT: mp.all_gather <gradients
// CHECK: mp.all_gather <fixed, {{[0-9]+}}>, 1 : f32 {mp.device = 1
// CHECK-NOT: mp.all_gather <gradients
// CHECK: mp.update {{.*}}mp.device = 0
// CHECK: mp.update {{.*}}mp.device = 1
// CHECK: mp.all_gather <parameters, 0>, 16 : f32 {mp.device = 0
// CHECK: mp.all_gather <parameters, 0>, 16 : f32 {mp.device = 1
mp.model @sharded devices 2 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} replicas 2 sharded
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 1 : i64}
  mp.program @train ["x", "target"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %target: !row):
    %v = mp.read @v {mp.device = 0 : i64} : !weight
    %w = mp.read @w {mp.device = 1 : i64} : !weight
    %h = mp.matmul %x, %v {mp.device = 0 : i64} : !row, !weight -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64} : !row
    %y = mp.matmul %h1, %w {mp.device = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 1 : i64, mp.accumulate} : !row -> !scalar
    %gw = mp.matmul %h1, %y transpose_a {mp.device = 1 : i64, mp.accumulate} : !row, !row -> !weight
    %gv = mp.matmul %x, %h transpose_a {mp.device = 0 : i64, mp.accumulate} : !row, !row -> !weight
    mp.gradient @w, %gw {mp.device = 1 : i64, mp.when = "after"} : !weight
    mp.gradient @v, %gv {mp.device = 0 : i64, mp.when = "after"} : !weight
    mp.update "sgd" {mp.device = 0 : i64, mp.when = "after"}
    mp.update "sgd" {mp.device = 1 : i64, mp.when = "after"}
    mp.return %l : !scalar
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that gradients whose norm is taken are gathered first, so that it is the same sum.
// CHECK-LABEL: mp.model @clipped
// CHECK: mp.all_gather <gradients, 0>, 16 : f32 {mp.device = 1
// CHECK: mp.all_gather <gradients, 0>, 16 : f32 {mp.device = 0
// CHECK: mp.squared_norm
mp.model @clipped devices 2 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} replicas 2 sharded
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 1 : i64}
  mp.program @train ["x", "target"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %target: !row):
    %v = mp.read @v {mp.device = 0 : i64} : !weight
    %w = mp.read @w {mp.device = 1 : i64} : !weight
    %h = mp.matmul %x, %v {mp.device = 0 : i64} : !row, !weight -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64} : !row
    %y = mp.matmul %h1, %w {mp.device = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 1 : i64, mp.accumulate} : !row -> !scalar
    %gw = mp.matmul %h1, %y transpose_a {mp.device = 1 : i64, mp.accumulate} : !row, !row -> !weight
    %gv = mp.matmul %x, %h transpose_a {mp.device = 0 : i64, mp.accumulate} : !row, !row -> !weight
    mp.gradient @w, %gw {mp.device = 1 : i64, mp.when = "after"} : !weight
    mp.gradient @v, %gv {mp.device = 0 : i64, mp.when = "after"} : !weight
    %n = mp.squared_norm %gw {mp.device = 1 : i64, mp.when = "after"} : (!weight) -> !scalar
    mp.update "sgd" {mp.device = 0 : i64, mp.when = "after"}
    mp.update "sgd" {mp.device = 1 : i64, mp.when = "after"}
    mp.return %l : !scalar
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that gradients go in buckets, which end stages: what is complete first is added up (stage 4) before the rest is computed
// (stage 2), by a turn in between, and waits in other replicas for no more than it adds up.
// CHECK-LABEL: mp.model @buckets
// CHECK: mp.peer_waits = [array<i64: 3, 0, 2>, array<i64: 4, 0, 4>, array<i64: 5, 0, 5>]
// CHECK-SAME: mp.turns = [array<i64: 0, 0>, array<i64: 1, 0>, array<i64: 3, 0>, array<i64: 2, 0>, array<i64: 4, 0>, array<i64: 5, 0>, array<i64: 6, 0>]
// CHECK: mp.matmul {{.*}}mp.ends_bucket{{.*}}mp.stage = 1
// CHECK: mp.matmul {{.*}}mp.stage = 2
// CHECK: mp.reduce_scatter <gradients, 16>, 16 : f32 {{.*}}mp.stage = 3
// CHECK: mp.reduce_scatter <gradients, 0>, 16 : f32 {{.*}}mp.stage = 4
// CHECK: mp.reduce_scatter <fixed, {{[0-9]+}}>, 1 : f32 {{.*}}mp.stage = 4
// CHECK: mp.all_gather <gradients, 0>, 32 : f32 {{.*}}mp.stage = 5
mp.model @buckets devices 1 {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} replicas 2 {mp.bucket_bytes = 64 : i64}
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 0 : i64}
  mp.program @train ["x", "target"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %target: !row):
    %v = mp.read @v {mp.device = 0 : i64} : !weight
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %h = mp.matmul %x, %v {mp.device = 0 : i64} : !row, !weight -> !row
    %y = mp.matmul %h, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 0 : i64, mp.accumulate} : !row -> !scalar
    %gw = mp.matmul %h, %y transpose_a {mp.device = 0 : i64, mp.accumulate, mp.weights} : !row, !row -> !weight
    %gv = mp.matmul %x, %h transpose_a {mp.device = 0 : i64, mp.accumulate, mp.weights} : !row, !row -> !weight
    mp.gradient @w, %gw {mp.device = 0 : i64, mp.when = "after"} : !weight
    mp.gradient @v, %gv {mp.device = 0 : i64, mp.when = "after"} : !weight
    mp.update "sgd" {mp.device = 0 : i64, mp.when = "after"}
    mp.return %l : !scalar
  }
}
