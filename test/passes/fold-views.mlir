// RUN: mp-opt %s --mp-fold-views --split-input-file | FileCheck %s

!x = tensor<?x8x48xf32, #mp.dims<batch, time=8, 48>>
!third = tensor<?x8x16xf32, #mp.dims<batch, time=8, 16>>
!split = tensor<?x8x4x4xf32, #mp.dims<batch, time=8, heads=4, dim=4>>
!head = tensor<?x4x8x4xf32, #mp.dims<batch, heads=4, time=8, dim=4>>
!sums = tensor<?x4x8xf32, #mp.dims<batch, heads=4, time=8>>

// Tests that heads are read from the projection, and written to where the next one and the
// gradient of this one want them.
// CHECK-LABEL: mp.model @folded
// CHECK-NOT: mp.permute
// CHECK-NOT: mp.slice
// CHECK: %[[Y:[a-z_0-9]+]], %[[SUMS:[a-z_0-9]+]] = mp.attention %[[X:[a-z0-9]+]], %[[X]], %[[X]] causal
// CHECK-SAME: #mp.view<<batch, heads=4, time=8, dim=4> from 0 steps[384, 4, 48, 1] of 0>
// CHECK-SAME: #mp.view<<batch, heads=4, time=8, dim=4> from 16 steps[384, 4, 48, 1] of 1>
// CHECK-SAME: #mp.view<<batch, heads=4, time=8, dim=4> from 32 steps[384, 4, 48, 1] of 2>
// CHECK-SAME: #mp.view<<batch, heads=4, time=8, dim=4> from 0 steps[128, 4, 16, 1] of 0>
// CHECK-SAME: -> (tensor<?x8x4x4xf32
// CHECK: %[[DX:.*]] = mp.attention_gradient %[[G:[a-z0-9]+]], %[[X]], %[[X]], %[[X]], %[[Y]], %[[SUMS]] causal
// CHECK-SAME: #mp.view<<batch, heads=4, time=8, dim=4> from 0 steps[128, 4, 16, 1] of 0>
// CHECK-SAME: from 0 steps[384, 4, 48, 1] of 0>
// CHECK-SAME: from 16 steps[384, 4, 48, 1] of 0>
// CHECK-SAME: from 32 steps[384, 4, 48, 1] of 0>]
// CHECK-SAME: -> tensor<?x8x48xf32
// CHECK-NOT: mp.concat
// CHECK: mp.return %[[Y]], %[[DX]]
mp.model @folded devices 1 {
  mp.program @predict ["x", "g"] {
  ^bb0(%x: !x, %g: !split):
    %sq = mp.slice %x dimension 2 from 0 to 16 {mp.device = 0 : i64} : !x -> !third
    %sk = mp.slice %x dimension 2 from 16 to 32 {mp.device = 0 : i64} : !x -> !third
    %sv = mp.slice %x dimension 2 from 32 to 48 {mp.device = 0 : i64} : !x -> !third
    %rq = mp.reshape %sq {mp.device = 0 : i64} : !third -> !split
    %rk = mp.reshape %sk {mp.device = 0 : i64} : !third -> !split
    %rv = mp.reshape %sv {mp.device = 0 : i64} : !third -> !split
    %q = mp.permute %rq [0, 2, 1, 3] {mp.device = 0 : i64} : !split -> !head
    %k = mp.permute %rk [0, 2, 1, 3] {mp.device = 0 : i64} : !split -> !head
    %v = mp.permute %rv [0, 2, 1, 3] {mp.device = 0 : i64} : !split -> !head
    %y, %sums = mp.attention %q, %k, %v causal {mp.device = 0 : i64} : (!head, !head, !head) -> (!head, !sums)
    %out = mp.permute %y [0, 2, 1, 3] {mp.device = 0 : i64} : !head -> !split
    %gy = mp.permute %g [0, 2, 1, 3] {mp.device = 0 : i64} : !split -> !head
    %dq, %dk, %dv = mp.attention_gradient %gy, %q, %k, %v, %y, %sums causal {mp.device = 0 : i64} : (!head, !head, !head, !head, !head, !sums) -> (!head, !head, !head)
    %pq = mp.permute %dq [0, 2, 1, 3] {mp.device = 0 : i64} : !head -> !split
    %pk = mp.permute %dk [0, 2, 1, 3] {mp.device = 0 : i64} : !head -> !split
    %pv = mp.permute %dv [0, 2, 1, 3] {mp.device = 0 : i64} : !head -> !split
    %tq = mp.reshape %pq {mp.device = 0 : i64} : !split -> !third
    %tk = mp.reshape %pk {mp.device = 0 : i64} : !split -> !third
    %tv = mp.reshape %pv {mp.device = 0 : i64} : !split -> !third
    %dx = mp.concat %tq, %tk, %tv dimension 2 {mp.device = 0 : i64} : (!third, !third, !third) -> !x
    mp.return %out, %dx : !split, !x
  }
}

// -----

!x = tensor<?x8x48xf32, #mp.dims<batch, time=8, 48>>
!third = tensor<?x8x16xf32, #mp.dims<batch, time=8, 16>>
!split = tensor<?x8x4x4xf32, #mp.dims<batch, time=8, heads=4, dim=4>>
!head = tensor<?x4x8x4xf32, #mp.dims<batch, heads=4, time=8, dim=4>>
!sums = tensor<?x4x8xf32, #mp.dims<batch, heads=4, time=8>>

// Tests that slices that leave out a part of their tensor stay, as all of it would be kept; the permutes between go.
// CHECK-LABEL: mp.model @partly
// CHECK: %[[S:.*]] = mp.slice %{{.*}} dimension 2 from 0 to 16
// CHECK-NOT: mp.permute
// CHECK: %[[R:.*]] = mp.reshape %[[S]]
// CHECK: mp.attention %[[R]], %[[R]], %[[R]] {{.*}}#mp.view<<batch, heads=4, time=8, dim=4> from 0 steps[128, 4, 16, 1] of 0>
mp.model @partly devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    %s = mp.slice %x dimension 2 from 0 to 16 {mp.device = 0 : i64} : !x -> !third
    %r = mp.reshape %s {mp.device = 0 : i64} : !third -> !split
    %q = mp.permute %r [0, 2, 1, 3] {mp.device = 0 : i64} : !split -> !head
    %y, %sums = mp.attention %q, %q, %q {mp.device = 0 : i64} : (!head, !head, !head) -> (!head, !sums)
    mp.return %y : !head
  }
}

// -----

!split = tensor<?x8x4x4xf32, #mp.dims<batch, time=8, heads=4, dim=4>>
!head = tensor<?x4x8x4xf32, #mp.dims<batch, heads=4, time=8, dim=4>>
!sums = tensor<?x4x8xf32, #mp.dims<batch, heads=4, time=8>>

// Tests that copies which others read, and those of another device, stay; and so does a result that is read as it is.
// CHECK-LABEL: mp.model @others_read
// CHECK: %[[Q:.*]] = mp.permute
// CHECK: mp.neg %[[Q]]
// CHECK: %[[K:.*]] = mp.permute
// CHECK: %[[Y:.*]], %{{.*}} = mp.attention %[[Q]], %[[Q]], %[[K]] {mp.device = 0 : i64}
// CHECK: mp.permute %[[Y]]
mp.model @others_read devices 2 {
  mp.program @predict ["x", "z"] {
  ^bb0(%x: !split, %z: !split):
    %q = mp.permute %x [0, 2, 1, 3] {mp.device = 0 : i64} : !split -> !head
    %n = mp.neg %q {mp.device = 0 : i64} : !head -> !head
    %k = mp.permute %z [0, 2, 1, 3] {mp.device = 1 : i64} : !split -> !head
    %y, %sums = mp.attention %q, %q, %k {mp.device = 0 : i64} : (!head, !head, !head) -> (!head, !sums)
    %o = mp.permute %y [0, 2, 1, 3] {mp.device = 0 : i64} : !head -> !split
    mp.return %o, %n, %y : !split, !head, !head
  }
}

// -----

!x = tensor<?x8x4x4xf32, #mp.dims<batch, time=8, heads=4, dim=4>>
!turned = tensor<?x4x4x8xf32, #mp.dims<batch, heads=4, dim=4, time=8>>
!sums = tensor<?x4x4xf32, #mp.dims<batch, heads=4, dim=4>>

// Tests that a permute which would leave the elements of a row apart stays.
// CHECK-LABEL: mp.model @apart
// CHECK: %[[Q:.*]] = mp.permute
// CHECK: mp.attention %[[Q]], %[[Q]], %[[Q]] {mp.device = 0 : i64}
mp.model @apart devices 1 {
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    %q = mp.permute %x [0, 2, 3, 1] {mp.device = 0 : i64} : !x -> !turned
    %y, %sums = mp.attention %q, %q, %q {mp.device = 0 : i64} : (!turned, !turned, !turned) -> (!turned, !sums)
    mp.return %y : !turned
  }
}
