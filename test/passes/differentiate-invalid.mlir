// RUN: mp-opt %s --mp-differentiate --verify-diagnostics

!weight = tensor<4x4xf32, #mp.dims<4, 4>>
!scalar = tensor<f32, #mp.dims<>>

// Tests that an operation on the way to a parameter that has no derivative is an error at its place.
mp.model @no_derivative {
  mp.parameter @w : !weight init zeros []
  mp.training optimizer "sgd" {} loss "l" epochs 1 batch 1 shuffle true seed 0 classes 0 data {} test_data {}
  mp.program @train [] {
    %w = mp.read @w : !weight
    // expected-error @below {{has no derivative}}
    %d = mp.gelu_derivative %w : !weight -> !weight
    %l = mp.reduce sum %d [0, 1] : !weight -> !scalar
    mp.return %l : !scalar
  }
}
