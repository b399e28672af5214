// RUN: mp-opt %s | mp-opt | FileCheck %s

!table = tensor<5x3xf32, #mp.dims<5, 3>>
!ids = tensor<?x4xi32, #mp.dims<batch, time=4>>
!rows = tensor<?x4x3xf32, #mp.dims<batch, time=4, 3>>
!losses = tensor<?x4xf32, #mp.dims<batch, time=4>>

// Tests that what takes positions from another tensor reads back as it prints.
// CHECK-LABEL: mp.model @indexing
// CHECK: mp.gather %{{.*}}, %{{.*}} : tensor<5x3xf32{{.*}}>, tensor<?x4xi32{{.*}}> -> tensor<?x4x3xf32
// CHECK: mp.scatter_add %{{.*}}, %{{.*}} : tensor<?x4xi32{{.*}}>, tensor<?x4x3xf32{{.*}}> -> tensor<5x3xf32
// CHECK: mp.cross_entropy %{{.*}}, %{{.*}} : tensor<?x4x3xf32{{.*}}>, tensor<?x4xi32{{.*}}> -> tensor<?x4xf32
// CHECK: mp.cross_entropy_gradient %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x4x3xf32
mp.model @indexing {
  mp.program @predict ["table", "ids"] {
  ^bb0(%table: !table, %ids: !ids):
    %h = mp.gather %table, %ids : !table, !ids -> !rows
    %sum = mp.scatter_add %ids, %h : !ids, !rows -> !table
    %l = mp.cross_entropy %h, %ids : !rows, !ids -> !losses
    %d = mp.cross_entropy_gradient %h, %ids, %l : !rows, !ids, !losses -> !rows
    mp.return %d : !rows
  }
}

// Tests that a table may be of any elements, and its rows single numbers; that ids may have no batch.
// CHECK-LABEL: mp.model @kinds
// CHECK: mp.gather %{{.*}} : tensor<5xi32{{.*}}>, tensor<2xi32{{.*}}> -> tensor<2xi32
// CHECK: mp.gather %{{.*}} : tensor<5x2xi1{{.*}}>, tensor<i32{{.*}}> -> tensor<2xi1
mp.model @kinds {
  mp.program @predict ["numbers", "flags", "two", "one"] {
  ^bb0(%numbers: tensor<5xi32, #mp.dims<5>>, %flags: tensor<5x2xi1, #mp.dims<5, 2>>, %two: tensor<2xi32, #mp.dims<2>>, %one: tensor<i32, #mp.dims<>>):
    %a = mp.gather %numbers, %two : tensor<5xi32, #mp.dims<5>>, tensor<2xi32, #mp.dims<2>> -> tensor<2xi32, #mp.dims<2>>
    %b = mp.gather %flags, %one : tensor<5x2xi1, #mp.dims<5, 2>>, tensor<i32, #mp.dims<>> -> tensor<2xi1, #mp.dims<2>>
    mp.return %a : tensor<2xi32, #mp.dims<2>>
  }
}
