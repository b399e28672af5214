// RUN: mp-opt %s --mp-differentiate | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that the adjoint of the loss is 1, that a parameter is handed its gradient, and that one update follows.
// CHECK-LABEL: mp.model @loss_to_update
// CHECK: %[[LOSS:.*]] = mp.reduce sum
// CHECK-NEXT: %[[ONE:.*]] = mp.constant 1.0
// CHECK-NEXT: %[[OUTPUT_GRAD:.*]] = mp.broadcast %[[ONE]]
// CHECK-NEXT: %[[WEIGHT_GRAD:.*]] = mp.matmul %[[OUTPUT_GRAD]], %{{.*}} transpose_a
// CHECK-NEXT: mp.gradient @w, %[[WEIGHT_GRAD]]
// CHECK-NEXT: mp.update "sgd"
// CHECK-NEXT: mp.return %[[LOSS]]
mp.model @loss_to_update {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w : !weight
    %y = mp.matmul %x, %w transpose_b : !row, !weight -> !row
    %l = mp.reduce sum %y [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that an adjoint names the operation whose adjoint it is, and belongs to its layer.
// CHECK-LABEL: mp.model @ties
// CHECK: mp.exp %{{.*}} {mp.id = 1 : i64, mp.layer = "up"}
// CHECK: mp.mul {{.*}} {mp.layer = "up", mp.of = 1 : i64}
mp.model @ties {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train [] {
    %w = mp.read @w : !weight
    %e = mp.exp %w {mp.layer = "up"} : !weight -> !weight
    %l = mp.reduce sum %e [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that evaluation and prediction stay as they are, and so does training that reaches no parameter.
// CHECK-LABEL: mp.model @nothing_to_train
// CHECK-NOT: mp.gradient
// CHECK-NOT: mp.update
mp.model @nothing_to_train {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    %l = mp.reduce sum %x [0, 1] : !row -> !scalar
    mp.return %l : !scalar
  }
  mp.program @evaluate [] {
    %w = mp.read @w : !weight
    %l = mp.reduce sum %w [0, 1] : !weight -> !scalar
    mp.return %w, %l : !weight, !scalar
  }
}

// Tests that what no parameter reaches, or what is no real number, has no adjoint: neither the input nor the comparison.
// CHECK-LABEL: mp.model @inactive
// CHECK: mp.reduce sum
// CHECK-NOT: mp.cos
// CHECK: mp.select
// CHECK: mp.gradient @w
mp.model @inactive {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !weight):
    %w = mp.read @w : !weight
    %s = mp.sin %x : !weight -> !weight
    %c = mp.compare gt %w, %s : !weight, !weight -> tensor<4x4xi1, #mp.dims<4, 4>>
    %y = mp.select %c, %w, %s : tensor<4x4xi1, #mp.dims<4, 4>>, !weight, !weight -> !weight
    %l = mp.reduce sum %y [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}
