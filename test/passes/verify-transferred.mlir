// RUN: mp-opt %s --mp-verify-transferred --split-input-file --verify-diagnostics

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that reading a value of another device is refused, naming both places.
mp.model @other_device devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-note @below {{which is made here}}
    %a = mp.relu %x {mp.device = 1 : i64} : !row -> !row
    // expected-error @below {{on device 0 reads a value of device 1}}
    %b = mp.exp %a {mp.device = 0 : i64} : !row -> !row
    mp.return %b : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a transfer from where the value does not live is refused.
mp.model @from_elsewhere devices 3 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-note @below {{which is made here}}
    %a = mp.relu %x {mp.device = 1 : i64} : !row -> !row
    // expected-error @below {{on device 0 reads a value of device 1}}
    %b = mp.transfer %a from 0 {mp.device = 2 : i64} : !row
    mp.return %b : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a transfer from a device to itself is refused.
mp.model @to_itself devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-note @below {{which is made here}}
    %a = mp.relu %x {mp.device = 1 : i64} : !row -> !row
    // expected-error @below {{transfers from device 1 to itself}}
    %b = mp.transfer %a from 1 {mp.device = 1 : i64} : !row
    mp.return %b : !row
  }
}
