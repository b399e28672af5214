// RUN: mp-opt %s --mp-place --mp-verify-placed | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that the loss runs where the output lives.
// CHECK-LABEL: mp.model @loss_with_output
// CHECK: mp.sub {{.*}} {mp.device = 2 : i64, mp.layer = "loss"}
// CHECK: mp.reduce {{.*}} {mp.device = 2 : i64, mp.layer = "loss"}
mp.model @loss_with_output {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %t: !row):
    %y = mp.relu %x {mp.device = 2 : i64} : !row -> !row
    %d = mp.sub %y, %t {mp.layer = "loss"} : !row, !row -> !row
    %l = mp.reduce sum %d [0, 1] {mp.layer = "loss"} : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that operations of the loss that read only the target, before any reads the output, are with the output too.
// CHECK-LABEL: mp.model @target_first
// CHECK: mp.log %{{.*}} {mp.device = 3 : i64, mp.layer = "loss.part"}
// CHECK: mp.neg %{{.*}} {mp.device = 3 : i64, mp.layer = "loss"}
// CHECK: mp.mul {{.*}} {mp.device = 3 : i64, mp.layer = "loss"}
mp.model @target_first {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %t: !row):
    %y = mp.relu %x {mp.device = 3 : i64} : !row -> !row
    %a = mp.log %t {mp.layer = "loss.part"} : !row -> !row
    %b = mp.neg %a {mp.layer = "loss"} : !row -> !row
    %c = mp.mul %b, %y {mp.layer = "loss"} : !row, !row -> !row
    %l = mp.reduce sum %c [0, 1] {mp.layer = "loss"} : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that what reads only the target after the output has been met is with the output.
// CHECK-LABEL: mp.model @target_later
// CHECK: mp.exp %{{.*}} {mp.device = 1 : i64, mp.layer = "loss"}
mp.model @target_later {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %t: !row):
    %y = mp.relu %x {mp.device = 1 : i64} : !row -> !row
    %a = mp.neg %y {mp.layer = "loss"} : !row -> !row
    %b = mp.exp %t {mp.layer = "loss"} : !row -> !row
    %c = mp.mul %a, %b {mp.layer = "loss"} : !row, !row -> !row
    %l = mp.reduce sum %c [0, 1] {mp.layer = "loss"} : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that a layer whose name only begins with the word is no part of the loss.
// CHECK-LABEL: mp.model @not_the_loss
// CHECK: mp.log %{{.*}} {mp.device = 0 : i64, mp.layer = "lossy"}
mp.model @not_the_loss {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %t: !row):
    %a = mp.log %t {mp.layer = "lossy"} : !row -> !row
    %y = mp.relu %x {mp.device = 1 : i64} : !row -> !row
    %d = mp.sub %y, %a {mp.layer = "loss"} : !row, !row -> !row
    %l = mp.reduce sum %d [0, 1] {mp.layer = "loss"} : !row -> !scalar
    mp.return %l : !scalar
  }
}
