// RUN: mp-opt %s --mp-fuse --mp-verify-transferred | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that no loop reads more than 16 operands: of two that read 10 each one stays apart.
// CHECK-LABEL: mp.model @operands
// CHECK: mp.map
// CHECK: mp.map
// CHECK-NOT: mp.map
mp.model @operands devices 1 {
  mp.program @predict ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19"] {
  ^bb0(%x0: !row, %x1: !row, %x2: !row, %x3: !row, %x4: !row, %x5: !row, %x6: !row, %x7: !row, %x8: !row, %x9: !row, %x10: !row, %x11: !row, %x12: !row, %x13: !row, %x14: !row, %x15: !row, %x16: !row, %x17: !row, %x18: !row, %x19: !row):
    %p01 = mp.add %x0, %x1 {mp.device = 0 : i64} : !row, !row -> !row
    %p02 = mp.add %p01, %x2 {mp.device = 0 : i64} : !row, !row -> !row
    %p03 = mp.add %p02, %x3 {mp.device = 0 : i64} : !row, !row -> !row
    %p04 = mp.add %p03, %x4 {mp.device = 0 : i64} : !row, !row -> !row
    %p11 = mp.add %x5, %x6 {mp.device = 0 : i64} : !row, !row -> !row
    %p12 = mp.add %p11, %x7 {mp.device = 0 : i64} : !row, !row -> !row
    %p13 = mp.add %p12, %x8 {mp.device = 0 : i64} : !row, !row -> !row
    %p14 = mp.add %p13, %x9 {mp.device = 0 : i64} : !row, !row -> !row
    %p21 = mp.add %x10, %x11 {mp.device = 0 : i64} : !row, !row -> !row
    %p22 = mp.add %p21, %x12 {mp.device = 0 : i64} : !row, !row -> !row
    %p23 = mp.add %p22, %x13 {mp.device = 0 : i64} : !row, !row -> !row
    %p24 = mp.add %p23, %x14 {mp.device = 0 : i64} : !row, !row -> !row
    %p31 = mp.add %x15, %x16 {mp.device = 0 : i64} : !row, !row -> !row
    %p32 = mp.add %p31, %x17 {mp.device = 0 : i64} : !row, !row -> !row
    %p33 = mp.add %p32, %x18 {mp.device = 0 : i64} : !row, !row -> !row
    %p34 = mp.add %p33, %x19 {mp.device = 0 : i64} : !row, !row -> !row
    %q0 = mp.mul %p04, %p14 {mp.device = 0 : i64} : !row, !row -> !row
    %q1 = mp.mul %p24, %p34 {mp.device = 0 : i64} : !row, !row -> !row
    %q2 = mp.mul %q0, %q1 {mp.device = 0 : i64} : !row, !row -> !row
    mp.return %q2 : !row
  }
}

// Tests that no loop has more than 64 operations: of 70 in a chain the last few are a loop of their own.
// CHECK-LABEL: mp.model @operations
// CHECK: %[[FIRST:.*]] = mp.map
// CHECK-COUNT-62: = mp.neg
// CHECK-NOT: mp.neg
// CHECK: mp.map %[[FIRST]]
// CHECK-COUNT-8: = mp.neg
// CHECK-NOT: mp.map
mp.model @operations devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%y0: !row):
    %y1 = mp.neg %y0 {mp.device = 0 : i64} : !row -> !row
    %y2 = mp.neg %y1 {mp.device = 0 : i64} : !row -> !row
    %y3 = mp.neg %y2 {mp.device = 0 : i64} : !row -> !row
    %y4 = mp.neg %y3 {mp.device = 0 : i64} : !row -> !row
    %y5 = mp.neg %y4 {mp.device = 0 : i64} : !row -> !row
    %y6 = mp.neg %y5 {mp.device = 0 : i64} : !row -> !row
    %y7 = mp.neg %y6 {mp.device = 0 : i64} : !row -> !row
    %y8 = mp.neg %y7 {mp.device = 0 : i64} : !row -> !row
    %y9 = mp.neg %y8 {mp.device = 0 : i64} : !row -> !row
    %y10 = mp.neg %y9 {mp.device = 0 : i64} : !row -> !row
    %y11 = mp.neg %y10 {mp.device = 0 : i64} : !row -> !row
    %y12 = mp.neg %y11 {mp.device = 0 : i64} : !row -> !row
    %y13 = mp.neg %y12 {mp.device = 0 : i64} : !row -> !row
    %y14 = mp.neg %y13 {mp.device = 0 : i64} : !row -> !row
    %y15 = mp.neg %y14 {mp.device = 0 : i64} : !row -> !row
    %y16 = mp.neg %y15 {mp.device = 0 : i64} : !row -> !row
    %y17 = mp.neg %y16 {mp.device = 0 : i64} : !row -> !row
    %y18 = mp.neg %y17 {mp.device = 0 : i64} : !row -> !row
    %y19 = mp.neg %y18 {mp.device = 0 : i64} : !row -> !row
    %y20 = mp.neg %y19 {mp.device = 0 : i64} : !row -> !row
    %y21 = mp.neg %y20 {mp.device = 0 : i64} : !row -> !row
    %y22 = mp.neg %y21 {mp.device = 0 : i64} : !row -> !row
    %y23 = mp.neg %y22 {mp.device = 0 : i64} : !row -> !row
    %y24 = mp.neg %y23 {mp.device = 0 : i64} : !row -> !row
    %y25 = mp.neg %y24 {mp.device = 0 : i64} : !row -> !row
    %y26 = mp.neg %y25 {mp.device = 0 : i64} : !row -> !row
    %y27 = mp.neg %y26 {mp.device = 0 : i64} : !row -> !row
    %y28 = mp.neg %y27 {mp.device = 0 : i64} : !row -> !row
    %y29 = mp.neg %y28 {mp.device = 0 : i64} : !row -> !row
    %y30 = mp.neg %y29 {mp.device = 0 : i64} : !row -> !row
    %y31 = mp.neg %y30 {mp.device = 0 : i64} : !row -> !row
    %y32 = mp.neg %y31 {mp.device = 0 : i64} : !row -> !row
    %y33 = mp.neg %y32 {mp.device = 0 : i64} : !row -> !row
    %y34 = mp.neg %y33 {mp.device = 0 : i64} : !row -> !row
    %y35 = mp.neg %y34 {mp.device = 0 : i64} : !row -> !row
    %y36 = mp.neg %y35 {mp.device = 0 : i64} : !row -> !row
    %y37 = mp.neg %y36 {mp.device = 0 : i64} : !row -> !row
    %y38 = mp.neg %y37 {mp.device = 0 : i64} : !row -> !row
    %y39 = mp.neg %y38 {mp.device = 0 : i64} : !row -> !row
    %y40 = mp.neg %y39 {mp.device = 0 : i64} : !row -> !row
    %y41 = mp.neg %y40 {mp.device = 0 : i64} : !row -> !row
    %y42 = mp.neg %y41 {mp.device = 0 : i64} : !row -> !row
    %y43 = mp.neg %y42 {mp.device = 0 : i64} : !row -> !row
    %y44 = mp.neg %y43 {mp.device = 0 : i64} : !row -> !row
    %y45 = mp.neg %y44 {mp.device = 0 : i64} : !row -> !row
    %y46 = mp.neg %y45 {mp.device = 0 : i64} : !row -> !row
    %y47 = mp.neg %y46 {mp.device = 0 : i64} : !row -> !row
    %y48 = mp.neg %y47 {mp.device = 0 : i64} : !row -> !row
    %y49 = mp.neg %y48 {mp.device = 0 : i64} : !row -> !row
    %y50 = mp.neg %y49 {mp.device = 0 : i64} : !row -> !row
    %y51 = mp.neg %y50 {mp.device = 0 : i64} : !row -> !row
    %y52 = mp.neg %y51 {mp.device = 0 : i64} : !row -> !row
    %y53 = mp.neg %y52 {mp.device = 0 : i64} : !row -> !row
    %y54 = mp.neg %y53 {mp.device = 0 : i64} : !row -> !row
    %y55 = mp.neg %y54 {mp.device = 0 : i64} : !row -> !row
    %y56 = mp.neg %y55 {mp.device = 0 : i64} : !row -> !row
    %y57 = mp.neg %y56 {mp.device = 0 : i64} : !row -> !row
    %y58 = mp.neg %y57 {mp.device = 0 : i64} : !row -> !row
    %y59 = mp.neg %y58 {mp.device = 0 : i64} : !row -> !row
    %y60 = mp.neg %y59 {mp.device = 0 : i64} : !row -> !row
    %y61 = mp.neg %y60 {mp.device = 0 : i64} : !row -> !row
    %y62 = mp.neg %y61 {mp.device = 0 : i64} : !row -> !row
    %y63 = mp.neg %y62 {mp.device = 0 : i64} : !row -> !row
    %y64 = mp.neg %y63 {mp.device = 0 : i64} : !row -> !row
    %y65 = mp.neg %y64 {mp.device = 0 : i64} : !row -> !row
    %y66 = mp.neg %y65 {mp.device = 0 : i64} : !row -> !row
    %y67 = mp.neg %y66 {mp.device = 0 : i64} : !row -> !row
    %y68 = mp.neg %y67 {mp.device = 0 : i64} : !row -> !row
    %y69 = mp.neg %y68 {mp.device = 0 : i64} : !row -> !row
    %y70 = mp.neg %y69 {mp.device = 0 : i64} : !row -> !row
    mp.return %y70 : !row
  }
}
