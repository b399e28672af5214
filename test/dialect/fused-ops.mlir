// RUN: mp-opt %s | mp-opt | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<8x4xf32, #mp.dims<8, 4>>
!bias = tensor<8xf32, #mp.dims<8>>
!wide = tensor<?x8xf32, #mp.dims<batch, 8>>

// Tests that linear layers with and without bias and ReLU read back as they print.
// CHECK-LABEL: mp.model @linear
// CHECK: mp.linear %{{.*}}, %{{.*}} bias %{{.*}} relu : tensor
// CHECK: mp.linear %{{.*}}, %{{.*}} bias %{{.*}} none : tensor
// CHECK: mp.linear %{{.*}}, %{{[^ ]*}} none : tensor
mp.model @linear {
  mp.program @predict ["x", "w", "b"] {
  ^bb0(%x: !row, %w: !weight, %b: !bias):
    %a = mp.linear %x, %w bias %b relu : !row, !weight, !bias -> !wide
    %c = mp.linear %x, %w bias %b none : !row, !weight, !bias -> !wide
    %d = mp.linear %x, %w none : !row, !weight -> !wide
    mp.return %a : !wide
  }
}

// Tests that a loop with broadcast operands, positions and constants reads back as it prints.
// CHECK-LABEL: mp.model @map
// CHECK: mp.map %{{.*}}, %{{.*}} maps [array<i64: 0, 1>, array<i64: -1, 0>] : (tensor
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[B:.*]]: f32):
// CHECK-NEXT: %[[SUM:.*]] = mp.add %[[X]], %[[B]] : f32, f32 -> f32
// CHECK-NEXT: %[[POSITION:.*]] = mp.index 1 : i32
// CHECK-NEXT: %[[NUMBER:.*]] = mp.cast %[[POSITION]] : i32 -> f32
// CHECK-NEXT: mp.constant 2.000000e+00 : f64 : f32
// CHECK: mp.yield %{{.*}} : f32
mp.model @map {
  mp.program @predict ["x", "b"] {
  ^bb0(%x: !wide, %b: !bias):
    %y = mp.map %x, %b maps [array<i64: 0, 1>, array<i64: -1, 0>] : (!wide, !bias) -> !wide {
    ^bb0(%e: f32, %f: f32):
      %s = mp.add %e, %f : f32, f32 -> f32
      %i = mp.index 1 : i32
      %n = mp.cast %i : i32 -> f32
      %two = mp.constant 2.0 : f64 : f32
      %m = mp.mul %n, %two : f32, f32 -> f32
      %r = mp.add %s, %m : f32, f32 -> f32
      mp.yield %r : f32
    }
    mp.return %y : !wide
  }
}
