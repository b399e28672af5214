// RUN: mp-opt %s --mp-schedule --mp-verify-scheduled | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!wide = tensor<?x2x2xf32, #mp.dims<batch, 2, 2>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that instructions are numbered in program order over all devices, and that what is only named (reads, reshapes)
// or made anew by each reader (constants) is no instruction.
// CHECK-LABEL: mp.model @order
// CHECK: mp.read @w {mp.device = 0 : i64} :
// CHECK: mp.matmul {{.*}} mp.order = 0
// CHECK: mp.reshape {{.*}} {mp.device = 0 : i64} :
// CHECK: mp.constant 1.000000e+00 : f64 : tensor
// CHECK: mp.add {{.*}} mp.order = 1
mp.model @order devices 1 {
  mp.parameter @w : !weight init zeros []
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %h = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !weight -> !row
    %r = mp.reshape %h {mp.device = 0 : i64} : !row -> !wide
    %one = mp.constant 1.0 : f64 : !wide
    %y = mp.add %r, %one {mp.device = 0 : i64} : !wide, !wide -> !wide
    mp.return %y : !wide
  }
}

// Tests that each program is numbered from 0.
// CHECK-LABEL: mp.model @programs
// CHECK: mp.relu {{.*}} mp.order = 0
// CHECK: mp.exp {{.*}} mp.order = 0
mp.model @programs devices 1 {
  mp.program @evaluate ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    mp.return %a : !row
  }
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 0 : i64} : !row -> !row
    mp.return %a : !row
  }
}

// Tests that transfers are issued on the streams of communication, all else on those of computation, and that a stream
// waits for what another has made.
// CHECK-LABEL: mp.model @streams
// CHECK: mp.relu {{.*}} mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>}
// CHECK: mp.transfer {{.*}} mp.order = 1 : i64, mp.stream = "communication", mp.waits = array<i64: 0>}
// CHECK: mp.exp {{.*}} mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64: 1>}
mp.model @streams devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %b = mp.exp %a1 {mp.device = 1 : i64} : !row -> !row
    mp.return %b : !row
  }
}

// Tests that nothing waits for what its own stream has done, nor for inputs.
// CHECK-LABEL: mp.model @own_stream
// CHECK: mp.relu {{.*}} mp.waits = array<i64>}
// CHECK: mp.exp {{.*}} mp.waits = array<i64>}
// CHECK: mp.mul {{.*}} mp.waits = array<i64>}
mp.model @own_stream devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %b = mp.exp %x {mp.device = 0 : i64} : !row -> !row
    %c = mp.mul %a, %b {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %c : !row
  }
}

// Tests that transfers that share a device are chained by the order, whatever their directions: opposite ones need no
// wait for one another.
// CHECK-LABEL: mp.model @opposite_transfers
// CHECK: mp.transfer {{.*}} from 0 {mp.device = 1 : i64, mp.order = 2 : i64, {{.*}} mp.waits = array<i64: 0>}
// CHECK: mp.transfer {{.*}} from 1 {mp.device = 0 : i64, mp.order = 3 : i64, {{.*}} mp.waits = array<i64: 1>}
// CHECK: mp.add {{.*}} mp.waits = array<i64: 3>}
// CHECK: mp.add {{.*}} mp.waits = array<i64: 2>}
mp.model @opposite_transfers devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %b = mp.exp %x {mp.device = 1 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %b0 = mp.transfer %b from 1 {mp.device = 0 : i64} : !row
    %c = mp.add %a, %b0 {mp.device = 0 : i64} : !row, !row -> !row
    %d = mp.add %a1, %b {mp.device = 1 : i64} : !row, !row -> !row
    mp.return %c, %d : !row, !row
  }
}
