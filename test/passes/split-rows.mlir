// RUN: mp-opt %s --mp-split --mp-verify-split | FileCheck %s

!x = tensor<?x6xf32, #mp.dims<batch, 6>>
!h = tensor<?x8xf32, #mp.dims<batch, out=8>>
!up = tensor<8x6xf32, #mp.dims<out=8, in=6>>

#rows = {devices = array<i64: 0, 1>, names = ["batch"], sizes = array<i64: 2>}

// Tests that the rows of the batch are divided: each device has all of the weight and a piece of the rows, which is part of the type; what is wanted whole is
// joined where it is wanted.
// CHECK-LABEL: mp.model @rows
// CHECK: mp.parameter @up.at_1 : tensor<8x6xf32, #mp.dims<out=8, in=6>>
// CHECK: mp.program @predict {{.*}}kind = "gather"
// CHECK: %[[X0:.*]] = mp.slice %arg0 dimension 0 from 0 to 0 {mp.device = 0 : i64} : {{.*}} -> tensor<?x6xf32, #mp.dims<batch[0 of 2], 6>>
// CHECK: %[[H0:.*]] = mp.matmul %[[X0]], %{{.*}} transpose_b {mp.device = 0 : i64} : {{.*}} -> tensor<?x8xf32, #mp.dims<batch[0 of 2], out=8>>
// CHECK: %[[A0:.*]] = mp.relu %[[H0]] {mp.device = 0 : i64}
// CHECK: %[[X1:.*]] = mp.slice %arg0 dimension 0 from 0 to 0 {mp.device = 1 : i64} : {{.*}} -> tensor<?x6xf32, #mp.dims<batch[1 of 2], 6>>
// CHECK: %[[A1:.*]] = mp.relu %{{.*}} {mp.device = 1 : i64}
// CHECK: %[[A:.*]] = mp.concat %[[A0]], %[[A1]] dimension 0 {mp.device = 2 : i64}
// CHECK: mp.tanh %[[A]] {mp.device = 2 : i64}
mp.model @rows devices 3 {
  mp.parameter @up : !up init zeros []
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    %up = mp.read @up {mp.device = 0, mp.group = #rows} : !up
    %h = mp.matmul %x, %up transpose_b {mp.device = 0, mp.group = #rows} : !x, !up -> !h
    %a = mp.relu %h {mp.device = 0, mp.group = #rows} : !h -> !h
    %t = mp.tanh %a {mp.device = 2} : !h -> !h
    mp.return %t : !h
  }
}

// Tests that a sum over the rows is terms on the devices that divide them: of a gradient that each then has whole.
// CHECK-LABEL: mp.model @sums_of_rows
// CHECK: mp.program @predict {{.*}}mp.collectives = [{bytes = 192 : i64, devices = array<i64: 0, 1>, kind = "all_reduce", value = ""}]
// CHECK-DAG: %[[G0:.*]] = mp.matmul {{.*}} transpose_a {mp.device = 0 : i64}
// CHECK-DAG: %[[G1:.*]] = mp.matmul {{.*}} transpose_a {mp.device = 1 : i64}
// CHECK: mp.add %[[G0]], %[[G1]]
mp.model @sums_of_rows devices 2 {
  mp.parameter @up : !up init zeros []
  mp.program @predict ["g", "x"] {
  ^bb0(%g: !h, %x: !x):
    %up = mp.read @up {mp.device = 0, mp.group = #rows} : !up
    %r = mp.relu %g {mp.device = 0, mp.group = #rows} : !h -> !h
    %d = mp.matmul %r, %x transpose_a {mp.device = 0, mp.group = #rows} : !h, !x -> !up
    %s = mp.sub %up, %d {mp.device = 0, mp.group = #rows} : !up, !up -> !up
    %e = mp.exp %s {mp.device = 0, mp.group = #rows} : !up -> !up
    mp.return %e : !up
  }
}

!wide = tensor<?x64xf32, #mp.dims<batch, 64>>
!narrow = tensor<64x64xf32, #mp.dims<out=64, in=64>>
#three = {devices = array<i64: 0, 1, 2>, names = ["in"], sizes = array<i64: 3>}

// Tests that a sum over three devices travels in pieces: each adds up its own of all terms in the group's order, and has the others'.
// CHECK-LABEL: mp.model @in_pieces
// CHECK: mp.collectives = [{by_row, bytes = 256 : i64, devices = array<i64: 0, 1, 2>, kind = "all_reduce", value = ""}]
// CHECK: mp.add %{{.*}}, %{{.*}} {mp.device = 0 : i64} : tensor<?x22xf32
// CHECK: mp.add %{{.*}}, %{{.*}} {mp.device = 1 : i64} : tensor<?x21xf32
// CHECK: mp.add %{{.*}}, %{{.*}} {mp.device = 2 : i64} : tensor<?x21xf32
// CHECK: mp.concat %{{.*}}, %{{.*}}, %{{.*}} dimension 1 {mp.device = 0 : i64}
mp.model @in_pieces devices 3 {
  mp.parameter @down : !narrow init zeros []
  mp.program @predict ["x"] {
  ^bb0(%x: !wide):
    %w = mp.read @down {mp.device = 0, mp.group = #three} : !narrow
    %p = mp.matmul %x, %w transpose_b {mp.device = 0, mp.group = #three} : !wide, !narrow -> !wide
    %a = mp.tanh %p {mp.device = 0, mp.group = #three} : !wide -> !wide
    mp.return %a : !wide
  }
}
