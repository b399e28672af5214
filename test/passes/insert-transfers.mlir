// RUN: mp-opt %s --mp-insert-transfers --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that an operand from another device is read through a transfer right before its reader, and one of the same
// device as it is.
// CHECK-LABEL: mp.model @from_another_device
// CHECK: %[[MADE:.*]] = mp.relu
// CHECK: %[[STAYED:.*]] = mp.exp %[[MADE]] {mp.device = 0 : i64}
// CHECK-NEXT: %[[MOVED:.*]] = mp.transfer %[[STAYED]] from 0 {mp.device = 1 : i64}
// CHECK-NEXT: mp.neg %[[MOVED]] {mp.device = 1 : i64}
mp.model @from_another_device devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %b = mp.exp %a {mp.device = 0 : i64} : !row -> !row
    %c = mp.neg %b {mp.device = 1 : i64} : !row -> !row
    mp.return %c : !row
  }
}

// Tests that each use has a transfer of its own, even two in one operation: saving is for mp-elide-transfers.
// CHECK-LABEL: mp.model @a_transfer_a_use
// CHECK: %[[MADE:.*]] = mp.relu
// CHECK-NEXT: %[[FIRST:.*]] = mp.transfer %[[MADE]] from 0 {mp.device = 1 : i64}
// CHECK-NEXT: %[[SECOND:.*]] = mp.transfer %[[MADE]] from 0 {mp.device = 1 : i64}
// CHECK-NEXT: mp.mul %[[FIRST]], %[[SECOND]] {mp.device = 1 : i64}
mp.model @a_transfer_a_use devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %b = mp.mul %a, %a {mp.device = 1 : i64} : !row, !row -> !row
    mp.return %b : !row
  }
}

// Tests that what was rounded to two bytes moves so and is widened by its reader.
// CHECK-LABEL: mp.model @two_bytes
// CHECK: %[[ROUNDED:.*]] = mp.cast {{.*}} {mp.device = 0 : i64}
// CHECK: %[[MOVED:.*]] = mp.transfer %[[ROUNDED]] from 0 {mp.device = 1 : i64} : tensor<?x4xbf16
// CHECK-NEXT: %[[WIDE:.*]] = mp.cast %[[MOVED]] {mp.device = 1 : i64}
// CHECK-NEXT: mp.neg %[[WIDE]] {mp.device = 1 : i64}
mp.model @two_bytes devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.cast %x {mp.device = 0 : i64} : !row -> tensor<?x4xbf16, #mp.dims<batch, 4>>
    %b = mp.cast %a {mp.device = 0 : i64} : tensor<?x4xbf16, #mp.dims<batch, 4>> -> !row
    %d = mp.neg %b {mp.device = 1 : i64} : !row -> !row
    mp.return %d : !row
  }
}

// Tests that inputs and constants, which have no place, are not moved.
// CHECK-LABEL: mp.model @placeless
// CHECK-NOT: mp.transfer
mp.model @placeless devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %one = mp.constant 1.0 : f64 : !row
    %a = mp.add %x, %one {mp.device = 1 : i64} : !row, !row -> !row
    mp.return %a : !row
  }
}

// Tests that what a program returns stays where it is: the host reads it there.
// CHECK-LABEL: mp.model @returned
// CHECK: %[[MADE:.*]] = mp.relu {{.*}} {mp.device = 1 : i64}
// CHECK-NEXT: mp.return %[[MADE]]
mp.model @returned devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 1 : i64} : !row -> !row
    mp.return %a : !row
  }
}

// Tests that a transfer belongs to the layer that needs it.
// CHECK-LABEL: mp.model @layer_of_reader
// CHECK: mp.transfer {{.*}} from 0 {mp.device = 1 : i64, mp.layer = "head"}
mp.model @layer_of_reader devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64, mp.layer = "trunk"} : !row -> !row
    %b = mp.neg %a {mp.device = 1 : i64, mp.layer = "head"} : !row -> !row
    mp.return %b : !row
  }
}
