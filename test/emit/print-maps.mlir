// RUN: mp-translate --mp-to-cpp %s | FileCheck %s

mp.model @Net devices 1 attributes {mp.devices = [{fixed_bytes = 0 : i64, parameter_floats = 0 : i64, row_bytes = 96 : i64, trained_floats = 0 : i64}]} {
  // Tests that parentheses keep the order of rounding, and that what is used twice has a name.
  // CHECK-LABEL: struct SubSubDivAdd {
  // CHECK: MPAR_HOST_DEVICE float operator()(float a, float b) const {
  // CHECK-NEXT: const float difference = a - (a - b);
  // CHECK-NEXT: return difference / b + difference;

  // Tests that an element-wise function is the runtime's, not one of the C library's.
  // CHECK-LABEL: struct DropoutPowMul {
  // CHECK: uint64_t seed;
  // CHECK: uint64_t step;
  // CHECK: uint64_t key;
  // CHECK: MPAR_HOST_DEVICE float operator()(float a, int64_t element) const
  // CHECK: return mpar::pow(a, 2.0f) * mpar::dropout_scale<float>(seed, step, key, element, 0.5f);

  // Tests that what hands its operand on binds as the operand does.
  // CHECK-LABEL: struct AddDetachMul {
  // CHECK: return 0.25f * (a + 0.5f);

  // CHECK-LABEL: void Net::predict_on_0
  mp.program @predict ["x", "y"] {
  ^bb0(%x: tensor<?x4xf32, #mp.dims<batch, 4>>, %y: tensor<?x1xf32, #mp.dims<batch, 1>>):
    // Tests that an operand which is broadcast is read with a step of 0.
    // CHECK: map(d0, Shape{rows, 4}, SubSubDivAdd{}, h, strided(part.x, {4, 1}), strided(part.y, {1, 0}));
    %h = mp.map %x, %y maps [array<i64: 0, 1>, array<i64: 0, 1>] {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : (tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x1xf32, #mp.dims<batch, 1>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
    ^bb0(%a: f32, %b: f32):
      %d = mp.sub %a, %b : f32, f32 -> f32
      %e = mp.sub %a, %d : f32, f32 -> f32
      %q = mp.div %e, %b : f32, f32 -> f32
      %s = mp.add %q, %e : f32, f32 -> f32
      mp.yield %s : f32
    } loc("h")
    // Tests that a mask has a key of its own and counts elements of the whole batch.
    // CHECK: DropoutPowMul{seed(), uint64_t(step()), 0x{{[0-9a-f]+}}u},
    // CHECK-SAME: dropped,
    // CHECK-NEXT: strided(h, {4, 1}), Index64
    %m = mp.map %h maps [array<i64: 0, 1>] {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 16>} : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
    ^bb0(%a: f32):
      %k = mp.dropout_mask 5.0e-1 of "drop" call 0 : f32
      %two = mp.constant 2.0 : f64 : f32
      %p = mp.pow %a, %two : f32, f32 -> f32
      %s = mp.mul %p, %k : f32, f32 -> f32
      mp.yield %s : f32
    } loc("dropped")
    %f = mp.map %m maps [array<i64: 0, 1>] {mp.device = 0 : i64, mp.buffer = #mp.buffer<rows, 32>} : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>> {
    ^bb0(%a: f32):
      %half = mp.constant 5.0e-1 : f64 : f32
      %quarter = mp.constant 2.5e-1 : f64 : f32
      %s = mp.add %a, %half : f32, f32 -> f32
      %d = mp.detach %s : f32 -> f32
      %p = mp.mul %quarter, %d : f32, f32 -> f32
      mp.yield %p : f32
    } loc("kept")
    mp.return %f : tensor<?x4xf32, #mp.dims<batch, 4>>
  }
}
