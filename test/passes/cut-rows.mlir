// RUN: mp-opt %s --mp-cut-rows | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that sums over the batch are accumulated over its parts: what reads no rows comes before all parts, gradients and
// the division of a mean after them.
// CHECK-LABEL: mp.model @sums
// CHECK: mp.program @train {{.*}}mp.rows_a_part = 64
// CHECK: mp.read @w {{.*}}mp.when = "before"
// CHECK: mp.linear
// CHECK-NOT: mp.when
// CHECK: %[[SUM:.*]] = mp.reduce sum {{.*}}mp.accumulate
// CHECK: %[[GRADIENT:.*]] = mp.matmul {{.*}}mp.accumulate
// CHECK: %[[MEAN:.*]] = mp.map %[[SUM]] {{.*}}mp.when = "after"
// CHECK: mp.extent 4 rows
// CHECK: mp.gradient @w, %[[GRADIENT]] {{.*}}mp.when = "after"
// CHECK: mp.return %[[MEAN]]
mp.model @sums devices 1 {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %target: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !weight
    %y = mp.linear %x, %w none {mp.device = 0 : i64} : !row, !weight -> !row
    %loss = mp.reduce mean %y [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    %gradient = mp.matmul %target, %x transpose_a {mp.device = 0 : i64} : !row, !row -> !weight
    mp.gradient @w, %gradient {mp.device = 0 : i64} : !weight
    mp.return %loss : !scalar
  }
}

// Tests that a program stays whole in which a row depends on a sum over all rows.
// CHECK-LABEL: mp.model @rows_of_a_sum
// CHECK-NOT: mp.rows_a_part
// CHECK-NOT: mp.accumulate
mp.model @rows_of_a_sum devices 1 {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %target: !row):
    %mean = mp.reduce mean %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    %y = mp.map %x, %mean maps [array<i64: 0, 1>, array<i64: -1, -1>] {mp.device = 0 : i64} : (!row, !scalar) -> !row {
    ^bb0(%a: f32, %b: f32):
      %d = mp.sub %a, %b : f32, f32 -> f32
      mp.yield %d : f32
    }
    %loss = mp.reduce sum %y [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %loss : !scalar
  }
}

// Tests that without microbatches evaluation and prediction stay whole.
// CHECK-LABEL: mp.model @evaluation
// CHECK-NOT: mp.rows_a_part
mp.model @evaluation devices 1 {
  mp.program @evaluate ["x", "target"] {
  ^bb0(%x: !row, %target: !row):
    %loss = mp.reduce sum %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.return %x, %loss : !row, !scalar
  }
}

!sequence = tensor<?x2x3xf32, #mp.dims<batch, 2, 3>>
!each = tensor<?x2xf32, #mp.dims<batch, 2>>
!statistic = tensor<?xf32, #mp.dims<batch>>
!vector = tensor<4xf32, #mp.dims<4>>

// Tests that attention goes row by row, and that of a normalization's gradient the weight's is a sum over the parts.
// CHECK-LABEL: mp.model @several_results
// CHECK: mp.program @train {{.*}}mp.rows_a_part = 64
// CHECK: mp.attention
// CHECK-NOT: mp.accumulate
// CHECK: mp.layer_norm %
// CHECK-NOT: mp.accumulate
// CHECK: mp.reduce sum
// CHECK: %{{[^,]*}}, %[[WEIGHT:[^,]*]], %[[BIAS:[^ ]*]] = mp.layer_norm_gradient {{.*}}mp.accumulate
// CHECK: mp.gradient @w, %[[WEIGHT]] {{.*}}mp.when = "after"
// CHECK: mp.gradient @b, %[[BIAS]] {{.*}}mp.when = "after"
mp.model @several_results devices 1 {
  mp.program @train ["x", "s"] {
  ^bb0(%x: !row, %s: !sequence):
    %y, %sums = mp.attention %s, %s, %s {mp.device = 0 : i64} : (!sequence, !sequence, !sequence) -> (!sequence, !each)
    %n, %mean, %scale = mp.layer_norm %x dimensions 1 eps 1.0e-5 {mp.device = 0 : i64} : (!row) -> (!row, !statistic, !statistic)
    %loss = mp.reduce sum %y [0, 1, 2] {mp.device = 0 : i64} : !sequence -> !scalar
    %dx, %dw, %db = mp.layer_norm_gradient %n, %x, %mean, %scale dimensions 1 {mp.device = 0 : i64} : (!row, !row, !statistic, !statistic) -> (!row, !vector, !vector)
    mp.gradient @w, %dw {mp.device = 0 : i64} : !vector
    mp.gradient @b, %db {mp.device = 0 : i64} : !vector
    mp.return %loss : !scalar
  }
}

// Tests that a buffer is set once, after all parts, to a sum over them.
// CHECK-LABEL: mp.model @buffer
// CHECK: mp.program @train {{.*}}mp.rows_a_part = 64
// CHECK: %[[SUM:.*]] = mp.reduce sum {{.*}}mp.accumulate
// CHECK: %[[MEAN:.*]] = mp.map %[[SUM]] {{.*}}mp.when = "after"
// CHECK: mp.assign @b, %[[MEAN]] {{.*}}mp.when = "after"
mp.model @buffer devices 1 {
  mp.parameter @b : !scalar init zeros [] untrained
  mp.program @train ["x", "target"] {
  ^bb0(%x: !row, %target: !row):
    %mean = mp.reduce mean %x [0, 1] {mp.device = 0 : i64} : !row -> !scalar
    mp.assign @b, %mean {mp.device = 0 : i64} : !scalar
    mp.return %mean : !scalar
  }
}

!signal = tensor<?x2x8xf32, #mp.dims<batch, 2, 8>>
!answer = tensor<?x3x6xf32, #mp.dims<batch, 3, 6>>
!pooled = tensor<?x3x2xf32, #mp.dims<batch, 3, 2>>
!positions = tensor<?x3x2xi32, #mp.dims<batch, 3, 2>>
!kernel = tensor<3x2x3xf32, #mp.dims<3, 2, 3>>

// Tests that convolution and pooling go row by row, and that the weight's gradient is a sum over the parts.
// CHECK-LABEL: mp.model @convolution
// CHECK: mp.program @train {{.*}}mp.rows_a_part = 64
// CHECK: mp.conv %
// CHECK-NOT: mp.accumulate
// CHECK: mp.max_pool %
// CHECK-NOT: mp.accumulate
// CHECK: mp.reduce sum
// CHECK: mp.max_pool_gradient
// CHECK-NOT: mp.accumulate
// CHECK: %[[WEIGHT:.*]] = mp.conv_weight_gradient {{.*}}mp.accumulate
// CHECK: mp.gradient @w, %[[WEIGHT]] {{.*}}mp.when = "after"
mp.model @convolution devices 1 {
  mp.program @train ["x", "target"] {
  ^bb0(%x: !signal, %target: !row):
    %w = mp.read @w {mp.device = 0 : i64} : !kernel
    %y = mp.conv %x, %w stride [1] padding [0] dilation [1] groups 1 {mp.device = 0 : i64} : (!signal, !kernel) -> !answer
    %z, %at = mp.max_pool %y kernel [3] stride [3] padding [0] {mp.device = 0 : i64} : !answer -> !pooled, !positions
    %loss = mp.reduce sum %z [0, 1, 2] {mp.device = 0 : i64} : !pooled -> !scalar
    %dy = mp.max_pool_gradient %z, %at dimensions 1 {mp.device = 0 : i64} : (!pooled, !positions) -> !answer
    %dw = mp.conv_weight_gradient %dy, %x stride [1] padding [0] dilation [1] groups 1 {mp.device = 0 : i64} : (!answer, !signal) -> !kernel
    mp.gradient @w, %dw {mp.device = 0 : i64} : !kernel
    mp.return %loss : !scalar
  }
}
