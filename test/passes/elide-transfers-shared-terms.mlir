// RUN: mp-opt %s --mp-elide-transfers --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a sum whose terms all move anyway, each for another reader, is made on arrival: two hops, not three.
// CHECK-LABEL: mp.model @terms_move_anyway
// CHECK-COUNT-2: mp.transfer
// CHECK: mp.add {{.*}} {mp.device = 0 : i64}
// CHECK-NOT: mp.transfer
mp.model @terms_move_anyway devices 2 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 1 : i64} : !row -> !row
    %b = mp.log %x {mp.device = 1 : i64} : !row -> !row
    %a0 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %b0 = mp.transfer %b from 1 {mp.device = 0 : i64} : !row
    %ab = mp.add %a0, %b0 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    %a1 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %u = mp.neg %a1 {mp.device = 0 : i64} : !row -> !row
    %b1 = mp.transfer %b from 1 {mp.device = 0 : i64} : !row
    %v = mp.neg %b1 {mp.device = 0 : i64} : !row -> !row
    mp.return %ab, %u, %v : !row, !row, !row
  }
}

// Tests that where one term moves anyway and two do not, the sum hops: two hops, not three.
// CHECK-LABEL: mp.model @one_term_moves_anyway
// CHECK: %[[SUM:.*]] = mp.add {{.*}} {mp.device = 1 : i64}
// CHECK-COUNT-2: mp.transfer
// CHECK-NOT: mp.transfer
mp.model @one_term_moves_anyway devices 2 {
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
    %a1 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %u = mp.neg %a1 {mp.device = 0 : i64} : !row -> !row
    mp.return %abc, %u : !row, !row
  }
}

// Tests that a term that occurs twice is one hop, added to itself on arrival.
// CHECK-LABEL: mp.model @same_term_twice
// CHECK: %[[ARRIVED:.*]] = mp.transfer {{.*}} from 1 {mp.device = 0 : i64}
// CHECK-NEXT: mp.add %[[ARRIVED]], %[[ARRIVED]] {mp.device = 0 : i64}
mp.model @same_term_twice devices 2 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 1 : i64} : !row -> !row
    %a0 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %a1 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %aa = mp.add %a0, %a1 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    mp.return %aa : !row
  }
}

// Tests that a sum that is read where its terms are made, after all, is read there without a hop.
// CHECK-LABEL: mp.model @sum_comes_around
// CHECK-NOT: mp.transfer
// CHECK: %[[SUM:.*]] = mp.add {{.*}} {mp.device = 1 : i64}
// CHECK-NEXT: mp.neg %[[SUM]] {mp.device = 1 : i64}
mp.model @sum_comes_around devices 2 {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %a = mp.exp %x {mp.device = 1 : i64} : !row -> !row
    %b = mp.log %x {mp.device = 1 : i64} : !row -> !row
    %a0 = mp.transfer %a from 1 {mp.device = 0 : i64} : !row
    %b0 = mp.transfer %b from 1 {mp.device = 0 : i64} : !row
    %ab = mp.add %a0, %b0 {mp.device = 0 : i64, mp.sum} : !row, !row -> !row
    %ab1 = mp.transfer %ab from 0 {mp.device = 1 : i64} : !row
    %u = mp.neg %ab1 {mp.device = 1 : i64} : !row -> !row
    mp.return %u : !row
  }
}
