//===- MpIndexing.td - operations that take positions from another tensor ---------------------------===//

#ifndef MP_INDEXING
#define MP_INDEXING

include "dialect/MpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// An index that is outside of what it counts is an error of the run, in one line: never a read or a write elsewhere.

def Mp_GatherOp : Mp_Op<"gather", [Pure]> {
  let summary = "rows of a table, by their numbers";
  let description = [{
    (G1) `ids` are i32, of any rank. (G2) the table's first dimension does not contain the batch. (G3) the result has the
    dimensions of `ids`, then those of the table but its first.

    ```mlir
    %h = mp.gather %table, %ids : tensor<256x8xf32, #mp.dims<256, 8>>, tensor<?x4xi32, #mp.dims<batch, 4>> -> tensor<?x4x8xf32, #mp.dims<batch, 4, 8>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$table, Mp_Tensor:$ids);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$table `,` $ids attr-dict `:` type($table) `,` type($ids) `->` type($result)";
  let hasVerifier = 1;
}

def Mp_ScatterAddOp : Mp_Op<"scatter_add", [Pure]> {
  let summary = "sums rows by their numbers into a table: the adjoint of gather";
  let description = [{
    Row r of the result is the sum of the rows of `rows` whose id is r, in their order, from zero on. (G1)–(G3) hold of
    `ids`, of the result as the table, and of `rows` as what was gathered. Rows of f32 are summed.

    ```mlir
    %dt = mp.scatter_add %ids, %g : tensor<?x4xi32, #mp.dims<batch, 4>>, tensor<?x4x8xf32, #mp.dims<batch, 4, 8>> -> tensor<256x8xf32, #mp.dims<256, 8>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$ids, Mp_Tensor:$rows);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$ids `,` $rows attr-dict `:` type($ids) `,` type($rows) `->` type($result)";
  let hasVerifier = 1;
}

def Mp_CrossEntropyOp : Mp_Op<"cross_entropy", [Pure]> {
  let summary = "log Σ exp(x) - x[target] along the last dimension";
  let description = [{
    (X1) `x` is f32, bf16 or f16 of rank 1 or more, and its last dimension, the classes, does not contain the batch. (X2) `target` is i32
    and has the other dimensions of `x`. (X3) so has the result, of f32, in which it is computed. One pass over `x`, with nothing kept for the gradient.

    ```mlir
    %l = mp.cross_entropy %x, %target : tensor<?x4x10xf32, #mp.dims<batch, 4, 10>>, tensor<?x4xi32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$x, Mp_Tensor:$target);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$x `,` $target attr-dict `:` type($x) `,` type($target) `->` type($result)";
  let hasVerifier = 1;
}

def Mp_CrossEntropyGradientOp : Mp_Op<"cross_entropy_gradient", [Pure]> {
  let summary = "g · (softmax(x) - [class = target]): the adjoint of cross_entropy";
  let description = [{
    (X1) and (X2) hold of `x` and `target`. `g` has the type of the losses, the result the shape of `x` and its element type or
    f32.

    ```mlir
    %dx = mp.cross_entropy_gradient %x, %target, %g : tensor<?x10xf32, #mp.dims<batch, 10>>, tensor<?xi32, #mp.dims<batch>>, tensor<?xf32, #mp.dims<batch>> -> tensor<?x10xf32, #mp.dims<batch, 10>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$x, Mp_Tensor:$target, Mp_Tensor:$g);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = [{
    $x `,` $target `,` $g attr-dict `:` type($x) `,` type($target) `,` type($g) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Mp_CheckIndexOp : Mp_Op<"check_index", [Pure, AllTypesMatch<["ids", "result"]>]> {
  let summary = "indices, each of which is in [0, limit)";
  let description = [{
    One that is not is an error of the run, as with gather and cross_entropy. What takes tables or classes apart checks
    here what its parts, which see pieces, could not. `table` is the parameter that the indices are rows of; without it
    they are classes. (C1) `ids` are i32; the result is the same.

    ```mlir
    %t = mp.check_index %target below 10 : tensor<?xi32, #mp.dims<batch>>
    ```

    ```mlir
    %i = mp.check_index %ids below 256 of "words.weight" : tensor<?x4xi32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$ids, I64Attr:$limit, OptionalAttr<StrAttr>:$table);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$ids `below` $limit (`of` $table^)? attr-dict `:` type($ids)";
  let hasVerifier = 1;
}

#endif
