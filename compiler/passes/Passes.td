//===- Passes.td - the passes of mparc, in the order of the pipeline ------------------------------===//

#ifndef MP_PASSES
#define MP_PASSES

include "mlir/Pass/PassBase.td"

def RoundProducts : Pass<"mp-round-products", "::mparc::mp::ModelOp"> {
  let summary = "round what products of two-byte numbers give to these numbers";
  let description = [{
    The result of a product of bf16 or f16 is cast to that type and back, after the bias and the ReLU that follow it and
    nothing else; the bias is rounded too. `mp.rounds_adjoint` marks the casts of rows of a batch, of operands as of
    results: the adjoint that comes back through one is rounded likewise.

    Example: test/passes/round-products.mlir
  }];
}

def Differentiate : Pass<"mp-differentiate", "::mparc::mp::ModelOp"> {
  let summary = "append the gradient of every parameter to @train";
  let description = [{
    Reverse-mode differentiation of the loss. The walk goes through the operations backwards and names none of them; each
    primitive's rule is one row of the table in DifferentiationRules.cpp. An operation without a row is an error at its
    place in the source. The gradient of a value with several uses is summed over the uses in reverse program order.

    `mp.id` numbers the forward operations and `mp.of` ties each adjoint to its operation, for placement.

    Example: test/passes/differentiate.mlir
  }];
}

def Recompute : Pass<"mp-recompute", "::mparc::mp::ModelOp"> {
  let summary = "compute activations of marked parts again in the backward pass";
  let description = [{
    A forward operation with `mp.recompute` belongs to the part of that number. Its result, where only adjoints of the same
    part read it after the forward pass, is made again just before the first of them, from what enters the part, and so need
    not be kept. What others read is kept. The copies are the same operations on the same operands: no bit changes.

    Example: test/passes/recompute.mlir
  }];
}

def ClipGradients : Pass<"mp-clip-gradients", "::mparc::mp::ModelOp"> {
  let summary = "scale all gradients so that their norm together is at most the train block's `clip_norm`";
  let description = [{
    One operation a parameter adds the squared norm of its gradient to the sum so far, in the order in which parameters are
    declared; one makes the scale of the sum, and the optimiser's step multiplies gradients by it as it reads them. The order
    of the sum is the graph's, before placement: where a parameter lives changes no bit.

    Where the loss is scaled for the sake of products in f16, the same sum says whether all gradients are finite. If not, the
    step is skipped; else the scale of the gradients takes back that of the loss.

    Example: test/passes/clip-gradients.mlir
  }];
}

def Place : Pass<"mp-place", "::mparc::mp::ModelOp"> {
  let summary = "give every operation its device";
  let description = [{
    What the front end left open follows its first already placed operand, else lives on device 0. An adjoint lives where
    the operation does that it is the adjoint of. Parameters and layers are noted where their reads are, and the number of
    devices on the model.

    Example: test/passes/place.mlir
  }];
}

def Split : Pass<"mp-split", "::mparc::mp::ModelOp"> {
  let summary = "spread each operation of a group over the devices of it";
  let description = [{
    An operation with `mp.group` becomes one a device, on what that device has of its operands; between them stand the
    slices, sums and concatenations that lead from what a value has to what its reader needs. A parameter becomes one a
    device, a piece of it or a copy. `mp.collectives` on each program lists what devices exchange.

    Example: test/passes/split-linear.mlir
  }];
}

def InsertTransfers : Pass<"mp-insert-transfers", "::mparc::mp::ModelOp"> {
  let summary = "insert a transfer wherever an operand lives on another device";
  let description = [{
    Plain on purpose: one transfer before each use. `mp-elide-transfers` saves.

    Example: test/passes/insert-transfers.mlir
  }];
}

def ElideTransfers : Pass<"mp-elide-transfers", "::mparc::mp::ModelOp"> {
  let summary = "move every value once to each device that reads it";
  let description = [{
    Merges transfers of one value to one device, reads a value that has come around from where it was made, and sums
    on the sending device what would be summed on arrival, where the partial sum is a prefix of the order of the sum: bits
    stay as they are.

    Example: test/passes/elide-transfers.mlir
  }];
}

def Fuse : Pass<"mp-fuse", "::mparc::mp::ModelOp"> {
  let summary = "make products with bias and ReLU one operation, element-wise chains one loop";
  let description = [{
    Only what leaves every bit as it is: a matrix product, the addition of a bias along its last dimension and a ReLU become
    `mp.linear`; element-wise operations, their broadcasts and constants become `mp.map`, and a map whose one reader is a map
    of the same shape on the same device becomes part of it.

    Example: test/passes/fuse-linear.mlir
  }];
}

def FoldViews : Pass<"mp-fold-views", "::mparc::mp::ModelOp"> {
  let summary = "let attention read heads where a projection left them, and write them where they are wanted";
  let description = [{
    Slices and permutes that do nothing but lay out heads for `mp.attention` and its gradient become views of what they
    copy from; permutes and a concatenation of what these give become views of what they copy to. Decided by shapes and
    uses alone; no bit changes, and no more memory is kept.

    Example: test/passes/fold-views.mlir
  }];
}

def CutRows : Pass<"mp-cut-rows", "::mparc::mp::ModelOp"> {
  let summary = "work through a batch a few rows at a time";
  let description = [{
    Every row goes from the first layer to the last gradient before the next rows begin, so that values stay in the cache.
    Sums over the batch (gradients of parameters, the loss) become sums over its parts in ascending order. A program in
    which a row's values depend on other rows is left whole. Evaluation and prediction are cut where a batch has
    microbatches, so that they take no more memory than one of these.

    Example: test/passes/cut-rows.mlir
  }];
}

def SplitBackward : Pass<"mp-split-backward", "::mparc::mp::ModelOp"> {
  let summary = "put off what no transfer of the backward pass waits for";
  let description = [{
    What an outgoing transfer needs, backwards through the graph, comes first; the gradients of weights and whatever else
    it does without come after it, and carry `mp.weights`. So a device sends on earlier, and a schedule may move the rest to
    where the device has nothing else to do. What is `mp.recomputed` stays, as it would keep the memory of its part.

    Example: test/passes/split-backward.mlir
  }];
}

def Schedule : Pass<"mp-schedule", "::mparc::mp::ModelOp"> {
  let summary = "fix one total order of issue, the stream of each instruction and what it waits for";
  let description = [{
    `mp.order` numbers the instructions of a program over all devices, `mp.stream` says `compute` or `communication`, and
    `mp.waits` lists the orders of earlier instructions on other streams that must have finished. Communication
    instructions that share a device are chained in order.

    Example: test/passes/schedule.mlir
  }];
}

def PlanMemory : Pass<"mp-plan-memory", "::mparc::mp::ModelOp"> {
  let summary = "give every value its place in its device's arena";
  let description = [{
    Lifetimes follow from the total order; a transfer's source lives as long as its copy, since devices that share memory
    copy nothing. Each value is placed at the lowest offset that overlaps nothing alive at the same time, the largest
    first where no other order is found to take less.
    Sizes are bytes a row of the batch, or constant; the two have regions of their own.

    Example: test/passes/plan-memory.mlir
  }];
}

class Verify<string phase, string says> : Pass<"mp-verify-" # phase, "::mparc::mp::ModelOp"> {
  let summary = says;
  let description = "The border of the phase " # phase # ". Example: test/passes/verify-" # phase # ".mlir";
}

def VerifyGraph : Verify<"graph", "primitives only, every size known up to the batch">;
def VerifyPlaced : Verify<"placed", "every operation but constants has its device">;
def VerifySplit : Verify<"split", "no operation belongs to a group of devices: each has one">;
def VerifyTransferred : Verify<"transferred", "an operation and its operands are on one device">;
def VerifyScheduled : Verify<"scheduled", "the order can be carried out without deadlock, by rendezvous and in-order streams">;
def ReduceReplicas : Pass<"mp-reduce-replicas", "::mparc::mp::ModelOp"> {
  let summary = "add up over the replicas what each sums over its rows";
  let description = [{
    After the rows, before anything reads a sum over them: each device's sums are reduced and scattered, then gathered, in
    place. Where the optimiser is shared out, gradients stay scattered unless something but the updates reads them, and
    parameters are gathered after the updates.

    Example: test/passes/reduce-replicas.mlir
  }];
}

def ScheduleMicrobatches : Pass<"mp-schedule-microbatches", "::mparc::mp::ModelOp"> {
  let summary = "decide which stage works on which microbatch when";
  let description = [{
    Divides @train into stages and orders their turns, one for each microbatch, by the schedule of the train block: one
    total order over all devices, in which a turn waits for earlier ones only, so that nothing can hang. It holds where
    devices are worked by different threads; where one thread works all of them, it takes the microbatches one by one,
    which gives the same sums.

    Example: test/passes/schedule-microbatches.mlir
  }];
}

def VerifyTurns : Verify<"turns", "the turns of microbatches can be carried out, and nothing races">;
def VerifyCalls : Verify<"calls", "every value has its place, and no two alive at once overlap">;

#endif
