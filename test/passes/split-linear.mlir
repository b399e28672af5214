// RUN: mp-opt %s --mp-split --mp-verify-split | FileCheck %s

!x = tensor<?x6xf32, #mp.dims<batch, 6>>
!h = tensor<?x8xf32, #mp.dims<batch, out=8>>
!up = tensor<8x6xf32, #mp.dims<out=8, in=6>>
!down = tensor<6x8xf32, #mp.dims<out=6, in=8>>
!bias = tensor<6xf32, #mp.dims<out=6>>

#columns = {devices = array<i64: 0, 1>, names = ["out"], sizes = array<i64: 2>}
#rows = {devices = array<i64: 0, 1>, names = ["in"], sizes = array<i64: 2>}

// Tests a column split and a row split: each device has pieces of the weights and a copy of the bias; what lies between the two stays in pieces; one sum,
// in the order of the group, makes the product whole, before the bias is added.
// CHECK-LABEL: mp.model @columns_then_rows
// CHECK: mp.parameter @up.at_0 : tensor<4x6xf32, #mp.dims<out=4, in=6>> {{.*}}mp.piece = {from = array<i64: 0, 0>, of = "up", sizes = array<i64: 8, 6>, to = array<i64: 4, 6>
// CHECK: mp.parameter @up.at_1 : {{.*}}mp.device = 1 : i64, mp.piece = {from = array<i64: 4, 0>, of = "up", sizes = array<i64: 8, 6>, to = array<i64: 8, 6>
// CHECK: mp.parameter @down.at_0 : tensor<6x4xf32, #mp.dims<out=6, in=4>> {{.*}}from = array<i64: 0, 0>, of = "down", sizes = array<i64: 6, 8>, to = array<i64: 6, 4>
// CHECK: mp.parameter @bias.at_1 : tensor<6xf32, #mp.dims<out=6>> {{.*}}from = array<i64: 0>, of = "bias", sizes = array<i64: 6>, to = array<i64: 6>
// CHECK: mp.program @predict {{.*}}mp.collectives = [{by_row, bytes = 24 : i64, devices = array<i64: 0, 1>, kind = "all_reduce", value = ""}]
// CHECK: %[[UP0:.*]] = mp.read @up.at_0 {mp.device = 0 : i64}
// CHECK: %[[H0:.*]] = mp.matmul %arg0, %[[UP0]] transpose_b {mp.device = 0 : i64} : {{.*}} -> tensor<?x4xf32, #mp.dims<batch, out=4>>
// CHECK: %[[A0:.*]] = mp.relu %[[H0]] {mp.device = 0 : i64}
// CHECK: %[[P0:.*]] = mp.matmul %[[A0]], %{{.*}} transpose_b {mp.device = 0 : i64} : {{.*}} -> tensor<?x6xf32, #mp.dims<batch, 6>>
// CHECK: %[[A1:.*]] = mp.relu %{{.*}} {mp.device = 1 : i64}
// CHECK: %[[P1:.*]] = mp.matmul %[[A1]], %{{.*}} transpose_b {mp.device = 1 : i64}
// CHECK: %[[S0:.*]] = mp.add %[[P0]], %[[P1]] {mp.device = 0 : i64}
// CHECK: %[[Y0:.*]] = mp.add %[[S0]], %{{.*}} {mp.device = 0 : i64}
// CHECK: mp.return %[[Y0]]
mp.model @columns_then_rows devices 2 {
  mp.parameter @up : !up init zeros []
  mp.parameter @down : !down init zeros []
  mp.parameter @bias : !bias init zeros []
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    %up = mp.read @up {mp.device = 0, mp.group = #columns} : !up
    %h = mp.matmul %x, %up transpose_b {mp.device = 0, mp.group = #columns} : !x, !up -> !h
    %a = mp.relu %h {mp.device = 0, mp.group = #columns} : !h -> !h
    %down = mp.read @down {mp.device = 0, mp.group = #rows} : !down
    %p = mp.matmul %a, %down transpose_b {mp.device = 0, mp.group = #rows} : !h, !down -> !x
    %bias = mp.read @bias {mp.device = 0, mp.group = #rows} : !bias
    %b = mp.broadcast %bias [-1, 0] {mp.device = 0, mp.group = #rows} : !bias -> !x
    %y = mp.add %p, %b {mp.device = 0, mp.group = #rows} : !x, !x -> !x
    mp.return %y : !x
  }
}

// Tests that a value of a group is put together on a device that needs it whole, there alone, and that this one is cut again where it is, before it moves.
// CHECK-LABEL: mp.model @elsewhere
// CHECK: mp.program @predict {{.*}}kind = "gather"
// CHECK: %[[H0:.*]] = mp.matmul {{.*}} {mp.device = 0 : i64}
// CHECK: %[[H1:.*]] = mp.matmul {{.*}} {mp.device = 1 : i64}
// CHECK: %[[APART0:.*]] = mp.concat %[[H0]], %[[H1]] dimension 1 {mp.device = 2 : i64}
// CHECK: %[[T:.*]] = mp.tanh %[[APART0]] {mp.device = 2 : i64}
// CHECK: mp.slice %[[T]] dimension 1 from 0 to 4 {mp.device = 2 : i64}
// CHECK: mp.slice %[[T]] dimension 1 from 4 to 8 {mp.device = 2 : i64}
mp.model @elsewhere devices 3 {
  mp.parameter @up : !up init zeros []
  mp.parameter @down : !down init zeros []
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    %up = mp.read @up {mp.device = 0, mp.group = #columns} : !up
    %h = mp.matmul %x, %up transpose_b {mp.device = 0, mp.group = #columns} : !x, !up -> !h
    %t = mp.tanh %h {mp.device = 2} : !h -> !h
    %down = mp.read @down {mp.device = 0, mp.group = #rows} : !down
    %y = mp.matmul %t, %down transpose_b {mp.device = 0, mp.group = #rows} : !h, !down -> !x
    mp.return %y : !x
  }
}

// Tests that a model without groups stays as it is.
// CHECK-LABEL: mp.model @alone
// CHECK: mp.parameter @up : tensor<8x6xf32, #mp.dims<out=8, in=6>> init zeros [] {mp.device = 1 : i64}
// CHECK-NOT: mp.collectives
// CHECK: mp.matmul %arg0, %0 transpose_b {mp.device = 1 : i64}
mp.model @alone devices 2 {
  mp.parameter @up : !up init zeros [] {mp.device = 1}
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    %up = mp.read @up {mp.device = 1} : !up
    %h = mp.matmul %x, %up transpose_b {mp.device = 1} : !x, !up -> !h
    mp.return %h : !h
  }
}

!both = tensor<4x6xf32, #mp.dims<a=4, b=6>>
#a = {devices = array<i64: 0, 1>, names = ["a"], sizes = array<i64: 2>}
#b = {devices = array<i64: 0, 1>, names = ["b"], sizes = array<i64: 2>}

// Tests that what is cut one way and wanted another goes from all to all: of each piece the part that another device wants. Parameters stay as they are.
// CHECK-LABEL: mp.model @another_way
// CHECK: mp.program @predict {{.*}}mp.collectives = [{bytes = 96 : i64, devices = array<i64: 0, 1>, kind = "all_to_all", value = ""}, {{.*}}kind = "all_gather"
// CHECK: %[[E0:.*]] = mp.exp {{.*}} -> tensor<2x6xf32, #mp.dims<a=2, b=6>>
// CHECK-DAG: %[[OWN:.*]] = mp.slice %[[E0]] dimension 1 from 0 to 3 {mp.device = 0 : i64}
// CHECK-DAG: %[[THEIRS:.*]] = mp.slice %{{.*}} dimension 1 from 0 to 3 {mp.device = 1 : i64} {{.*}} -> tensor<2x3xf32, #mp.dims<a=2, b=3>>
// CHECK-DAG: mp.concat %[[OWN]], %[[THEIRS]] dimension 0 {mp.device = 0 : i64}
mp.model @another_way devices 2 {
  mp.parameter @p : !both init ones []
  mp.parameter @q : !both init ones []
  mp.program @predict ["x"] {
  ^bb0(%x: !both):
    %p = mp.read @p {mp.device = 0, mp.group = #a} : !both
    %e = mp.exp %p {mp.device = 0, mp.group = #a} : !both -> !both
    %q = mp.read @q {mp.device = 0, mp.group = #b} : !both
    %s = mp.add %e, %q {mp.device = 0, mp.group = #b} : !both, !both -> !both
    %m = mp.softmax %s dimension 1 {mp.device = 0, mp.group = #b} : !both -> !both
    %n = mp.argmax %m dimension 1 {mp.device = 0, mp.group = #b} : !both -> tensor<4xi32, #mp.dims<a=4>>
    mp.return %n : tensor<4xi32, #mp.dims<a=4>>
  }
}
