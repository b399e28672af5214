// RUN: mp-opt %s --mp-differentiate | FileCheck %s

!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that a gradient is summed over the uses in reverse program order: the last use first.
// CHECK-LABEL: mp.model @reverse_order
// CHECK: mp.reduce
// CHECK: %[[THIRD:.*]] = mp.mul {{.*}} {mp.of = 3 : i64}
// CHECK: %[[SECOND:.*]] = mp.mul {{.*}} {mp.of = 2 : i64}
// CHECK: %[[PARTIAL:.*]] = mp.add %[[THIRD]], %[[SECOND]] {mp.of = 0 : i64, mp.sum}
// CHECK: %[[FIRST:.*]] = mp.mul {{.*}} {mp.of = 1 : i64}
// CHECK: %[[SUM:.*]] = mp.add %[[PARTIAL]], %[[FIRST]] {mp.of = 0 : i64, mp.sum}
// CHECK: mp.gradient @w, %[[SUM]]
mp.model @reverse_order {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !weight):
    %w = mp.read @w : !weight
    %a = mp.mul %w, %x : !weight, !weight -> !weight
    %b = mp.mul %w, %x : !weight, !weight -> !weight
    %c = mp.mul %w, %x : !weight, !weight -> !weight
    %d = mp.add %a, %b : !weight, !weight -> !weight
    %e = mp.add %d, %c : !weight, !weight -> !weight
    %l = mp.reduce sum %e [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that a parameter read in two calls of a layer is handed one gradient: the later call's first.
// CHECK-LABEL: mp.model @read_twice
// CHECK: mp.mul {{.*}} {mp.of = 3 : i64}
// CHECK: %[[LATER:.*]] = mp.mul {{.*}} {mp.of = 3 : i64}
// CHECK: %[[EARLIER:.*]] = mp.mul {{.*}} {mp.of = 1 : i64}
// CHECK: %[[SUM:.*]] = mp.add %[[LATER]], %[[EARLIER]]
// CHECK: mp.gradient @w, %[[SUM]]
// CHECK-NOT: mp.gradient
mp.model @read_twice {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !weight):
    %w = mp.read @w : !weight
    %a = mp.mul %x, %w : !weight, !weight -> !weight
    %v = mp.read @w : !weight
    %b = mp.mul %a, %v : !weight, !weight -> !weight
    %l = mp.reduce sum %b [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that a parameter that the loss does not depend on is handed no gradient.
// CHECK-LABEL: mp.model @untrained
// CHECK-NOT: mp.gradient @v
// CHECK: mp.gradient @w
// CHECK-NOT: mp.gradient @v
mp.model @untrained {
  mp.parameter @v : !weight init zeros []
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train [] {
    %v = mp.read @v : !weight
    %w = mp.read @w : !weight
    %u = mp.exp %v : !weight -> !weight
    %l = mp.reduce sum %w [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}

// Tests that the gradients of what was split are put one after the other, rather than summed padded.
// CHECK-LABEL: mp.model @split
// CHECK: mp.reduce
// CHECK-NOT: mp.pad
// CHECK: %[[WHOLE:.*]] = mp.concat %{{.*}}, %{{.*}}, %{{.*}} dimension 1
// CHECK: mp.gradient @w, %[[WHOLE]]
!wide = tensor<4x12xf32, #mp.dims<4, 12>>
mp.model @split {
  mp.parameter @w : !wide init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train ["x"] {
  ^bb0(%x: !weight):
    %w = mp.read @w : !wide
    %a = mp.slice %w dimension 1 from 0 to 4 : !wide -> !weight
    %b = mp.slice %w dimension 1 from 4 to 8 : !wide -> !weight
    %c = mp.slice %w dimension 1 from 8 to 12 : !wide -> !weight
    %d = mp.mul %a, %c : !weight, !weight -> !weight
    %e = mp.mul %d, %b : !weight, !weight -> !weight
    %l = mp.reduce sum %e [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}
