// RUN: mp-opt %s --mp-verify-calls --split-input-file --verify-diagnostics

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a gradient in the place of another parameter is refused.
mp.model @place devices 1 attributes {mp.devices = [#sizes]} {
  mp.parameter @v : !weight init zeros [] {mp.buffer = #mp.buffer<parameters, 16>, mp.device = 0 : i64}
  mp.program @train ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %g = mp.matmul %x, %x transpose_a {mp.buffer = #mp.buffer<gradients, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !row -> !weight
    // expected-error @below {{expected the gradient in the place of its parameter}}
    mp.gradient @v, %g {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>}
    mp.return %x : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a gradient among other values is refused.
mp.model @among_values devices 1 attributes {mp.devices = [#sizes]} {
  mp.parameter @v : !weight init zeros [] {mp.buffer = #mp.buffer<parameters, 0>, mp.device = 0 : i64}
  mp.program @train ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %g = mp.matmul %x, %x transpose_a {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !row -> !weight
    // expected-error @below {{expected the gradient in the place of its parameter}}
    mp.gradient @v, %g {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>}
    mp.return %x : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that overwriting a gradient is refused.
mp.model @overwritten devices 1 attributes {mp.devices = [#sizes]} {
  mp.parameter @v : !weight init zeros [] {mp.buffer = #mp.buffer<parameters, 0>, mp.device = 0 : i64}
  mp.program @train ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-error @below {{gives a gradient that is overwritten before the step's end}}
    %g = mp.matmul %x, %x transpose_a {mp.buffer = #mp.buffer<gradients, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !row -> !weight
    mp.gradient @v, %g {mp.device = 0 : i64} : !weight
    %h = mp.matmul %x, %x transpose_a {mp.buffer = #mp.buffer<gradients, 0>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !row -> !weight
    mp.update "sgd" {mp.device = 0 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64>}
    mp.return %x : !row
  }
}
