// RUN: mp-opt %s --mp-verify-calls --split-input-file --verify-diagnostics

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that writing over what a transfer may still read is refused.
mp.model @before_transfer devices 2 attributes {mp.devices = [#sizes, #sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %a1 = mp.transfer %a from 0 {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1 : i64, mp.order = 1 : i64, mp.stream = "communication", mp.waits = array<i64: 0>} : !row
    // expected-error @below {{writes over a value that nothing orders before it}}
    %b = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    mp.return %a1, %b : !row, !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that writing over what the reader of a copy may still read is refused: the copy may be the value itself.
mp.model @before_reader_of_copy devices 2 attributes {mp.devices = [#sizes, #sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %a1 = mp.transfer %a from 0 {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1 : i64, mp.order = 1 : i64, mp.stream = "communication", mp.waits = array<i64: 0>} : !row
    %s = mp.reduce sum %a1 [0, 1] {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 1 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64: 1>} : !row -> tensor<f32, #mp.dims<>>
    // expected-error @below {{writes over a value that nothing orders before it}}
    %b = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 3 : i64, mp.stream = "compute", mp.waits = array<i64: 1>} : !row, !weight -> !row
    mp.return %s, %b : tensor<f32, #mp.dims<>>, !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that with a wait for that reader it is accepted.
mp.model @waits devices 2 attributes {mp.devices = [#sizes, #sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %a1 = mp.transfer %a from 0 {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1 : i64, mp.order = 1 : i64, mp.stream = "communication", mp.waits = array<i64: 0>} : !row
    %s = mp.reduce sum %a1 [0, 1] {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 1 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64: 1>} : !row -> tensor<f32, #mp.dims<>>
    %b = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 3 : i64, mp.stream = "compute", mp.waits = array<i64: 2>} : !row, !weight -> !row
    mp.return %s, %b : tensor<f32, #mp.dims<>>, !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that reading a copy whose source has been overwritten is refused.
mp.model @copy_of_overwritten devices 2 attributes {mp.devices = [#sizes, #sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %a1 = mp.transfer %a from 0 {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1 : i64, mp.order = 1 : i64, mp.stream = "communication", mp.waits = array<i64: 0>} : !row
    %b = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64: 1>} : !row, !weight -> !row
    // expected-error @below {{reads a value that has been overwritten}}
    %s = mp.reduce sum %a1 [0, 1] {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 1 : i64, mp.order = 3 : i64, mp.stream = "compute", mp.waits = array<i64: 1>} : !row -> tensor<f32, #mp.dims<>>
    mp.return %s, %b : tensor<f32, #mp.dims<>>, !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that the rest of a value that was overwritten in part still has its readers.
mp.model @rest_of_overwritten devices 2 attributes {mp.devices = [#sizes, #sizes]} {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-note @below {{this value}}
    %a = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %s = mp.reduce sum %a [0, 1] {mp.buffer = #mp.buffer<fixed, 0>, mp.device = 1 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> tensor<f32, #mp.dims<>>
    %b = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 8>, mp.device = 1 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %c = mp.matmul %x, %w {mp.buffer = #mp.buffer<rows, 0>, mp.device = 0 : i64, mp.order = 3 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row, !weight -> !row
    %d = mp.slice %x dimension 1 from 0 to 2 {mp.buffer = #mp.buffer<rows, 32>, mp.device = 0 : i64, mp.order = 4 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> tensor<?x2xf32, #mp.dims<batch, 2>>
    // expected-error @below {{writes over a value that nothing orders before it}}
    %d1 = mp.transfer %d from 0 {mp.buffer = #mp.buffer<rows, 0>, mp.device = 1 : i64, mp.order = 5 : i64, mp.stream = "communication", mp.waits = array<i64: 4>} : tensor<?x2xf32, #mp.dims<batch, 2>>
    mp.return %s, %b, %d1 : tensor<f32, #mp.dims<>>, !row, tensor<?x2xf32, #mp.dims<batch, 2>>
  }
}
