// RUN: mp-opt %s --mp-fuse | FileCheck %s

!x = tensor<?x3xf32, #mp.dims<batch, 3>>

// Tests that a C++ function of scalars is part of the loop that it stands in, and one of tensors is none.
// CHECK-LABEL: mp.model @chain
// CHECK: %[[MAP:.*]] = mp.map %{{.*}}
// CHECK: mp.exp
// CHECK-NEXT: mp.call_scalar "swish" from "f.h"(%{{.*}}) {gradient = "swish_grad"} : (f32) -> f32
// CHECK-NEXT: mp.neg
// CHECK: mp.call_tensor "mix" from "f.h"(%[[MAP]])
// CHECK-NOT: mp.call_scalar
mp.model @chain devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    %a = mp.exp %x {mp.device = 0 : i64} : !x -> !x
    %b = mp.call_scalar "swish" from "f.h"(%a) {gradient = "swish_grad", mp.device = 0 : i64} : (!x) -> !x
    %c = mp.neg %b {mp.device = 0 : i64} : !x -> !x
    %d = mp.call_tensor "mix" from "f.h"(%c) {mp.device = 0 : i64} : (!x) -> !x
    mp.return %d : !x
  }
}
