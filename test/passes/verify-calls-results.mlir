// RUN: mp-opt %s --mp-verify-calls --split-input-file --verify-diagnostics

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!statistic = tensor<?xf32, #mp.dims<batch>>

// Tests that two results of one operation may not lie in one place.
mp.model @one_over_another devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{writes one result over another}}
    %y, %scale = mp.rms_norm %x dimensions 1 eps 1.0e-5 {mp.buffer = [#mp.buffer<rows, 0>, #mp.buffer<rows, 12>], mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : (!row) -> (!row, !statistic)
    mp.return %y : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!statistic = tensor<?xf32, #mp.dims<batch>>

// Tests that each of several results needs a place.
mp.model @second_without_place devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{expected a place in the arena}}
    %y, %scale = mp.rms_norm %x dimensions 1 eps 1.0e-5 {mp.buffer = [#mp.buffer<rows, 0>, unit], mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : (!row) -> (!row, !statistic)
    mp.return %y : !row
  }
}

// -----

#sizes = {fixed_bytes = 512 : i64, parameter_floats = 32 : i64, row_bytes = 64 : i64, trained_floats = 32 : i64}

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!statistic = tensor<?xf32, #mp.dims<batch>>

// Tests that what lies over the second result spoils it, and not the first.
mp.model @second_overwritten devices 1 attributes {mp.devices = [#sizes]} {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-note @below {{this value}}
    %y, %scale = mp.rms_norm %x dimensions 1 eps 1.0e-5 {mp.buffer = [#mp.buffer<rows, 0>, #mp.buffer<rows, 16>], mp.device = 0 : i64, mp.order = 0 : i64, mp.stream = "compute", mp.waits = array<i64>} : (!row) -> (!row, !statistic)
    %s = mp.softmax %y dimension 1 {mp.buffer = #mp.buffer<rows, 16>, mp.device = 0 : i64, mp.order = 1 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !row
    %t = mp.softmax %y dimension 1 {mp.buffer = #mp.buffer<rows, 32>, mp.device = 0 : i64, mp.order = 2 : i64, mp.stream = "compute", mp.waits = array<i64>} : !row -> !row
    // expected-error @below {{reads a value that has been overwritten}}
    mp.return %t, %scale : !row, !statistic
  }
}
