// RUN: mp-opt %s --mp-split --mp-verify-split | FileCheck %s

!x = tensor<?x6xf32, #mp.dims<batch, 6>>
!w = tensor<6x6xf32, #mp.dims<out=6, in=6>>

#rows = {devices = array<i64: 0, 1>, names = ["in"], sizes = array<i64: 2>}

// Tests that a device which would be sent terms of a sum and another value, to compute what the first device has computed as well, is sent that alone.
// CHECK-LABEL: mp.model @gradient_alone
// CHECK: %[[P0:.*]] = mp.matmul {{.*}} {mp.device = 0 : i64}
// CHECK: %[[P1:.*]] = mp.matmul {{.*}} {mp.device = 1 : i64}
// CHECK: %[[H0:.*]] = mp.add %[[P0]], %[[P1]] {mp.device = 0 : i64}
// CHECK-NOT: mp.add {{.*}} {mp.device = 1 : i64}
// CHECK: %[[D0:.*]] = mp.mul %{{.*}}, %{{.*}} {mp.device = 0 : i64}
// CHECK-NOT: mp.mul {{.*}} {mp.device = 1 : i64}
// CHECK: mp.matmul %[[D0]], {{.*}} {mp.device = 1 : i64}
mp.model @gradient_alone devices 3 {
  mp.parameter @down : !w init zeros []
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    %w = mp.read @down {mp.device = 0, mp.group = #rows} : !w
    %p = mp.matmul %x, %w transpose_b {mp.device = 0, mp.group = #rows} : !x, !w -> !x
    %h = mp.tanh %p {mp.device = 0, mp.group = #rows} : !x -> !x
    %g = mp.exp %h {mp.device = 2} : !x -> !x
    %d = mp.mul %g, %h {mp.device = 0, mp.group = #rows} : !x, !x -> !x
    %r = mp.matmul %d, %w {mp.device = 0, mp.group = #rows} : !x, !w -> !x
    %y = mp.sin %r {mp.device = 2} : !x -> !x
    mp.return %y : !x
  }
}
