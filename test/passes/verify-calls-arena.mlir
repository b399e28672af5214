// RUN: mp-opt %s --mp-verify-calls --split-input-file --verify-diagnostics

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a value past the end of its region is refused.
mp.model @past_the_end devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-error @below {{lies at 52 to 68 of rows, which has 64}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 52>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    mp.return %a : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a value before the start of its region is refused.
mp.model @before_the_start devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-error @below {{lies at -4 to 12 of rows, which has 64}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, -4>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    mp.return %a : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that an offset that is not aligned is refused.
mp.model @alignment devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-error @below {{expected an offset that is a multiple of 4, got 2}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 2>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    mp.return %a : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, row_unit = 8 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that where rows are rounded up to fewer, an offset is aligned to more.
mp.model @alignment_of_few_rows devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-error @below {{expected an offset that is a multiple of 32, got 16}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 16>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    mp.return %a : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a parameter without a place is refused.
mp.model @unplaced_parameter devices 1 attributes {mp.devices = [#sizes]} {
  // expected-error @below {{expected a place among the parameters}}
  mp.parameter @v : !weight init zeros []
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    mp.return %x : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a parameter over another is refused.
mp.model @overlapping_parameters devices 1 attributes {mp.devices = [#sizes]} {
  // expected-note @below {{this parameter}}
  mp.parameter @u : !weight init zeros [] {mp.buffer = #mp.buffer<parameters, 0>, mp.device = 0 : i64}
  // expected-error @below {{lies over another parameter}}
  mp.parameter @v : !weight init zeros [] {mp.buffer = #mp.buffer<parameters, 0>, mp.device = 0 : i64}
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    mp.return %x : !row
  }
}
