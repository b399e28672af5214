// RUN: mp-opt %s | mp-opt | FileCheck %s

!t = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that calls of C++ functions read back as they print.
// CHECK-LABEL: mp.model @foreign
// CHECK: mp.call_scalar "my::swish" from "my_ops.h"(%{{.*}}) {gradient = "my::swish_grad"} : (tensor<?x4xf32
// CHECK: mp.call_scalar "gate_grad" from "my_ops.h"(%{{.*}}, %{{.*}}) {element = 1 : i64}
// CHECK: mp.call_tensor "mix" from "my_ops.h"(%{{.*}}) {gradient = "mix_grad", row_wise}
// CHECK: mp.call_tensor "mix_grad" from "my_ops.h"(%{{.*}}, %{{.*}}) {adjoint = 0 : i64}
mp.model @foreign {
  mp.program @predict ["x"] {
  ^bb0(%x: !t):
    %a = mp.call_scalar "my::swish" from "my_ops.h"(%x) {gradient = "my::swish_grad"} : (!t) -> !t
    %b = mp.call_scalar "gate_grad" from "my_ops.h"(%x, %a) {element = 1 : i64} : (!t, !t) -> !t
    %c = mp.call_tensor "mix" from "my_ops.h"(%b) {gradient = "mix_grad", row_wise} : (!t) -> !t
    %d = mp.call_tensor "mix_grad" from "my_ops.h"(%b, %c) {adjoint = 0 : i64} : (!t, !t) -> !t
    mp.return %d : !t
  }
}
