// RUN: mp-opt %s --split-input-file --verify-diagnostics

!weight = tensor<4x4xf32, #mp.dims<4, 4>>

// Tests that the scale of an update is a number.
mp.model @scale {
  mp.program @train ["x"] {
  ^bb0(%x: !weight):
    // expected-error @below {{operand #0 must be a tensor of f32 without dimensions}}
    mp.update "sgd" scale %x : !weight
    mp.return %x : !weight
  }
}

// -----

// Tests that tensors whose dimensions are not known are reported, whatever reads them.
mp.model @no_dimensions {
  mp.program @predict ["x"] {
  ^bb0(%x: tensor<4x4xf32>):
    // expected-error @below {{operand #0 must be a tensor whose dimensions are known, but got 'tensor<4x4xf32>'}}
    %y = mp.matmul %x, %x : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    mp.return %y : tensor<4x4xf32>
  }
}

// -----

mp.model @no_dimensions_of_result {
  mp.program @predict ["x"] {
  ^bb0(%x: tensor<4x4xf32, #mp.dims<4, 4>>):
    // expected-error @below {{result #0 must be a tensor whose dimensions are known, but got 'tensor<4xf32>'}}
    %y = mp.reduce sum %x [0] : tensor<4x4xf32, #mp.dims<4, 4>> -> tensor<4xf32>
    mp.return %y : tensor<4xf32>
  }
}
