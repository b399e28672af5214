// RUN: mp-opt %s --mp-differentiate --split-input-file --verify-diagnostics | FileCheck %s

!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!counts = tensor<4x4xi32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that the derivatives of a C++ function are the function that its gradient names: of one real operand a number, of
// several one each, integers left out; and that of whole tensors it gives one adjoint a call.
// CHECK-LABEL: mp.model @calls
// CHECK-DAG: mp.call_tensor "mix_grad" from "f.h"(%[[P:.*]], %[[Q:.*]], %[[G:.*]]) {adjoint = 0 : i64, {{.*}}row_wise}
// CHECK-DAG: mp.call_tensor "mix_grad" from "f.h"(%[[P]], %[[Q]], %[[G]]) {adjoint = 1 : i64, {{.*}}row_wise}
// CHECK-DAG: mp.call_scalar "gate_grad" from "f.h"(%{{.*}}, %{{.*}}, %{{.*}}) {element = 0 : i64
// CHECK-DAG: mp.call_scalar "gate_grad" from "f.h"(%{{.*}}, %{{.*}}, %{{.*}}) {element = 1 : i64
// CHECK: %[[SLOPE:.*]] = mp.call_scalar "swish_grad" from "f.h"(%{{[a-z0-9]+}}) {mp.of
// CHECK-NEXT: mp.mul %{{.*}}, %[[SLOPE]]
mp.model @calls {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["n"] {
  ^bb0(%n: !counts):
    %w = mp.read @w : !weight
    %a = mp.call_scalar "swish" from "f.h"(%w) {gradient = "swish_grad"} : (!weight) -> !weight
    %b = mp.call_scalar "gate" from "f.h"(%a, %n, %w) {gradient = "gate_grad"} : (!weight, !counts, !weight) -> !weight
    %c = mp.call_tensor "mix" from "f.h"(%b, %a) {gradient = "mix_grad", row_wise} : (!weight, !weight) -> !weight
    %l = mp.reduce sum %c [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}

// -----

!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that without a gradient there is none.
mp.model @no_gradient {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train [] {
    %w = mp.read @w : !weight
    // expected-error @below {{`mix` has no derivative; give `grad …` in its declaration}}
    %c = mp.call_tensor "my::mix" from "f.h"(%w) : (!weight) -> !weight
    %l = mp.reduce sum %c [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}
