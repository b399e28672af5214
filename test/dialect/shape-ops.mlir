// RUN: mp-opt %s | mp-opt | FileCheck %s

!row = tensor<?x12xf32, #mp.dims<batch, 12>>
!part = tensor<?x4xf32, #mp.dims<batch, 4>>
!bias = tensor<12xf32, #mp.dims<12>>
!cube = tensor<?x3x4xf32, #mp.dims<batch, 3, 4>>
!turned = tensor<4x?x3xf32, #mp.dims<4, batch, 3>>

// Tests that operations on shapes read back as they print.
// CHECK-LABEL: mp.model @shapes
// CHECK: mp.broadcast %{{.*}} [-1, 0] : tensor<12xf32
// CHECK: mp.reshape %{{.*}} : tensor<?x12xf32
// CHECK: mp.permute %{{.*}} [2, 0, 1] : tensor<?x3x4xf32
// CHECK: mp.slice %{{.*}} dimension 1 from 4 to 8 : tensor<?x12xf32
// CHECK: mp.pad %{{.*}} dimension 1 before 4 after 4 : tensor<?x4xf32
// CHECK: mp.concat %{{.*}}, %{{.*}}, %{{.*}} dimension 1 : (tensor<?x4xf32
// CHECK: mp.slice %{{.*}} dimension 0 from 0 to 0 : {{.*}} -> tensor<?x12xf32, #mp.dims<batch[1 of 2], 12>>
// CHECK: mp.concat {{.*}} dimension 0 : (tensor<?x12xf32, #mp.dims<batch[0 of 2], 12>>, tensor<?x12xf32, #mp.dims<batch[1 of 2], 12>>)
mp.model @shapes {
  mp.program @predict ["x", "b"] {
  ^bb0(%x: !row, %b: !bias):
    %broadcast = mp.broadcast %b [-1, 0] : !bias -> !row
    %reshape = mp.reshape %x : !row -> !cube
    %permute = mp.permute %reshape [2, 0, 1] : !cube -> !turned
    %slice = mp.slice %x dimension 1 from 4 to 8 : !row -> !part
    %pad = mp.pad %slice dimension 1 before 4 after 4 : !part -> !row
    %concat = mp.concat %slice, %slice, %slice dimension 1 : (!part, !part, !part) -> !row
    %first = mp.slice %concat dimension 0 from 0 to 0 : !row -> tensor<?x12xf32, #mp.dims<batch[0 of 2], 12>>
    %second = mp.slice %concat dimension 0 from 0 to 0 : !row -> tensor<?x12xf32, #mp.dims<batch[1 of 2], 12>>
    %rows = mp.concat %first, %second dimension 0 : (tensor<?x12xf32, #mp.dims<batch[0 of 2], 12>>, tensor<?x12xf32, #mp.dims<batch[1 of 2], 12>>) -> !row
    mp.return %rows : !row
  }
}
