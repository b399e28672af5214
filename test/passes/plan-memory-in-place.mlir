// RUN: mp-opt %s --mp-fuse --mp-schedule --mp-plan-memory --mp-verify-scheduled --mp-verify-calls | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!flags = tensor<?x4xi1, #mp.dims<batch, 4>>
!square = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a loop writes over the operand that dies with it.
// CHECK-LABEL: mp.model @in_place
// CHECK: row_bytes = 16
// CHECK: mp.matmul {{.*}} {mp.buffer = #mp.buffer<rows, 0>
// CHECK: mp.map {{.*}} {mp.buffer = #mp.buffer<rows, 0>
mp.model @in_place devices 1 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !square):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !square -> !row
    %b = mp.exp %a {mp.device = 0 : i64} : !row -> !row
    mp.return %b : !row
  }
}

// Tests that a loop does not write over an operand that is read later.
// CHECK-LABEL: mp.model @read_later
// CHECK: row_bytes = 32
mp.model @read_later devices 1 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !square):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !square -> !row
    %b = mp.exp %a {mp.device = 0 : i64} : !row -> !row
    mp.return %a, %b : !row, !row
  }
}

// Tests that a loop does not write over an operand that it reads in another order: a transpose would read what it has
// written.
// CHECK-LABEL: mp.model @other_order
// CHECK: fixed_bytes = 512
mp.model @other_order devices 1 {
  mp.program @predict ["w"] {
  ^bb0(%w: !square):
    %a = mp.matmul %w, %w {mp.device = 0 : i64} : !square, !square -> !square
    %t = mp.broadcast %a [1, 0] {mp.device = 0 : i64} : !square -> !square
    %b = mp.exp %t {mp.device = 0 : i64} : !square -> !square
    mp.return %b : !square
  }
}

// Tests that neither does it where it reads the operand in order and in another order at once.
// CHECK-LABEL: mp.model @both_orders
// CHECK: fixed_bytes = 512
mp.model @both_orders devices 1 {
  mp.program @predict ["w"] {
  ^bb0(%w: !square):
    %a = mp.matmul %w, %w {mp.device = 0 : i64} : !square, !square -> !square
    %t = mp.broadcast %a [1, 0] {mp.device = 0 : i64} : !square -> !square
    %b = mp.add %a, %t {mp.device = 0 : i64} : !square, !square -> !square
    mp.return %b : !square
  }
}

// Tests that a loop whose elements are of another size does not write over its operand.
// CHECK-LABEL: mp.model @other_size
// CHECK: row_bytes = 20
mp.model @other_size devices 1 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !square):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !square -> !row
    %z = mp.constant 0.0 : f64 : !row
    %b = mp.compare gt %a, %z {mp.device = 0 : i64} : !row, !row -> !flags
    mp.return %b : !flags
  }
}

// Tests that a loop does not write over what has arrived: it may be the sender's own memory.
// CHECK-LABEL: mp.model @arrived
// CHECK: row_bytes = 16 : i64, {{.*}} row_bytes = 32 : i64
mp.model @arrived devices 2 {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !square):
    %a = mp.matmul %x, %w {mp.device = 0 : i64} : !row, !square -> !row
    %a1 = mp.transfer %a from 0 {mp.device = 1 : i64} : !row
    %b = mp.exp %a1 {mp.device = 1 : i64} : !row -> !row
    mp.return %b : !row
  }
}
