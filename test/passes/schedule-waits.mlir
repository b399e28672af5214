// RUN: mp-opt %s --mp-schedule --mp-verify-scheduled | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that of two operands that arrive on one stream the later is waited for alone.
// CHECK-LABEL: mp.model @later_covers_earlier
// CHECK: mp.add {{.*}} mp.order = 4 : i64, mp.stream = "compute", mp.waits = array<i64: 3>}
mp.model @later_covers_earlier devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %b = mp.exp %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %b1 = mp.transfer %b from 0 {mp.device = 1 : i64} : !row
    %c = mp.add %a1, %b1 {mp.device = 1 : i64} : !row, !row -> !row
    mp.return %c : !row
  }
}

// Tests that what was waited for once on a stream is not waited for again.
// CHECK-LABEL: mp.model @waited_before
// CHECK: mp.exp {{.*}} mp.waits = array<i64: 1>}
// CHECK: mp.neg {{.*}} mp.waits = array<i64>}
mp.model @waited_before devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %b = mp.exp %a1 {mp.device = 1 : i64} : !row -> !row
    %c = mp.neg %a1 {mp.device = 1 : i64} : !row -> !row
    mp.return %b, %c : !row, !row
  }
}

// Tests that a step of the optimiser waits for what another device still reads its parameters by, as between devices
// that share memory the transfer's copy is the parameter; and not for the transfer, which comes before that.
// CHECK-LABEL: mp.model @update_after_readers
// CHECK: mp.transfer {{.*}} mp.order = 1
// CHECK: mp.matmul {{.*}} {mp.device = 1 : i64, mp.order = 2
// CHECK: mp.update "sgd" {mp.device = 0 : i64, mp.order = 3 : i64, mp.stream = "compute", mp.waits = array<i64: 2>}
mp.model @update_after_readers devices 2 {
  mp.parameter @w : !weight init zeros []
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    %w1 = mp.transfer %w from 0 {mp.device = 1 : i64} : !weight
    %y = mp.matmul %x, %w1 {mp.device = 1 : i64} : !row, !weight -> !row
    mp.gradient @w, %g {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %y : !row
  }
}

// Tests that readers of a parameter that nothing trains hold no step of the optimiser up.
// CHECK-LABEL: mp.model @untrained_readers
// CHECK: mp.update "sgd" {{.*}} mp.waits = array<i64>}
mp.model @untrained_readers devices 2 {
  mp.parameter @w : !weight init zeros []
  mp.parameter @v : !weight init zeros []
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %v = mp.read @v {mp.device = 0 : i64} : !weight
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    %v1 = mp.transfer %v from 0 {mp.device = 1 : i64} : !weight
    %y = mp.matmul %x, %v1 {mp.device = 1 : i64} : !row, !weight -> !row
    mp.gradient @w, %g {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %y : !row
  }
}

// Tests that a step of the optimiser waits for a gradient that arrives from another device.
// CHECK-LABEL: mp.model @gradient_arrives
// CHECK: mp.update "sgd" {{.*}} mp.waits = array<i64: 1>}
mp.model @gradient_arrives devices 2 {
  mp.parameter @w : !weight init zeros []
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %g = mp.matmul %x, %x transpose_a {mp.device = 1 : i64} : !row, !row -> !weight
    %g0 = mp.transfer %g from 1 {mp.device = 0 : i64} : !weight
    mp.gradient @w, %g0 {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %x : !row
  }
}

// Tests that a buffer is set after what another device still reads it by.
// CHECK-LABEL: mp.model @assignment_after_readers
// CHECK: mp.assign @b{{.*}} mp.order = 3 : i64, mp.stream = "compute", mp.waits = array<i64: 2>}
mp.model @assignment_after_readers devices 2 {
  mp.parameter @b : !weight init zeros [] untrained
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %b = mp.read @b {mp.device = 0 : i64} : !weight
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    %b1 = mp.transfer %b from 0 {mp.device = 1 : i64} : !weight
    %y = mp.matmul %x, %b1 {mp.device = 1 : i64} : !row, !weight -> !row
    mp.assign @b, %g {mp.device = 0 : i64} : !weight
    mp.return %y : !row
  }
}
