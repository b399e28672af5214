// RUN: mp-opt %s --mp-place --mp-verify-placed | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that an annotation wins over the operands' device, and over the default.
// CHECK-LABEL: mp.model @annotation_wins devices 4
// CHECK: mp.relu %{{.*}} {mp.device = 3 : i64}
// CHECK: mp.exp %{{.*}} {mp.device = 1 : i64}
mp.model @annotation_wins {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 3 : i64} : !row -> !row
    %b = mp.exp %a {mp.device = 1 : i64} : !row -> !row
    mp.return %b : !row
  }
}

// Tests that what is not annotated runs where its first placed operand lives, whatever the second's device.
// CHECK-LABEL: mp.model @first_placed_operand
// CHECK: mp.add {{.*}} {mp.device = 2 : i64}
// CHECK: mp.sub {{.*}} {mp.device = 1 : i64}
mp.model @first_placed_operand {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 2 : i64} : !row -> !row
    %b = mp.exp %x {mp.device = 1 : i64} : !row -> !row
    %c = mp.add %a, %b : !row, !row -> !row
    %d = mp.sub %b, %a : !row, !row -> !row
    %e = mp.mul %c, %d : !row, !row -> !row
    mp.return %e : !row
  }
}

// Tests that inputs and constants are passed over in the search for a placed operand.
// CHECK-LABEL: mp.model @placeless_operands
// CHECK: mp.constant 2.{{[^{]*}} : tensor
// CHECK: mp.mul {{.*}} {mp.device = 2 : i64}
// CHECK: mp.add {{.*}} {mp.device = 2 : i64}
mp.model @placeless_operands {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %two = mp.constant 2.0 : f64 : !row
    %a = mp.relu %x {mp.device = 2 : i64} : !row -> !row
    %b = mp.mul %two, %a : !row, !row -> !row
    %c = mp.add %x, %b : !row, !row -> !row
    mp.return %c : !row
  }
}

// Tests that with neither annotation nor placed operand an operation runs on device 0.
// CHECK-LABEL: mp.model @default_device devices 1
// CHECK: mp.relu %{{.*}} {mp.device = 0 : i64}
mp.model @default_device {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x : !row -> !row
    mp.return %a : !row
  }
}

// Tests that parameters and layers are noted where they are read, and layers that nothing reads nowhere.
// CHECK-LABEL: mp.model @parameters_and_layers devices 3
// CHECK: mp.layer "up" {{.*}} {mp.device = 2 : i64}
// CHECK: mp.layer "unused" declared "unused = ReLU()"{{$}}
// CHECK: mp.parameter @up.weight {{.*}} {mp.device = 2 : i64}
mp.model @parameters_and_layers {
  mp.layer "up" declared "up = Linear(4, 4)"
  mp.layer "unused" declared "unused = ReLU()"
  mp.parameter @up.weight : !weight init zeros []
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @up.weight {mp.device = 2 : i64, mp.layer = "up"} : !weight
    %y = mp.matmul %x, %w transpose_b {mp.layer = "up"} : !row, !weight -> !row
    mp.return %y : !row
  }
}

// Tests that the number of devices counts up to the largest that any program names.
// CHECK-LABEL: mp.model @devices_of_all_programs devices 6
mp.model @devices_of_all_programs {
  mp.program @evaluate ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 1 : i64} : !row -> !row
    mp.return %a : !row
  }
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.relu %x {mp.device = 5 : i64} : !row -> !row
    mp.return %a : !row
  }
}

// Tests that what follows an operand of a group belongs to the group, that all of its devices are counted, and that each has an update.
// CHECK-LABEL: mp.model @group devices 3
// CHECK: mp.parameter @w : {{.*}} {mp.device = 1 : i64, mp.group = {devices = array<i64: 1, 2>, names = [""], sizes = array<i64: 2>}}
// CHECK: mp.exp %{{.*}} {mp.device = 1 : i64, mp.group = {devices = array<i64: 1, 2>, names = [""], sizes = array<i64: 2>}}
// CHECK: mp.update "sgd" {mp.device = 1 : i64}
// CHECK-NEXT: mp.update "sgd" {mp.device = 2 : i64}
mp.model @group {
  mp.parameter @w : !weight init ones []
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 1, mp.group = {devices = array<i64: 1, 2>, names = [""], sizes = array<i64: 2>}} : !weight
    %e = mp.exp %w : !weight -> !weight
    mp.gradient @w, %e : !weight
    mp.update "sgd"
    %l = mp.constant 0.0 : f64 : tensor<f32, #mp.dims<>>
    mp.return %l : tensor<f32, #mp.dims<>>
  }
}
