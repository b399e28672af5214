// Tests that a transfer gives the same whether it copies or shares memory.
// RUN: mp-run %s --program predict --values > %t.copy
// RUN: mp-run %s --program predict --values --alias-transfers | cmp - %t.copy
// RUN: FileCheck %s < %t.copy

// CHECK-NOT: nan
// CHECK: output = {{-?[0-9]}}
!row = tensor<?x4xf32, #mp.dims<batch, 4>>
#sizes = {fixed_bytes = 0 : i64, parameter_floats = 0 : i64, row_bytes = 32 : i64, trained_floats = 0 : i64}
mp.model @Test devices 2 attributes {mp.devices = [#sizes, #sizes]} {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %a = mp.softmax %x dimension 1 {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 16>} : !row -> !row
    %b = mp.transfer %a from 0 {mp.device = 1 : i64, mp.buffer = #mp.buffer<rows, 0>} : !row
    %c = mp.log_softmax %b dimension 0 {mp.device = 1 : i64, mp.buffer = #mp.buffer<rows, 16>} : !row -> !row
    mp.return %c : !row
  }
}
