// RUN: mp-opt %s --mp-verify-split --verify-diagnostics

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that what belongs to a group is refused where every operation has one device.
mp.model @left_over devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{is still to be spread over a group of devices}}
    %a = mp.relu %x {mp.device = 0 : i64, mp.group = {devices = array<i64: 0, 1>, names = [""], sizes = array<i64: 2>}} : !row -> !row
    %b = mp.relu %x {mp.device = 1 : i64} : !row -> !row
    mp.return %b : !row
  }
}
