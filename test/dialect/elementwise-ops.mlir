// RUN: mp-opt %s | mp-opt | FileCheck %s

!row = tensor<?x4xf32, #mp.dims<batch, 4>>

// Tests that functions of one number read back as they print.
// CHECK-LABEL: mp.model @unary
// CHECK: mp.neg %
// CHECK: mp.relu %
// CHECK: mp.gelu %
// CHECK: mp.gelu_tanh %
// CHECK: mp.gelu_derivative %
// CHECK: mp.gelu_tanh_derivative %
// CHECK: mp.silu %
// CHECK: mp.silu_derivative %
// CHECK: mp.sigmoid %
// CHECK: mp.tanh %
// CHECK: mp.exp %
// CHECK: mp.log %
// CHECK: mp.sqrt %
// CHECK: mp.rsqrt %
// CHECK: mp.abs %
// CHECK: mp.sign %
// CHECK: mp.sin %
// CHECK: mp.cos %
// CHECK: mp.detach %
mp.model @unary {
  mp.program @predict ["x"] {
  ^bb0(%x: !row):
    %neg = mp.neg %x : !row -> !row
    %relu = mp.relu %x : !row -> !row
    %gelu = mp.gelu %x : !row -> !row
    %gelu_tanh = mp.gelu_tanh %x : !row -> !row
    %gelu_derivative = mp.gelu_derivative %x : !row -> !row
    %gelu_tanh_derivative = mp.gelu_tanh_derivative %x : !row -> !row
    %silu = mp.silu %x : !row -> !row
    %silu_derivative = mp.silu_derivative %x : !row -> !row
    %sigmoid = mp.sigmoid %x : !row -> !row
    %tanh = mp.tanh %x : !row -> !row
    %exp = mp.exp %x : !row -> !row
    %log = mp.log %x : !row -> !row
    %sqrt = mp.sqrt %x : !row -> !row
    %rsqrt = mp.rsqrt %x : !row -> !row
    %abs = mp.abs %x : !row -> !row
    %sign = mp.sign %x : !row -> !row
    %sin = mp.sin %x : !row -> !row
    %cos = mp.cos %x : !row -> !row
    %detach = mp.detach %x : !row -> !row
    mp.return %x : !row
  }
}

// Tests that functions of two numbers read back as they print.
// CHECK-LABEL: mp.model @binary
// CHECK: mp.add %{{.*}}, %
// CHECK: mp.sub %{{.*}}, %
// CHECK: mp.mul %{{.*}}, %
// CHECK: mp.div %{{.*}}, %
// CHECK: mp.remainder %{{.*}}, %
// CHECK: mp.pow %{{.*}}, %
// CHECK: mp.minimum %{{.*}}, %
// CHECK: mp.maximum %{{.*}}, %
// CHECK: mp.binary_cross_entropy %{{.*}}, %
// CHECK: mp.binary_cross_entropy_derivative %{{.*}}, %
mp.model @binary {
  mp.program @predict ["x", "y"] {
  ^bb0(%x: !row, %y: !row):
    %add = mp.add %x, %y : !row, !row -> !row
    %sub = mp.sub %x, %y : !row, !row -> !row
    %mul = mp.mul %x, %y : !row, !row -> !row
    %div = mp.div %x, %y : !row, !row -> !row
    %remainder = mp.remainder %x, %y : !row, !row -> !row
    %pow = mp.pow %x, %y : !row, !row -> !row
    %minimum = mp.minimum %x, %y : !row, !row -> !row
    %maximum = mp.maximum %x, %y : !row, !row -> !row
    %binary_cross_entropy = mp.binary_cross_entropy %x, %y : !row, !row -> !row
    %binary_cross_entropy_derivative = mp.binary_cross_entropy_derivative %x, %y : !row, !row -> !row
    mp.return %x : !row
  }
}
