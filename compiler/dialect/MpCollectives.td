//===- MpCollectives.td - what replicas of the model do together ------------------------------------===//

#ifndef MP_COLLECTIVES
#define MP_COLLECTIVES

include "dialect/MpBase.td"

// A program with replicas is the program of each: an operation on device k runs on device k of every replica. Both operations
// work on `count` elements of type `element` from `place` on, which lie at the same place in the arenas of all replicas. A
// range of parameters or gradients is divided among the replicas as the device's trained parameters are, so that each has
// the gradients of what it updates; any other range is divided by itself. Both together are an all-reduce.

def Mp_ReduceScatterOp : Mp_Op<"reduce_scatter"> {
  let summary = "adds up a range over all replicas; each keeps its share of the sum";
  let description = [{
    In ascending order of the replicas, those without rows in the batch left out. In place: the rest of the range stays as it
    is.

    ```mlir
    mp.reduce_scatter <gradients, 0>, 36224 : f32 {mp.device = 0 : i64}
    ```
  }];
  let arguments = (ins Mp_BufferAttr:$place, I64Attr:$count, TypeAttr:$element);
  let assemblyFormat = "$place `,` $count `:` $element attr-dict";
}

def Mp_AllGatherOp : Mp_Op<"all_gather"> {
  let summary = "fetches from the other replicas their shares of a range";
  let description = [{
    ```mlir
    mp.all_gather <gradients, 0>, 36224 : f32 {mp.device = 0 : i64}
    ```
  }];
  let arguments = (ins Mp_BufferAttr:$place, I64Attr:$count, TypeAttr:$element);
  let assemblyFormat = "$place `,` $count `:` $element attr-dict";
}

#endif
