// RUN: mp-opt %s --mp-verify-graph --split-input-file --verify-diagnostics

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that what only later phases make is refused: transfers, loops, gradients, updates.
mp.model @of_later_phases {
  mp.program @train ["x"] {
  ^bb0(%x: !row):
    // expected-error @below {{has no place in a graph}}
    %a = mp.transfer %x from 0 {mp.device = 1 : i64} : !row
    // expected-error @below {{has no place in a graph}}
    %b = mp.map %x maps [array<i64: 0, 1>] : (!row) -> !row {
    ^bb0(%e: f32):
      mp.yield %e : f32
    }
    // expected-error @below {{has no place in a graph}}
    mp.gradient @w, %b : !row
    // expected-error @below {{has no place in a graph}}
    mp.update "sgd"
    // expected-error @below {{has no place in a graph}}
    %n = mp.squared_norm %a : (!row) -> tensor<f32, #mp.dims<>>
    // expected-error @below {{has no place in a graph}}
    %s = mp.clip_scale %n to 1.0 : tensor<f32, #mp.dims<>>
    mp.return %a : !row
  }
}

// -----

!row = tensor<?x4xf32, #mp.dims<batch, 4>>
!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that a fused product is refused.
mp.model @linear {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !row, %w: !weight):
    // expected-error @below {{has no place in a graph}}
    %a = mp.linear %x, %w none : !row, !weight -> !row
    mp.return %a : !row
  }
}

// -----

// Tests that a tensor whose dimensions have no factors is refused.
mp.model @no_dimensions {
  mp.program @predict [] {
    // expected-error @below {{must be a tensor whose dimensions are known, but got 'tensor<4xf32>'}}
    %w = mp.read @w : tensor<4xf32>
    mp.return %w : tensor<4xf32>
  }
}

// -----

// Tests that a parameter that is no tensor, or whose dimensions have no factors, is refused: what plans memory counts its
// elements.
mp.model @parameters {
  // expected-error @below {{expected a tensor whose dimensions are known, got 'tensor<4xf32>'}}
  mp.parameter @w : tensor<4xf32> init zeros []
  // expected-error @below {{expected a tensor whose dimensions are known, got 'f32'}}
  mp.parameter @s : f32 init zeros []
}

// -----

// Tests that what has no operands says of what size it is.
mp.model @sources {
  mp.program @predict [] {
    // expected-error @below {{expected a tensor whose dimensions are known, got 'tensor<f32>'}}
    %n = mp.extent 12 rows : tensor<f32>
    // expected-error @below {{expected a tensor whose dimensions are known, got 'tensor<4xf32>'}}
    %m = mp.dropout_mask 5.0e-1 of "drop" call 0 : tensor<4xf32>
    mp.return
  }
}
