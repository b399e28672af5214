// RUN: mp-opt %s --mp-elide-transfers --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a value that two operations of a device read moves there once.
// CHECK-LABEL: mp.model @read_twice
// CHECK: %[[MADE:.*]] = mp.relu
// CHECK-NEXT: %[[MOVED:.*]] = mp.transfer %[[MADE]] from 0 {mp.device = 1 : i64}
// CHECK-NEXT: %[[ONCE:.*]] = mp.exp %[[MOVED]]
// CHECK-NEXT: mp.mul %[[MOVED]], %[[ONCE]]
mp.model @read_twice devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %b = mp.exp %a1 {mp.device = 1 : i64} : !row -> !row
    %a2 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %c = mp.mul %a2, %b {mp.device = 1 : i64} : !row, !row -> !row
    mp.return %c : !row
  }
}

// Tests that a value read on two devices moves to each, once.
// CHECK-LABEL: mp.model @two_readers
// CHECK: mp.transfer {{.*}} from 0 {mp.device = 1 : i64}
// CHECK: mp.transfer {{.*}} from 0 {mp.device = 2 : i64}
// CHECK-NOT: mp.transfer
mp.model @two_readers devices 3 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %b = mp.exp %a1 {mp.device = 1 : i64} : !row -> !row
    %a2 = mp.transfer %a from 0 {mp.device = 2 : i64} : !row
    %c = mp.exp %a2 {mp.device = 2 : i64} : !row -> !row
    %a3 = mp.transfer %a from 0 {mp.device = 2 : i64} : !row
    %d = mp.add %c, %a3 {mp.device = 2 : i64} : !row, !row -> !row
    mp.return %b, %d : !row, !row
  }
}

// Tests that two hops of one value become one.
// CHECK-LABEL: mp.model @two_hops
// CHECK: %[[MADE:.*]] = mp.relu
// CHECK-NEXT: %[[MOVED:.*]] = mp.transfer %[[MADE]] from 0 {mp.device = 2 : i64}
// CHECK-NEXT: mp.exp %[[MOVED]]
mp.model @two_hops devices 3 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %a2 = mp.transfer %a1 from 1 {mp.device = 2 : i64} : !row
    %b = mp.exp %a2 {mp.device = 2 : i64} : !row -> !row
    mp.return %b : !row
  }
}

// Tests that a value that comes around is read from where it was made.
// CHECK-LABEL: mp.model @comes_around
// CHECK: %[[MADE:.*]] = mp.relu
// CHECK-NEXT: mp.exp %[[MADE]] {mp.device = 0 : i64}
mp.model @comes_around devices 3 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %a2 = mp.transfer %a1 from 1 {mp.device = 2 : i64} : !row
    %a3 = mp.transfer %a2 from 2 {mp.device = 0 : i64} : !row
    %b = mp.exp %a3 {mp.device = 0 : i64} : !row -> !row
    mp.return %b : !row
  }
}

// Tests that a transfer that nothing reads is dropped.
// CHECK-LABEL: mp.model @unread
// CHECK-NOT: mp.transfer
mp.model @unread devices 2 {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 0 : i64} : !row -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    mp.return %a : !row
  }
}
