// RUN: mp-opt %s --mp-split-backward --mp-schedule --mp-verify-scheduled | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that what a transfer of the backward pass needs comes before it, and what it does not after it, on a stream of its own; that a device which
// sends nothing back puts all of its way back off; and that the way there stays as it is.
// CHECK-LABEL: mp.model @chain
// CHECK: mp.matmul %{{.*}} {mp.device = 0 : i64, mp.order = 0
// CHECK: mp.transfer {{.*}} from 0
// CHECK: mp.reduce sum
// CHECK: %[[BACK:.*]] = mp.matmul {{.*}} transpose_b {mp.device = 1 : i64, mp.order = 4
// CHECK-SAME: mp.stream = "compute"
// CHECK: mp.transfer %[[BACK]] from 1
// CHECK: mp.matmul {{.*}} transpose_a {mp.accumulate, mp.device = 1 : i64, mp.order = 6
// CHECK-SAME: mp.stream = "weights"
// CHECK-SAME: mp.weights
// CHECK: mp.matmul {{.*}} transpose_a {mp.accumulate, mp.device = 0 : i64, mp.order = 7
// CHECK-SAME: mp.stream = "weights"
// CHECK-SAME: mp.weights
// CHECK: mp.gradient @w
mp.model @chain devices 2 {
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
    %gh = mp.matmul %y, %w transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %gh0 = mp.transfer %gh from 1 {mp.device = 0 : i64} : !row
    %gv = mp.matmul %x, %gh0 transpose_a {mp.device = 0 : i64, mp.accumulate} : !row, !row -> !weight
    mp.gradient @w, %gw {mp.device = 1 : i64, mp.when = "after"} : !weight
    mp.gradient @v, %gv {mp.device = 0 : i64, mp.when = "after"} : !weight
    mp.return %l : !scalar
  }
}

// Tests that a program of one device stays as it is.
// CHECK-LABEL: mp.model @alone
// CHECK-NOT: mp.weights
mp.model @alone devices 1 {
  mp.parameter @w : !weight init zeros [] {mp.device = 0 : i64}
  mp.program @train ["x", "target"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %target: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %y = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] {mp.device = 0 : i64, mp.accumulate} : !row -> !scalar
    %gw = mp.matmul %x, %y transpose_a {mp.device = 0 : i64, mp.accumulate} : !row, !row -> !weight
    mp.gradient @w, %gw {mp.device = 0 : i64, mp.when = "after"} : !weight
    mp.return %l : !scalar
  }
}

// Tests that the gradients of a recomputed part stay before what its device sends on, with what they are computed from, while those of another
// layer are put off; and that a part after which its device does nothing else is put off as a whole.
// CHECK-LABEL: mp.model @recomputed
// CHECK: mp.matmul %[[X:.*]], %[[V:.*]] {mp.device = 0 : i64, mp.order = 0
// CHECK: mp.reduce sum
// CHECK-NEXT: %[[GY:.*]] = mp.matmul {{.*}} transpose_b {mp.device = 1 : i64, mp.order = 6 : i64, mp.stream = "compute"
// CHECK-NEXT: %[[A:.*]] = mp.matmul {{.*}} {mp.device = 1 : i64, mp.order = 7 : i64, mp.recomputed, mp.stream = "compute"
// CHECK-NEXT: mp.matmul %[[A]], %[[GY]] transpose_a {mp.accumulate, mp.device = 1 : i64, mp.order = 8 : i64, mp.recomputed, mp.stream = "compute"
// CHECK-NEXT: %[[GA:.*]] = mp.matmul %[[GY]], {{.*}} transpose_b
// CHECK-NEXT: mp.matmul %{{.*}}, %[[GA]] transpose_a {mp.accumulate, mp.device = 1 : i64, mp.order = 10 : i64, mp.recomputed, mp.stream = "compute"
// CHECK-NEXT: %[[GH:.*]] = mp.matmul %[[GA]], {{.*}} transpose_b
// CHECK-NEXT: %[[GH0:.*]] = mp.transfer %[[GH]] from 1
// CHECK-NEXT: mp.matmul {{.*}} transpose_a {mp.accumulate, mp.device = 1 : i64, mp.order = 13 : i64, mp.stream = "weights"
// CHECK-SAME: mp.weights
// CHECK-NEXT: %[[B:.*]] = mp.matmul %[[X]], %[[V]] {mp.device = 0 : i64, mp.order = 14 : i64, mp.recomputed, mp.stream = "weights"
// CHECK-SAME: mp.weights
// CHECK-NEXT: mp.matmul %[[B]], %[[GH0]] transpose_a {{.*}}mp.order = 15 : i64, mp.recomputed, mp.stream = "weights"
// CHECK-SAME: mp.weights
// CHECK-NEXT: mp.gradient @t
mp.model @recomputed devices 2 {
  mp.parameter @v : !weight init zeros [] {mp.device = 0 : i64}
  mp.parameter @w : !weight init zeros [] {mp.device = 1 : i64}
  mp.parameter @u : !weight init zeros [] {mp.device = 1 : i64}
  mp.parameter @t : !weight init zeros [] {mp.device = 1 : i64}
  mp.program @train ["x", "target"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %target: !row):
    %v = mp.read @v {mp.device = 0 : i64} : !weight
    %w = mp.read @w {mp.device = 1 : i64} : !weight
    %u = mp.read @u {mp.device = 1 : i64} : !weight
    %t = mp.read @t {mp.device = 1 : i64} : !weight
    %h = mp.matmul %x, %v {mp.device = 0 : i64} : !row, !weight -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64} : !row
    %a = mp.matmul %h1, %w {mp.device = 1 : i64} : !row, !weight -> !row
    %y = mp.matmul %a, %u {mp.device = 1 : i64} : !row, !weight -> !row
    %z = mp.matmul %y, %t {mp.device = 1 : i64} : !row, !weight -> !row
    %l = mp.reduce sum %z [0, 1] {mp.device = 1 : i64, mp.accumulate} : !row -> !scalar
    %gt = mp.matmul %y, %z transpose_a {mp.device = 1 : i64, mp.accumulate} : !row, !row -> !weight
    %gy = mp.matmul %z, %t transpose_b {mp.device = 1 : i64} : !row, !weight -> !row
    %a2 = mp.matmul %h1, %w {mp.device = 1 : i64, mp.recomputed} : !row, !weight -> !row
    %gu = mp.matmul %a2, %gy transpose_a {mp.device = 1 : i64, mp.accumulate, mp.recomputed} : !row, !row -> !weight
    %ga = mp.matmul %gy, %u transpose_b {mp.device = 1 : i64, mp.recomputed} : !row, !weight -> !row
    %gw = mp.matmul %h1, %ga transpose_a {mp.device = 1 : i64, mp.accumulate, mp.recomputed} : !row, !row -> !weight
    %gh = mp.matmul %ga, %w transpose_b {mp.device = 1 : i64, mp.recomputed} : !row, !weight -> !row
    %gh0 = mp.transfer %gh from 1 {mp.device = 0 : i64} : !row
    %h2 = mp.matmul %x, %v {mp.device = 0 : i64, mp.recomputed} : !row, !weight -> !row
    %gv = mp.matmul %h2, %gh0 transpose_a {mp.device = 0 : i64, mp.accumulate, mp.recomputed} : !row, !row -> !weight
    mp.gradient @t, %gt {mp.device = 1 : i64, mp.when = "after"} : !weight
    mp.gradient @u, %gu {mp.device = 1 : i64, mp.when = "after"} : !weight
    mp.gradient @w, %gw {mp.device = 1 : i64, mp.when = "after"} : !weight
    mp.gradient @v, %gv {mp.device = 0 : i64, mp.when = "after"} : !weight
    mp.return %l : !scalar
  }
}
