// RUN: mp-opt %s --mp-verify-calls --split-input-file --verify-diagnostics

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that a value of constant size in the place of a sum over the parts is refused: the next part would find it there.
mp.model @shared devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @train ["x", "t"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %t: !row):
    // expected-note @below {{and this value}}
    %a = mp.reduce sum %x [0, 1] {mp.accumulate, mp.buffer = #mp.buffer<fixed, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !scalar
    // expected-error @below {{shares its place with a sum over the parts of the batch}}
    %b = mp.reduce sum %t [0, 1] {mp.accumulate, mp.buffer = #mp.buffer<fixed, 0>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !scalar
    mp.return %b : !scalar
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that a part may not write over what was made before the parts and the next one reads.
mp.model @before devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @train ["x", "w"] attributes {mp.rows_a_part = 64 : i64} {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %p = mp.permute %w [1, 0] {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>, mp.when = "before"} : !weight -> !weight
    // expected-error @below {{reads in each part of the batch what a part overwrites}}
    %h = mp.matmul %x, %p {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %b = mp.reduce sum %h [0, 1] {mp.accumulate, mp.buffer = #mp.buffer<fixed, 0>, mp.device = 0 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !scalar
    mp.return %b : !scalar
  }
}
