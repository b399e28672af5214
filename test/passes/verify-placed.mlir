// RUN: mp-opt %s --mp-verify-placed --split-input-file --verify-diagnostics

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that an operation without a device is refused, and that constants and the return need none.
mp.model @no_device devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %one = mp.constant 1.0 : f64 : !row
    // expected-error @below {{expected a device below 2}}
    %a = mp.add %x, %one : !row, !row -> !row
    mp.return %a : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a device past the model's last is refused, and one before the first.
mp.model @no_such_device devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{expected a device below 2}}
    %a = mp.relu %x {mp.device = 2 : i64} : !row -> !row
    // expected-error @below {{expected a device below 2}}
    %b = mp.exp %a {mp.device = -1 : i64} : !row -> !row
    mp.return %b : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a model that does not know its devices is refused.
mp.model @unknown_devices {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{expected a device below 0}}
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    mp.return %a : !row
  }
}
