// RUN: mp-opt %s --mp-verify-turns --split-input-file --verify-diagnostics

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a plan in which nothing can go wrong is accepted: microbatch 1 takes over the memory of microbatch 0.
mp.model @right devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 0, 1, 1, 1>, array<i64: 1, 1, 0, 2>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>} : !row
    mp.return %h1 : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that what a stage reads must be ordered before it.
mp.model @unordered devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  // expected-error @below {{stage 1 of microbatch 0 reads from stage 0 of microbatch 0, and nothing orders it after that}}
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0>, array<i64: 0, 1, 1, 1>, array<i64: 1, 1, 0, 2>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>} : !row
    mp.return %h1 : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a microbatch must not take over memory that is still read.
mp.model @overwritten devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  // expected-error @below {{stage 0 of microbatch 1 takes over the memory of stage 1 of microbatch 0, and nothing orders it after that}}
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 0, 1>, array<i64: 1, 1, 0, 2>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>} : !row
    mp.return %h1 : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that nothing waits for what comes later: it would wait for ever.
mp.model @deadlock devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  // expected-error @below {{stage 0 of microbatch 0 waits for turn 1 of device 1, which does not come before it}}
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0, 1, 1>, array<i64: 1, 0, 0, 1>, array<i64: 0, 1, 1, 1>, array<i64: 1, 1, 0, 2>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>} : !row
    mp.return %h1 : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that no turn is left out.
mp.model @missing devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  // expected-error @below {{3 turns where 4 are needed}}
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 0, 1, 1, 1>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>} : !row
    mp.return %h1 : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that no turn comes twice.
mp.model @twice devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  // expected-error @below {{stage 0 of microbatch 0 runs twice}}
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 0, 0, 1, 1>, array<i64: 1, 1, 0, 2>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>} : !row
    mp.return %h1 : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that there is no turn of a microbatch that there is not.
mp.model @unknown devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  // expected-error @below {{stage 0 of microbatch 2: no such turn}}
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 0, 2, 1, 1>, array<i64: 1, 1, 0, 2>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>} : !row
    mp.return %h1 : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a turn is a stage, a microbatch and pairs of a device and a number.
mp.model @malformed devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  // expected-error @below {{expected a turn's stage, microbatch and waits, got array<i64: 1, 0, 0>}}
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>} : !row
    mp.return %h1 : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that turns that meet in memory are ordered: %g overwrites %h, which may still be on its way to device 1.
mp.model @overlap devices 2 attributes {mp.devices = [{slots = 2 : i64}, {slots = 2 : i64}]} {
  // expected-error @below {{stage 2 of microbatch 0 writes what stage 1 of microbatch 0 reads on device 0, and nothing orders it after that}}
  mp.program @train ["x"] attributes {mp.microbatches = 1 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 2, 0>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>, mp.buffer = #mp.buffer<rows, 0>} : !row
    %g = mp.relu %x {mp.device = 0 : i64, mp.order = 2 : i64, mp.stage = 2 : i64, mp.buffer = #mp.buffer<rows, 8>} : !row -> !row
    mp.return %g : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests the same where devices 0 and 1 share memory: there %h1 is %h, so that %g must come after what reads either.
mp.model @shared devices 3 attributes {mp.devices = [{slots = 2 : i64}, {slots = 2 : i64}, {slots = 2 : i64}]} {
  // expected-error @below {{stage 3 of microbatch 0 writes what stage 2 of microbatch 0 reads on device 0, and nothing orders it after that}}
  mp.program @train ["x"] attributes {mp.microbatches = 1 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 2, 0, 1, 1>, array<i64: 3, 0, 1, 1>]} {
  ^bb0(%x: !row):
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 1 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 0>, mp.buffer = #mp.buffer<rows, 0>} : !row
    %h2 = mp.transfer %h1 from 1 {mp.device = 2 : i64, mp.order = 2 : i64, mp.stage = 2 : i64, mp.waits = array<i64: 1>, mp.buffer = #mp.buffer<rows, 0>} : !row
    %g = mp.relu %x {mp.device = 0 : i64, mp.order = 3 : i64, mp.stage = 3 : i64, mp.waits = array<i64: 1>, mp.buffer = #mp.buffer<rows, 8>} : !row -> !row
    mp.return %g : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that a microbatch takes over memory only after all that the one before touches there, wherever it lies: %g of
// microbatch 1 lies beside what is read of microbatch 0.
mp.model @slot devices 2 attributes {mp.devices = [{slots = 1 : i64}, {slots = 1 : i64}]} {
  // expected-error @below {{stage 0 of microbatch 1 takes over the memory of stage 1 of microbatch 0, and nothing orders it after that}}
  mp.program @train ["x"] attributes {mp.microbatches = 2 : i64, mp.turns = [array<i64: 0, 0>, array<i64: 1, 0, 0, 1>, array<i64: 0, 1>, array<i64: 1, 1, 0, 2>]} {
  ^bb0(%x: !row):
    %g = mp.relu %x {mp.device = 0 : i64, mp.order = 0 : i64, mp.stage = 0 : i64, mp.buffer = #mp.buffer<rows, 16>} : !row -> !row
    %h = mp.relu %x {mp.device = 0 : i64, mp.order = 1 : i64, mp.stage = 0 : i64, mp.buffer = #mp.buffer<rows, 0>} : !row -> !row
    %h1 = mp.transfer %h from 0 {mp.device = 1 : i64, mp.order = 2 : i64, mp.stage = 1 : i64, mp.waits = array<i64: 1>, mp.buffer = #mp.buffer<rows, 0>} : !row
    mp.return %h1 : !row
  }
}
