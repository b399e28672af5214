// RUN: mp-opt %s --mp-verify-calls --split-input-file --verify-diagnostics

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a value without a place is refused.
mp.model @no_place devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-error @below {{expected a place in the arena}}
    %a = mp.matmul %x, %w {mp.device = 0 : i64, mp.order = 0 : i64} : !row, !weight -> !row
    mp.return %a : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a value that grows with the batch is refused among those that do not.
mp.model @kind_of_size devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-error @below {{expected a place among values of its kind of size}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    mp.return %a : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that reading a value that another has overwritten, even in part, is refused.
mp.model @overwritten devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %b = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 12>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    // expected-error @below {{reads a value that has been overwritten}}
    %c = mp.concat %a, %b dimension 1 {mp.buffer = #mp.buffer<rows, 32>, mp.device = 0 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64>} : (!row, !row) -> tensor<?x8xf32, #mp.dims<batch, 8>>
    mp.return %c : tensor<?x8xf32, #mp.dims<batch, 8>>
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that overwriting what the program returns is refused.
mp.model @returned devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %b = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    // expected-error @below {{reads a value that has been overwritten}}
    mp.return %a, %b : !row, !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a product over its own operand is refused.
mp.model @own_operand devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    // expected-error @below {{writes over its own operand}}
    %b = mp.matmul %a, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    mp.return %b : !row
  }
}
