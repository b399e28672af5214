// RUN: mp-opt %s --mp-verify-scheduled --split-input-file --verify-diagnostics

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that an instruction without an order is refused.
mp.model @no_order devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{expected order 0, got -1}}
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    mp.return %a : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that orders in another order than the program's are refused.
mp.model @swapped devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{expected order 0, got 1}}
    %a = mp.relu %x {mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !row
    %b = mp.exp %a {mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !row
    mp.return %b : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a transfer on a stream of computation is refused.
mp.model @stream devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !row
    // expected-error @below {{expected the stream communication}}
    %b = mp.transfer %a from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64: 0>} : !row
    mp.return %b : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a wait for a later instruction, which could deadlock, is refused.
mp.model @wait_for_later devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{waits for 1, which is not earlier than 0}}
    %a = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64: 1>} : !row -> !row
    %b = mp.exp %a {mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !row
    mp.return %b : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that reading what another stream makes without a wait is refused.
mp.model @no_wait devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-note @below {{this instruction}}
    %a = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !row
    // expected-error @below {{reads what nothing orders before it}}
    %b = mp.transfer %a from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stream = "communication", mp.waits = array<i64>} : !row
    mp.return %b : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a step of the optimiser while another device still reads the parameter is refused.
mp.model @early_update devices 2 {
  mp.parameter @w : !weight init zeros []
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !row -> !weight
    %w1 = mp.transfer %w from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stream = "communication", mp.waits = array<i64>} : !weight
    // expected-note @below {{this instruction}}
    %y = mp.matmul %x, %w1 {mp.device = 1 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64: 1>} : !row, !weight -> !row
    mp.gradient @w, %g {mp.device = 0 : i64} : !weight
    // expected-error @below {{updates what nothing orders before it}}
    mp.update "sgd" {mp.device = 0 : i64, mp.order = 3 : i64, mp.stream = "compute", mp.waits = array<i64: 1>}
    mp.return %y : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that setting a buffer before its last reader is refused.
mp.model @assignment_before_reader devices 1 {
  mp.parameter @b : !scalar init zeros [] untrained
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %b = mp.read @b {mp.device = 0 : i64} : !scalar
    %s = mp.reduce sum %x [0, 1] {mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !scalar
    // expected-error @below {{updates what nothing orders before it}}
    mp.assign @b, %s {mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !scalar
    // expected-note @below {{this instruction}}
    %t = mp.add %s, %b {mp.device = 0 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64>} : !scalar, !scalar -> !scalar
    mp.return %t : !scalar
  }
}
