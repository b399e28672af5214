// RUN: mp-opt %s --mp-verify-turns --split-input-file --verify-diagnostics

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that the turns of all replicas are accepted where each waits for the others: the reduction for their sums, the
// gathering for their shares.
mp.model @right devices 1 attributes {mp.devices = [{slots = 1 : i64}]} {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} replicas 3
  mp.program @train ["x"] attributes {mp.microbatches = 1 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0>, array<i64: 2, 0>], mp.peer_waits = [array<i64: 1, 0, 1>, array<i64: 2, 0, 2>]} {
  ^bb0(%x: !row):
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64, mp.accumulate, mp.buffer = #mp.buffer<gradients, 0>} : !row, !row -> !weight
    mp.reduce_scatter <gradients, 0>, 16 : f32 {mp.device = 0 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.when = "after"}
    mp.all_gather <gradients, 0>, 16 : f32 {mp.device = 0 : i64, mp.order = 2 : i64, mp.stage = 2 : i64, mp.when = "after"}
    mp.return %x : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a reduction that does not wait for the sums of other replicas is refused: stage 1 of the first reads from
// stage 0 of the second, number 3.
mp.model @sums devices 1 attributes {mp.devices = [{slots = 1 : i64}]} {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} replicas 3
  // expected-error @below {{stage 1 of microbatch 0 reads from stage 3 of microbatch 0, and nothing orders it after that}}
  mp.program @train ["x"] attributes {mp.microbatches = 1 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0>, array<i64: 2, 0>], mp.peer_waits = [array<i64: 2, 0, 2>]} {
  ^bb0(%x: !row):
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64, mp.accumulate, mp.buffer = #mp.buffer<gradients, 0>} : !row, !row -> !weight
    mp.reduce_scatter <gradients, 0>, 16 : f32 {mp.device = 0 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.when = "after"}
    mp.all_gather <gradients, 0>, 16 : f32 {mp.device = 0 : i64, mp.order = 2 : i64, mp.stage = 2 : i64, mp.when = "after"}
    mp.return %x : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that nothing waits for what comes later in another replica: both would wait for ever.
mp.model @later devices 1 attributes {mp.devices = [{slots = 1 : i64}]} {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} replicas 2
  // expected-error @below {{stage 1 of microbatch 0 waits for turn 2 of device 1, which does not come before it}}
  mp.program @train ["x"] attributes {mp.microbatches = 1 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0>, array<i64: 2, 0>], mp.peer_waits = [array<i64: 1, 0, 2>, array<i64: 2, 0, 2>]} {
  ^bb0(%x: !row):
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64, mp.accumulate, mp.buffer = #mp.buffer<gradients, 0>} : !row, !row -> !weight
    mp.reduce_scatter <gradients, 0>, 16 : f32 {mp.device = 0 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.when = "after"}
    mp.all_gather <gradients, 0>, 16 : f32 {mp.device = 0 : i64, mp.order = 2 : i64, mp.stage = 2 : i64, mp.when = "after"}
    mp.return %x : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a wait in other replicas is for the stage's own device: else few replicas would not show what many do.
mp.model @elsewhere devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  mp.training optimizer "sgd" {lr = 1.0e-3 : f64} loss "mse" epochs 1 batch 32 shuffle true seed 0 classes 0
    data {} test_data {} replicas 2
  // expected-error @below {{stage 1 waits in other replicas for device 1, which is not its own}}
  mp.program @train ["x"] attributes {mp.microbatches = 1 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0>], mp.peer_waits = [array<i64: 1, 1, 0>]} {
  ^bb0(%x: !row):
    %g = mp.matmul %x, %x transpose_a {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64, mp.accumulate, mp.buffer = #mp.buffer<gradients, 0>} : !row, !row -> !weight
    mp.reduce_scatter <gradients, 0>, 16 : f32 {mp.device = 0 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.when = "after"}
    mp.return %x : !row
  }
}
