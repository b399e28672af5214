// RUN: mp-opt %s --mp-schedule --mp-plan-memory --mp-verify-scheduled --mp-verify-calls | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!statistic = tensor<?xf32, #mp.dims<batch>>
!weight = tensor<4xf32, #mp.dims<4>>

// Tests that each of several results has a place of its own: the statistics live until the gradient reads them, a gradient
// lies among the gradients at once, and one that nothing reads lies somewhere, too.
// CHECK-LABEL: mp.model @results
// CHECK: mp.layer_norm %{{.*}}mp.buffer = [#mp.buffer<rows, [[Y:[0-9]+]]>, #mp.buffer<rows, [[MEAN:[0-9]+]]>, #mp.buffer<rows, [[SCALE:[0-9]+]]>]
// CHECK: mp.layer_norm_gradient %{{.*}}mp.buffer = [#mp.buffer<rows, {{[0-9]+}}>, #mp.buffer<gradients, 0>, #mp.buffer<fixed, {{[0-9]+}}>]
mp.model @results devices 1 {
  mp.parameter @w : !weight init ones [] {mp.device = 0 : i64}
  mp.program @train ["x", "g"] {
  ^bb0(%x: !row, %g: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %y, %mean, %scale = mp.layer_norm %x weight %w dimensions 1 eps 1.0e-5 {mp.device = 0 : i64} : (!row, !weight) -> (!row, !statistic, !statistic)
    %s = mp.softmax %y dimension 1 {mp.device = 0 : i64} : !row -> !row
    %loss = mp.reduce sum %s [0, 1] {mp.device = 0 : i64} : !row -> tensor<f32, #mp.dims<>>
    %dx, %dw, %db = mp.layer_norm_gradient %g, %x, %mean, %scale weight %w dimensions 1 {mp.device = 0 : i64} : (!row, !row, !statistic, !statistic, !weight) -> (!row, !weight, !weight)
    mp.gradient @w, %dw {mp.device = 0 : i64} : !weight
    mp.update "sgd" {mp.device = 0 : i64}
    mp.return %loss : tensor<f32, #mp.dims<>>
  }
}
