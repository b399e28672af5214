// RUN: mp-translate --mp-to-cpp %s | FileCheck %s

!table = tensor<5x3xf32, #mp.dims<5, 3>>
!ids = tensor<?x4xi32, #mp.dims<batch, 4>>
!rows = tensor<?x4x3xf32, #mp.dims<batch, 4, 3>>
!losses = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that what takes positions from another tensor prints as its call: a table by its parameter's name, also where it
// has moved; one that is computed by the layer's.
mp.model @Net devices 2 attributes {mp.devices = [{fixed_bytes = 512 : i64, parameter_floats = 16 : i64, row_bytes = 512 : i64, trained_floats = 16 : i64}, {fixed_bytes = 512 : i64, parameter_floats = 0 : i64, row_bytes = 512 : i64, trained_floats = 0 : i64}]} {
  mp.parameter @"wte.weight" : !table init normal [0.0, 1.0] {mp.device = 0 : i64, mp.buffer = #mp.buffer<parameters, 0>}
  // CHECK-LABEL: void Net::predict_on_0
  mp.program @predict ["ids"] {
  ^bb0(%ids: !ids):
    %w = mp.read @"wte.weight" {mp.device = 0 : i64, mp.buffer = #mp.buffer<parameters, 0>} : !table
    // CHECK: gather(d0, 5, 3, rows * 4, "wte.weight", wte_weight_, part.ids, h);
    %h = mp.gather %w, %ids {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : !table, !ids -> !rows loc("h")
    // CHECK: scatter_add(d0, 5, 3, rows * 4, "wte", part.ids, h, sum);
    %sum = mp.scatter_add %ids, %h {mp.device = 0 : i64, mp.layer = "wte", mp.buffer = #mp.buffer<fixed, 0>} : !ids, !rows -> !table loc("sum")
    // CHECK: gather(d0, 5, 3, rows * 4, "embedding", sum, part.ids, again);
    %again = mp.gather %sum, %ids {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 48>} : !table, !ids -> !rows loc("again")
    // CHECK: cross_entropy(d0, rows * 4, 3, again, part.ids, losses);
    %losses = mp.cross_entropy %again, %ids {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 96>} : !rows, !ids -> !losses loc("losses")
    // CHECK: cross_entropy_gradient(d0, rows * 4, 3, again, part.ids, losses, slope);
    %slope = mp.cross_entropy_gradient %again, %ids, %losses {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 112>} : !rows, !ids, !losses -> !rows loc("slope")
    %moved = mp.transfer %w from 0 {mp.device = 1 : i64, mp.buffer = #mp.buffer<fixed, 0>} : !table
    // CHECK: gather(d1, 5, 3, rows * 4, "wte.weight", wte_weight_on_1_, part.ids, part.there);
    %there = mp.gather %moved, %ids {mp.device = 1 : i64, mp.buffer = #mp.buffer<rows, 0>} : !table, !ids -> !rows loc("there")
    mp.return %there : !rows
  }
}
