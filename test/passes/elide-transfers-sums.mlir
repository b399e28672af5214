// RUN: mp-opt %s --mp-elide-transfers --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that of a gradient summed over three uses on one device only the sum hops, with the order of its terms kept.
// CHECK-LABEL: mp.model @whole_sum
// CHECK: %[[PARTIAL:.*]] = mp.add %[[A:.*]], %[[B:.*]] {mp.device = 1 : i64}
// CHECK-NEXT: %[[SUM:.*]] = mp.add %[[PARTIAL]], %[[C:.*]] {mp.device = 1 : i64}
// CHECK-NEXT: mp.transfer %[[SUM]] from 1 {mp.device = 0 : i64}
// CHECK-NOT: mp.transfer
mp.model @whole_sum devices 2 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 1 : i64} : !row -> !row
    %b = mp.log %x {mp.device = 1 : i64} : !row -> !row
    %c = mp.sin %x {mp.device = 1 : i64} : !row -> !row
    %a0 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %b0 = mp.transfer %b from 1 {mp.device = 0 : i64} : !row
    %ab = mp.add %a0, %b0 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    %c0 = mp.transfer %c from 1 {mp.device = 0 : i64} : !row
    %abc = mp.add %ab, %c0 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    mp.return %abc : !row
  }
}

// Tests that terms that are no prefix of the sum hop one by one: summed before the hop they would round otherwise.
// CHECK-LABEL: mp.model @no_prefix
// CHECK: mp.transfer {{.*}} from 1 {mp.device = 0 : i64}
// CHECK: mp.add {{.*}} {mp.device = 0 : i64}
// CHECK: mp.transfer {{.*}} from 1 {mp.device = 0 : i64}
// CHECK: mp.add {{.*}} {mp.device = 0 : i64}
mp.model @no_prefix devices 2 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 0 : i64} : !row -> !row
    %b = mp.log %x {mp.device = 1 : i64} : !row -> !row
    %c = mp.sin %x {mp.device = 1 : i64} : !row -> !row
    %b0 = mp.transfer %b from 1 {mp.device = 0 : i64} : !row
    %ab = mp.add %a, %b0 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    %c0 = mp.transfer %c from 1 {mp.device = 0 : i64} : !row
    %abc = mp.add %ab, %c0 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    mp.return %abc : !row
  }
}

// Tests that a prefix hops as one, and the terms of other devices after it by themselves.
// CHECK-LABEL: mp.model @prefix_then_others
// CHECK: %[[PREFIX:.*]] = mp.add {{.*}} {mp.device = 1 : i64}
// CHECK-NEXT: %[[ARRIVED:.*]] = mp.transfer %[[PREFIX]] from 1 {mp.device = 0 : i64}
// CHECK-NEXT: %[[TERM:.*]] = mp.transfer {{.*}} from 2 {mp.device = 0 : i64}
// CHECK-NEXT: mp.add %[[ARRIVED]], %[[TERM]] {mp.device = 0 : i64}
mp.model @prefix_then_others devices 3 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 1 : i64} : !row -> !row
    %b = mp.log %x {mp.device = 1 : i64} : !row -> !row
    %c = mp.sin %x {mp.device = 2 : i64} : !row -> !row
    %a0 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %b0 = mp.transfer %b from 1 {mp.device = 0 : i64} : !row
    %ab = mp.add %a0, %b0 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    %c0 = mp.transfer %c from 2 {mp.device = 0 : i64} : !row
    %abc = mp.add %ab, %c0 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    mp.return %abc : !row
  }
}

// Tests that an addition that the user placed stays where it is, although one hop would do.
// CHECK-LABEL: mp.model @users_addition
// CHECK-COUNT-2: mp.transfer
// CHECK-NEXT: mp.add {{.*}} {mp.device = 0 : i64}
mp.model @users_addition devices 2 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 1 : i64} : !row -> !row
    %b = mp.log %x {mp.device = 1 : i64} : !row -> !row
    %a0 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %b0 = mp.transfer %b from 1 {mp.device = 0 : i64} : !row
    %ab = mp.add %a0, %b0 {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %ab : !row
  }
}
