// RUN: mp-opt --mlir-print-debuginfo --mlir-print-local-scope --pass-pipeline='builtin.module(mp.model(mp-name-graph))' %s | FileCheck %s

mp.model @Net {
  // CHECK-LABEL: mp.program @predict
  mp.program @predict ["x"] {
  ^bb0(%x: tensor<?x4xf32, #mp.dims<batch, 4>>):
    // Tests that the result of a layer is called after the layer, whatever the layer calls it.
    // CHECK: mp.exp {{.*}}loc("a_exp"
    %p = mp.exp %x {mp.layer = "a"} : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("f.mp":1:1)
    // CHECK: mp.tanh {{.*}}loc("a_out"
    %a = mp.tanh %p {mp.layer = "a"} : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("a.h"("f.mp":2:1))
    // Tests that what a function makes of it is called after both.
    // CHECK: mp.relu {{.*}}loc("a_relu"
    %r = mp.relu %a : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("f.mp":3:1)
    // Tests that what the model names keeps its name.
    // CHECK: mp.sin {{.*}}loc("wave"
    %s = mp.sin %r : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("wave"("f.mp":4:1))
    // CHECK: mp.cos {{.*}}loc("wave_cos"
    %c = mp.cos %s : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("f.mp":5:1)
    // Tests that a product of a value with itself is called what it is.
    // CHECK: mp.mul {{.*}}loc("wave_square"
    %q = mp.mul %s, %s : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>> loc("f.mp":6:1)
    mp.return %c : tensor<?x4xf32, #mp.dims<batch, 4>>
  }
}
