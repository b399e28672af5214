// RUN: not mp-run %s --program predict 2>&1 | FileCheck %s --check-prefix=SCALAR
// RUN: not mp-run %s --program evaluate 2>&1 | FileCheck %s --check-prefix=TENSOR

!x = tensor<?x3xf32, #mp.dims<batch, 3>>

// Tests that what is compiled alone is refused by its name.
mp.model @calls {
  mp.program @predict ["x"] {
  ^bb0(%x: !x):
    // SCALAR: error: `my::swish` is C++ of `f.h`, which is compiled and not interpreted
    %y = mp.call_scalar "my::swish" from "f.h"(%x) : (!x) -> !x
    mp.return %y : !x
  }
  mp.program @evaluate ["x"] {
  ^bb0(%x: !x):
    // TENSOR: error: `mix` is C++ of `f.h`, which is compiled and not interpreted
    %y = mp.call_tensor "mix" from "f.h"(%x) : (!x) -> !x
    mp.return %y : !x
  }
}
