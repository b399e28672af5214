// RUN: mp-opt %s --mp-cut-rows | FileCheck %s

!x = tensor<?x3xf32, #mp.dims<batch, 3>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that a function of whole tensors that says that it is row-wise is worked through in parts.
// CHECK-LABEL: mp.model @row_wise
// CHECK: mp.program @train {{.*}}mp.rows_a_part = 64
mp.model @row_wise devices 1 {
  mp.program @train ["x"] {
  ^bb0(%x: !x):
    %h = mp.call_tensor "f" from "f.h"(%x) {row_wise, mp.device = 0 : i64} : (!x) -> !x
    %loss = mp.reduce sum %h [0, 1] {mp.device = 0 : i64} : !x -> !scalar
    mp.return %loss : !scalar
  }
}

// Tests that one that does not gets all rows at once.
// CHECK-LABEL: mp.model @whole
// CHECK-NOT: mp.rows_a_part
mp.model @whole devices 1 {
  mp.program @train ["x"] {
  ^bb0(%x: !x):
    %h = mp.call_tensor "f" from "f.h"(%x) {mp.device = 0 : i64} : (!x) -> !x
    %loss = mp.reduce sum %h [0, 1] {mp.device = 0 : i64} : !x -> !scalar
    mp.return %loss : !scalar
  }
}
