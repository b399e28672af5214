// RUN: mp-opt %s | mp-opt | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!flags = tensor<?x4xi1, #mp.dims<batch, 4>>
!indices = tensor<?x4xi32, #mp.dims<batch, 4>>

// Tests that operations with settings read back as they print.
// CHECK-LABEL: mp.model @settings
// CHECK: mp.leaky_relu %{{.*}} slope 1.000000e-02 :
// CHECK: mp.clamp %{{.*}} from -1.000000e+00 to 0x7FF0000000000000 :
mp.model @settings {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.leaky_relu %x slope 1.0e-2 : !row -> !row
    %b = mp.clamp %a from -1.0 to 0x7FF0000000000000 : !row -> !row
    mp.return %b : !row
  }
}

// Tests that comparisons of each kind, and what combines and chooses by them, read back as they print.
// CHECK-LABEL: mp.model @conditions
// CHECK: mp.compare lt %{{.*}}, %
// CHECK: mp.compare le %{{.*}}, %
// CHECK: mp.compare gt %{{.*}}, %
// CHECK: mp.compare ge %{{.*}}, %
// CHECK: mp.compare eq %{{.*}}, %
// CHECK: mp.compare ne %{{.*}}, %
// CHECK: mp.not %
// CHECK: mp.and %{{.*}}, %
// CHECK: mp.or %{{.*}}, %
// CHECK: mp.select %{{.*}}, %{{.*}}, %
// CHECK: mp.cast %{{.*}} : tensor<?x4xi1, #mp.dims<batch, 4>> -> tensor<?x4xi32, #mp.dims<batch, 4>>
mp.model @conditions {
  mp.program @predict ["x", "y"] {
  ^bb0(%x: !row, %y: !row):
    %lt = mp.compare lt %x, %y : !row, !row -> !flags
    %le = mp.compare le %x, %y : !row, !row -> !flags
    %gt = mp.compare gt %x, %y : !row, !row -> !flags
    %ge = mp.compare ge %x, %y : !row, !row -> !flags
    %eq = mp.compare eq %x, %y : !row, !row -> !flags
    %ne = mp.compare ne %x, %y : !row, !row -> !flags
    %not = mp.not %lt : !flags -> !flags
    %and = mp.and %not, %le : !flags, !flags -> !flags
    %or = mp.or %and, %gt : !flags, !flags -> !flags
    %select = mp.select %or, %x, %y : !flags, !row, !row -> !row
    %cast = mp.cast %or : !flags -> !indices
    mp.return %select, %cast : !row, !indices
  }
}

// Tests that elements from nothing read back as they print: constants of each kind of number, counts, masks, positions.
// CHECK-LABEL: mp.model @sources
// CHECK: mp.constant 1.500000e+00 : f64 : tensor<f32
// CHECK: mp.constant 3 : i64 : tensor<i32
// CHECK: mp.constant true : tensor<i1
// CHECK: mp.extent 12 rows : tensor
// CHECK: mp.extent 12 rows plus -1 : tensor
// CHECK: mp.dropout_mask 5.000000e-01 of "drop" call 2 : tensor
// CHECK: mp.iota 1 : tensor
mp.model @sources {
  mp.program @predict [] {
    %a = mp.constant 1.5 : f64 : tensor<f32, #mp.dims<>>
    %b = mp.constant 3 : i64 : tensor<i32, #mp.dims<>>
    %c = mp.constant true : tensor<i1, #mp.dims<>>
    %d = mp.extent 12 rows : tensor<f32, #mp.dims<>>
    %e = mp.extent 12 rows plus -1 : tensor<f32, #mp.dims<>>
    %f = mp.dropout_mask 5.0e-1 of "drop" call 2 : !row
    %g = mp.iota 1 : !indices
    mp.return %a : tensor<f32, #mp.dims<>>
  }
}
