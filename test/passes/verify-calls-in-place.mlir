// RUN: mp-opt %s --mp-verify-calls --split-input-file --verify-diagnostics

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a loop over its operand, read in the order written, is accepted.
mp.model @in_order devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %b = mp.map %a maps [array<i64: 0, 1>] {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : (!row) -> !row {
    ^bb0(%e: f32):
      mp.yield %e : f32
    }
    mp.return %b : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a loop over its operand that reads it in another order is refused.
mp.model @other_order devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %w, %w {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !weight, !weight -> !weight
    // expected-error @below {{writes over its own operand}}
    %b = mp.map %a maps [array<i64: 1, 0>] {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : (!weight) -> !weight {
    ^bb0(%e: f32):
      mp.yield %e : f32
    }
    mp.return %b : !weight
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a loop over a part of its operand is refused.
mp.model @shifted devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    // expected-error @below {{writes over its own operand}}
    %b = mp.map %a maps [array<i64: 0, 1>] {mp.buffer = #mp.buffer<rows, 4>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : (!row) -> !row {
    ^bb0(%e: f32):
      mp.yield %e : f32
    }
    mp.return %b : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a loop over an operand that was overwritten before is refused.
mp.model @dead_operand devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %b = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    // expected-error @below {{reads a value that has been overwritten}}
    %c = mp.map %a maps [array<i64: 0, 1>] {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64>} : (!row) -> !row {
    ^bb0(%e: f32):
      mp.yield %e : f32
    }
    mp.return %b, %c : !row, !row
  }
}
