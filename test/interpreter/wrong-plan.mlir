// Tests that a plan that lets a product write over its own operand gives numbers that are none.
// RUN: mp-run %s --program predict --values | FileCheck %s

// CHECK: output = {{-?}}nan
!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
mp.model @Test devices 1 attributes {mp.devices = [{fixed_bytes = 0 : i64, parameter_floats = 16 : i64, row_bytes = 32 : i64, trained_floats = 16 : i64}]} {
  mp.parameter @w : tensor<4x4xf32, #mp.dims<4, 4>> init zeros [] {mp.device = 0 : i64, mp.buffer = #mp.buffer<parameters, 0>}
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %w = mp.read @w {mp.device = 0 : i64, mp.buffer = #mp.buffer<parameters, 0>} : !weight
    %a = mp.matmul %x, %w {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : !row, !weight -> !row
    %b = mp.matmul %a, %w {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : !row, !weight -> !row
    %c = mp.map %a, %b maps [array<i64: 0, 1>, array<i64: 0, 1>] {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : (!row, !row) -> !row {
    ^bb0(%p: f32, %q: f32):
      %s = mp.add %p, %q : f32, f32 -> f32
      mp.yield %s : f32
    }
    mp.return %c : !row
  }
}
