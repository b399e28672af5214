// RUN: mp-opt %s | mp-opt | FileCheck %s

!heads = tensor<?x4x8x16xf32, #mp.dims<batch, heads=4, time=8, 16>>
!shared = tensor<?x2x8x16xf32, #mp.dims<batch, 2, time=8, 16>>
!sums = tensor<?x4x8xf32, #mp.dims<batch, heads=4, time=8>>
!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!statistic = tensor<?xf32, #mp.dims<batch>>
!weight = tensor<4xf32, #mp.dims<4>>

// Tests that attention and its gradient read back as they print.
// CHECK-LABEL: mp.model @attention
// CHECK: %[[Y:[^,]*]], %[[SUMS:.*]] = mp.attention %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} causal : (
// CHECK: mp.attention %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} : (
// CHECK: mp.attention_gradient %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[Y]], %[[SUMS]] causal : (
// CHECK: mp.attention %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} causal rounding bf16 : (
// CHECK: mp.attention_gradient {{.*}} rounding f16 : (
mp.model @attention {
  mp.program @predict ["q", "k", "v"] {
  ^bb0(%q: !heads, %k: !shared, %v: !shared):
    %y, %sums = mp.attention %q, %k, %v causal : (!heads, !shared, !shared) -> (!heads, !sums)
    %z, %other = mp.attention %y, %k, %v : (!heads, !shared, !shared) -> (!heads, !sums)
    %dq, %dk, %dv = mp.attention_gradient %z, %q, %k, %v, %y, %sums causal : (!heads, !heads, !shared, !shared, !heads, !sums) -> (!heads, !shared, !shared)
    %r, %rounded = mp.attention %dq, %k, %v causal rounding bf16 : (!heads, !shared, !shared) -> (!heads, !sums)
    %dr, %drk, %drv = mp.attention_gradient %z, %q, %k, %v, %r, %rounded rounding f16 : (!heads, !heads, !shared, !shared, !heads, !sums) -> (!heads, !shared, !shared)
    mp.return %dr : !heads
  }
}

// Tests that normalizations with and without weight and bias read back as they print.
// CHECK-LABEL: mp.model @normalization
// CHECK: mp.layer_norm %{{.*}} weight %{{.*}} bias %{{.*}} dimensions 1 eps 1.000000e-05 : (
// CHECK: mp.layer_norm %{{[^ ]*}} bias %{{[^ ]*}} dimensions 1
// CHECK: mp.layer_norm %{{[^ ]*}} dimensions 1
// CHECK: mp.layer_norm_gradient %{{.*}} weight %{{.*}} dimensions 1 : (
// CHECK: mp.rms_norm %{{.*}} weight %{{.*}} dimensions 1 eps 1.250000e-01 : (
// CHECK: mp.rms_norm_gradient %{{.*}} dimensions 1 : (
mp.model @normalization {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    %a, %am, %as = mp.layer_norm %x weight %w bias %w dimensions 1 eps 1.0e-5 : (!row, !weight, !weight) -> (!row, !statistic, !statistic)
    %b, %bm, %bs = mp.layer_norm %x bias %w dimensions 1 eps 1.0e-5 : (!row, !weight) -> (!row, !statistic, !statistic)
    %c, %cm, %cs = mp.layer_norm %x dimensions 1 eps 1.0e-5 : (!row) -> (!row, !statistic, !statistic)
    %dx, %dw, %db = mp.layer_norm_gradient %c, %x, %am, %as weight %w dimensions 1 : (!row, !row, !statistic, !statistic, !weight) -> (!row, !weight, !weight)
    %r, %rs = mp.rms_norm %dx weight %w dimensions 1 eps 1.25e-1 : (!row, !weight) -> (!row, !statistic)
    %ex, %ew = mp.rms_norm_gradient %r, %dx, %rs dimensions 1 : (!row, !row, !statistic) -> (!row, !weight)
    mp.return %ex : !row
  }
}
