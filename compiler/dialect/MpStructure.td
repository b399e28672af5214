//===- MpStructure.td - models, parameters, programs ----------------------------------------------===//

#ifndef MP_STRUCTURE
#define MP_STRUCTURE

include "dialect/MpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Mp_ModelOp : Mp_Op<"model", [Symbol, SymbolTable, NoTerminator, SingleBlock, IsolatedFromAbove]> {
  let summary = "a model: its layers, parameters, training and programs";
  let description = [{
    `devices` is the number of logical devices; known from the phase placed on.

    ```mlir
    mp.model @Net devices 4 {
      mp.layer "layer1" declared "layer1 = Linear(12, 256)"
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<I64Attr>:$devices);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name (`devices` $devices^)? attr-dict-with-keyword $body";
}

def Mp_LayerOp : Mp_Op<"layer"> {
  let summary = "a layer of the model, as its author declared it";
  let description = [{
    For those who read: the emitted program's comments and reports. The location is the declaration's.

    ```mlir
    mp.layer "layer1" declared "layer1 = Linear(12, 256)"
    ```
  }];
  let arguments = (ins StrAttr:$path, StrAttr:$text);
  let assemblyFormat = "$path `declared` $text attr-dict";
}

def Mp_ParameterOp : Mp_Op<"parameter", [Symbol]> {
  let summary = "a tensor that lasts from step to step: one that is trained, or a buffer";
  let description = [{
    The symbol is PyTorch's path. `arguments` are the initialiser's, in the order of the language. Parameters draw in the
    order in which they stand. `undecayed`: the optimiser's weight decay leaves it alone. A buffer is `untrained`: it has no
    gradient, `mp.assign` sets it, and its elements may be i32 or bool. `also`: further paths of the same tensor, of parameters
    that are tied to it and of layers that several others own; files hold it under each. In the phase calls `mp.buffer` says
    where it lies.

    ```mlir
    mp.parameter @"layer1.weight" : tensor<256x12xf32, #mp.dims<out=256, in=12>> init kaiming_uniform [1.2e1]
    mp.parameter @"layer1.bias" : tensor<256xf32, #mp.dims<out=256>> init zeros [] {undecayed}
    mp.parameter @"norm.running_mean" : tensor<8xf32, #mp.dims<8>> init zeros [] untrained
    mp.parameter @"wte.weight" also ["head.weight"] : tensor<256x12xf32, #mp.dims<out=256, in=12>> init normal [0.0, 1.0]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, Mp_InitializerKind:$initializer,
                       DenseF64ArrayAttr:$arguments, UnitAttr:$undecayed, UnitAttr:$untrained,
                       OptionalAttr<StrArrayAttr>:$also);
  let assemblyFormat = [{
    $sym_name (`also` $also^)? `:` $type `init` $initializer $arguments (`untrained` $untrained^)? attr-dict
  }];
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() { return ::llvm::cast<::mlir::RankedTensorType>(getType()); }
  }];
}

def Mp_TrainingOp : Mp_Op<"training"> {
  let summary = "what the train block says";
  let description = [{
    `optimizer` is `sgd`, `adam`, `adamw`, `adagrad` or `rmsprop`, `settings` its hyper-parameters by name, numbers as f64, and
    `clip_norm` where gradients are clipped. `loss` names the layer that computes the loss. `classes` is the number of
    classes where the target is one, else 0. `data` and `test_data` are dictionaries with `kind` (`csv`, `npy`, `text`,
    `tokens`), `path`, and where given `targets_path`, `inputs`, `targets`, `test`; `path` is a list where a model of several
    inputs has a file each; `text` and `tokens` have `context`, the tokens of a row, and `tokens` a `token_type`. `lr_schedule`
    is one with `kind` (`constant`, `cosine`, `linear`, `step`) and the numbers that the language's call gives.
    `microbatches` and `schedule` (`gpipe`, `1f1b`) say how a batch goes through the devices; `replicas` how many copies of the
    model share it, `sharded` whether each keeps the optimiser's state of its share of the parameters alone.

    ```mlir
    mp.training optimizer "adam" {lr = 1.0e-3 : f64} loss "mse" epochs 10 batch 32 shuffle true seed 0 classes 0
      data {kind = "csv", path = "sunspots.csv", test = 2.0e-1 : f64} test_data {}
      lr_schedule {kind = "cosine", steps = 1000 : i64, warmup = 100 : i64, min = 0.0 : f64}
    ```
  }];
  let arguments = (ins StrAttr:$optimizer, DictionaryAttr:$settings, StrAttr:$loss, I64Attr:$epochs,
                       I64Attr:$batch, BoolAttr:$shuffle, I64Attr:$seed, I64Attr:$classes,
                       DictionaryAttr:$data, DictionaryAttr:$test_data,
                       OptionalAttr<DictionaryAttr>:$lr_schedule,
                       DefaultValuedAttr<I64Attr, "1">:$microbatches,
                       DefaultValuedAttr<StrAttr, "\"gpipe\"">:$schedule,
                       DefaultValuedAttr<I64Attr, "1">:$replicas, UnitAttr:$sharded);
  let assemblyFormat = [{
    `optimizer` $optimizer $settings `loss` $loss `epochs` $epochs `batch` $batch `shuffle` $shuffle `seed` $seed
    `classes` $classes `data` $data `test_data` $test_data
    (`lr_schedule` $lr_schedule^)? (`microbatches` $microbatches^)? (`schedule` $schedule^)?
    (`replicas` $replicas^)? (`sharded` $sharded^)? attr-dict
  }];
}

def Mp_ProgramOp : Mp_Op<"program", [Symbol, SingleBlock, IsolatedFromAbove]> {
  let summary = "one of the three things a model does: train, evaluate, predict";
  let description = [{
    - `@train`: the inputs and the target to the loss; from the phase grad on also gradients and updates.
    - `@evaluate`: the inputs and the target to the output and the loss, `training` false.
    - `@predict`: the inputs to the output.

    A model without a train block has `@predict` only. `names` are the arguments' in the source.

    ```mlir
    mp.program @predict ["x"] {
    ^bb0(%x: tensor<?x12xf32, #mp.dims<batch, 12>>):
      mp.return %x : tensor<?x12xf32, #mp.dims<batch, 12>>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$names);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $names attr-dict-with-keyword $body";
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
  }];
}

def Mp_ReturnOp : Mp_Op<"return", [Terminator, ParentOneOf<["ProgramOp"]>]> {
  let summary = "what a program gives";
  let description = [{
    `@train`: the loss; `@evaluate`: output and loss; `@predict`: the output.

    ```mlir
    mp.return %output, %loss : tensor<?x12xf32, #mp.dims<batch, 12>>, tensor<f32, #mp.dims<>>
    ```
  }];
  let arguments = (ins Variadic<Mp_Tensor>:$results);
  let assemblyFormat = "($results^ `:` type($results))? attr-dict";
}

def Mp_ReadOp : Mp_Op<"read", [Pure]> {
  let summary = "the value of a parameter before this step's update";
  let description = [{
    ```mlir
    %w = mp.read @"layer1.weight" : tensor<256x12xf32, #mp.dims<out=256, in=12>>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$parameter attr-dict `:` type($result)";
}

def Mp_GradientOp : Mp_Op<"gradient"> {
  let summary = "hands a parameter its gradient";
  let description = [{
    Once a parameter and step; in the phase calls the operand lies in the parameter's place of the region `gradients`.

    ```mlir
    mp.gradient @"layer1.weight", %g : tensor<256x12xf32, #mp.dims<out=256, in=12>>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter, Mp_Tensor:$value);
  let assemblyFormat = "$parameter `,` $value attr-dict `:` type($value)";
}

def Mp_SquaredNormOp : Mp_Op<"squared_norm", [Pure]> {
  let summary = "the sum of the squares of all elements, added to a sum so far";
  let description = [{
    sum + Σ input², the squares summed in fixed blocks and rounded once: neither placement nor threads change a bit.

    ```mlir
    %b = mp.squared_norm %h, %a : (tensor<256xf32, #mp.dims<out=256>>, tensor<f32, #mp.dims<>>) -> tensor<f32, #mp.dims<>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$input, Optional<Mp_Scalar>:$sum);
  let results = (outs Mp_Scalar:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, $result)";
}

def Mp_ClipScaleOp : Mp_Op<"clip_scale", [Pure, AllTypesMatch<["squared_norm", "result"]>]> {
  let summary = "what gradients are multiplied by so that their norm is at most `norm`";
  let description = [{
    min(1, norm / (√squared_norm + 1e-6)), as `torch.nn.utils.clip_grad_norm_` has it.

    ```mlir
    %s = mp.clip_scale %n to 1.0 : tensor<f32, #mp.dims<>>
    ```
  }];
  let arguments = (ins Mp_Scalar:$squared_norm, F64Attr:$norm);
  let results = (outs Mp_Scalar:$result);
  let assemblyFormat = "$squared_norm `to` $norm attr-dict `:` type($squared_norm)";
}

def Mp_LossScaleOp : Mp_Op<"loss_scale", [Pure]> {
  let summary = "what the loss is multiplied by in this step, so that its gradients are not too small for f16";
  let description = [{
    The adjoint of the loss. It changes from step to step as `mp.unscale` says, in steps of a factor of two.

    ```mlir
    %s = mp.loss_scale : tensor<f32, #mp.dims<>>
    ```
  }];
  let results = (outs Mp_Scalar:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Mp_UnscaleOp : Mp_Op<"unscale", [AllTypesMatch<["squared_norm", "result"]>]> {
  let summary = "what gradients of the scaled loss are multiplied by, clipped to `norm` where there is one";
  let description = [{
    1 / scale, and with `norm` what `mp.clip_scale` gives for the gradients so unscaled, times that. Where `squared_norm` is
    not finite, because a gradient is not, the result is none either, and the step is to be skipped. Sets the scale of the
    next step: once a step.

    ```mlir
    %s = mp.unscale %n : tensor<f32, #mp.dims<>>
    %t = mp.unscale %n to 1.0 : tensor<f32, #mp.dims<>>
    ```
  }];
  let arguments = (ins Mp_Scalar:$squared_norm, OptionalAttr<F64Attr>:$norm);
  let results = (outs Mp_Scalar:$result);
  let assemblyFormat = "$squared_norm (`to` $norm^)? attr-dict `:` type($squared_norm)";
}

def Mp_AssignOp : Mp_Op<"assign"> {
  let summary = "sets a buffer, once a step, after everything that reads it";
  let description = [{
    Reads of the buffer give the value before the step, wherever they stand. In @train only. With `mp.of_part` it is set once
    for each part of the batch, in ascending order, and reads give the value that the part before has left.

    ```mlir
    mp.assign @"norm.running_mean", %m : tensor<8xf32, #mp.dims<8>>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter, Mp_Tensor:$value);
  let assemblyFormat = "$parameter `,` $value attr-dict `:` type($value)";
}

def Mp_UpdateOp : Mp_Op<"update"> {
  let summary = "one step of the optimiser over all parameters of a device";
  let description = [{
    The gradients are multiplied by `scale` first, where there is one. `skipping`: where it is not finite, nothing changes, and
    the step does not count for the optimiser.

    ```mlir
    mp.update "adam" {mp.device = 0 : i64}
    mp.update "adam" scale %s : tensor<f32, #mp.dims<>>
    mp.update "adam" scale %s : tensor<f32, #mp.dims<>> skipping
    ```
  }];
  let arguments = (ins StrAttr:$optimizer, Optional<Mp_Scalar>:$scale, UnitAttr:$skipping);
  let assemblyFormat = "$optimizer (`scale` $scale^ `:` type($scale))? (`skipping` $skipping^)? attr-dict";
}

def Mp_TransferOp : Mp_Op<"transfer", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "the value, readable on the operation's device";
  let description = [{
    From device `from` to the operation's `mp.device`. One instruction of the schedule, not a send here and a receive there.

    ```mlir
    %h_on_1 = mp.transfer %h from 0 {mp.device = 1 : i64} : tensor<?x128xf32, #mp.dims<batch, out=128>>
    ```
  }];
  let arguments = (ins Mp_Tensor:$input, I64Attr:$from);
  let results = (outs Mp_Tensor:$result);
  let assemblyFormat = "$input `from` $from attr-dict `:` type($input)";
  let builders = [OpBuilder<(ins "::mlir::Value":$input, "int64_t":$from, "int64_t":$to)>];
}

#endif
