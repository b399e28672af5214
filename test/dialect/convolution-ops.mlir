// RUN: mp-opt %s | mp-opt | FileCheck %s

!images = tensor<?x4x8x8xf32, #mp.dims<batch, channels=4, 8, 8>>
!weight = tensor<6x2x3x2xf32, #mp.dims<out=6, 2, 3, 2>>
!maps = tensor<?x6x4x9xf32, #mp.dims<batch, out=6, 4, 9>>
!halves = tensor<?x6x2x4xf32, #mp.dims<batch, out=6, 2, 4>>
!positions = tensor<?x6x2x4xi32, #mp.dims<batch, out=6, 2, 4>>

// Tests that a convolution and its gradients read back as they print.
// CHECK-LABEL: mp.model @convolution
// CHECK: %[[Y:.*]] = mp.conv %[[X:[^ ]*]], %[[W:[^ ]*]] stride [2, 1] padding [1, 1] dilation [1, 1] groups 2 : (
// CHECK: mp.conv_input_gradient %[[Y]], %[[W]] stride [2, 1] padding [1, 1] dilation [1, 1] groups 2 : (
// CHECK: mp.conv_weight_gradient %[[Y]], %[[X]] stride [2, 1] padding [1, 1] dilation [1, 1] groups 2 : (
mp.model @convolution {
  mp.program @predict ["x", "w"] {
  ^bb0(%x: !images, %w: !weight):
    %y = mp.conv %x, %w stride [2, 1] padding [1, 1] dilation [1, 1] groups 2 : (!images, !weight) -> !maps
    %dx = mp.conv_input_gradient %y, %w stride [2, 1] padding [1, 1] dilation [1, 1] groups 2 : (!maps, !weight) -> !images
    %dw = mp.conv_weight_gradient %y, %x stride [2, 1] padding [1, 1] dilation [1, 1] groups 2 : (!maps, !images) -> !weight
    mp.return %dx, %dw : !images, !weight
  }
}

// Tests that pooling and its gradients read back as they print.
// CHECK-LABEL: mp.model @pooling
// CHECK: %[[Y:[^,]*]], %[[POSITIONS:.*]] = mp.max_pool %{{.*}} kernel [2, 2] stride [2, 2] padding [0, 0] : tensor<
// CHECK: mp.max_pool_gradient %[[Y]], %[[POSITIONS]] dimensions 2 : (
// CHECK: %[[MEAN:.*]] = mp.avg_pool %{{.*}} kernel [3, 3] stride [2, 2] padding [1, 0] count_padding : (
// CHECK: mp.avg_pool_gradient %[[MEAN]] kernel [3, 3] stride [2, 2] padding [1, 0] count_padding : (
// CHECK: mp.avg_pool %{{.*}} kernel [2, 2] stride [2, 2] padding [0, 0] : (
mp.model @pooling {
  mp.program @predict ["x"] {
  ^bb0(%x: !maps):
    %y, %positions = mp.max_pool %x kernel [2, 2] stride [2, 2] padding [0, 0] : !maps -> !halves, !positions
    %dx = mp.max_pool_gradient %y, %positions dimensions 2 : (!halves, !positions) -> !maps
    %mean = mp.avg_pool %dx kernel [3, 3] stride [2, 2] padding [1, 0] count_padding : (!maps) -> !halves
    %dmean = mp.avg_pool_gradient %mean kernel [3, 3] stride [2, 2] padding [1, 0] count_padding : (!halves) -> !maps
    %last = mp.avg_pool %dmean kernel [2, 2] stride [2, 2] padding [0, 0] : (!maps) -> !halves
    mp.return %last : !halves
  }
}
