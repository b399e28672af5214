// RUN: mp-translate --mp-to-cpp %s | FileCheck %s

mp.model @Net devices 2 attributes {mp.devices = [{fixed_bytes = 512 : i64, parameter_floats = 48 : i64, row_bytes = 96 : i64, trained_floats = 48 : i64}, {fixed_bytes = 0 : i64, parameter_floats = 0 : i64, row_bytes = 16 : i64, trained_floats = 0 : i64}]} {
  mp.parameter @w : tensor<3x4xf32, #mp.dims<out=3, in=4>> init zeros [] {mp.device = 0 : i64, mp.buffer = #mp.buffer<parameters, 16>}
  // Tests that every tensor operation prints as its call, with sizes of the batch as products of rows.
  // CHECK-LABEL: void Net::predict_on_0
  mp.program @predict ["x"] {
  ^bb0(%x: tensor<?x4xf32, #mp.dims<batch, 4>>):
    %w = mp.read @w {mp.device = 0 : i64, mp.buffer = #mp.buffer<parameters, 16>} : tensor<3x4xf32, #mp.dims<out=3, in=4>>
    // CHECK: float *const y = d0.rows<float>(0); // [rows, out 3]
    // CHECK-NEXT: linear(d0, rows, 4, 3, part.x, w_, nullptr, Activation::none, y);
    %y = mp.linear %x, %w none {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<3x4xf32, #mp.dims<out=3, in=4>> -> tensor<?x3xf32, #mp.dims<batch, out=3>> loc("y")
    // CHECK: matmul(d0, 1, 3, 3, rows, Transpose::yes, Transpose::no, y, y, square);
    %p = mp.matmul %y, %y transpose_a {mp.device = 0 : i64, mp.buffer = #mp.buffer<fixed, 0>} : tensor<?x3xf32, #mp.dims<batch, out=3>>, tensor<?x3xf32, #mp.dims<batch, out=3>> -> tensor<3x3xf32, #mp.dims<3, 3>> loc("square")
    // CHECK: softmax(d0, rows, 3, 1, y, s);
    %s = mp.softmax %y dimension 1 {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 12>} : tensor<?x3xf32, #mp.dims<batch, out=3>> -> tensor<?x3xf32, #mp.dims<batch, out=3>> loc("s")
    // CHECK: int32_t *const best = d0.rows<int32_t>(24); // [rows]
    // CHECK-NEXT: argmax(d0, rows, 3, 1, s, best);
    %i = mp.argmax %s dimension 1 {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 24>} : tensor<?x3xf32, #mp.dims<batch, out=3>> -> tensor<?xi32, #mp.dims<batch>> loc("best")
    // CHECK: reduce(d0, Reduction::maximum, Shape{rows, 3}, 1u << 1, y, top);
    %m = mp.reduce maximum %y [1] {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 28>} : tensor<?x3xf32, #mp.dims<batch, out=3>> -> tensor<?xf32, #mp.dims<batch>> loc("top")
    // A copy in another order walks the operand with its own strides.
    // CHECK: copy(d0, Shape{3, rows}, y, {1, 3}, turned, {rows, 1});
    %t = mp.permute %y [1, 0] {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 32>} : tensor<?x3xf32, #mp.dims<batch, out=3>> -> tensor<3x?xf32, #mp.dims<3, batch>> loc("turned")
    // CHECK: copy(d0, Shape{rows, 2}, y + 1, {3, 1}, part_value, {2, 1});
    %c = mp.slice %y dimension 1 from 1 to 3 {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 44>} : tensor<?x3xf32, #mp.dims<batch, out=3>> -> tensor<?x2xf32, #mp.dims<batch, 2>> loc("part")
    // CHECK: fill(d0, rows * 5, float(0), padded);
    // CHECK-NEXT: copy(d0, Shape{rows, 2}, part_value, {2, 1}, padded + 1, {5, 1});
    %q = mp.pad %c dimension 1 before 1 after 2 {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 52>} : tensor<?x2xf32, #mp.dims<batch, 2>> -> tensor<?x5xf32, #mp.dims<batch, 5>> loc("padded")
    // CHECK: copy(d0, Shape{rows, 3}, y, {3, 1}, part.both, {5, 1});
    // CHECK-NEXT: copy(d0, Shape{rows, 2}, part_value, {2, 1}, part.both + 3, {5, 1});
    %k = mp.concat %y, %c dimension 1 {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 72>} : (tensor<?x3xf32, #mp.dims<batch, out=3>>, tensor<?x2xf32, #mp.dims<batch, 2>>) -> tensor<?x5xf32, #mp.dims<batch, 5>> loc("both")
    // CHECK: // both: device 0 → 1, 20 B a row
    // CHECK-NEXT: part.both_on_1 = transfer(d0, part.both, d1, d1.rows<float>(0), rows * 5);
    %z = mp.transfer %k from 0 {mp.device = 1 : i64, mp.buffer = #mp.buffer<rows, 0>} : tensor<?x5xf32, #mp.dims<batch, 5>> loc("both"("f.mp":3:1))
    mp.return %z : tensor<?x5xf32, #mp.dims<batch, 5>>
  }
}
