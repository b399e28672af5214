//===- MpForeign.td - calls of C++ functions of the user's own --------------------------------------===//

#ifndef MP_FOREIGN
#define MP_FOREIGN

include "dialect/MpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// `function` is the function's name with its namespaces, `header` what an #include of the emitted file names. Both functions
// give the same for the same arguments and do nothing else: they may be called twice, once for two uses, or not at all.

def Mp_CallScalarOp : Mp_Op<"call_scalar", [Pure, DeclareOpInterfaceMethods<Mp_ScalarExpression>]> {
  let summary = "a C++ function of scalars, on each element";
  let description = [{
    (E1) all operands and the result have one shape. (K1) there are one to eight operands. `gradient` names the function
    that gives the derivative in each f32 operand: a float where there is one, else a std::array of them in order. A call
    of such a function has `element`, the number of the derivative that is wanted, where it returns several.

    ```mlir
    %y = mp.call_scalar "swish" from "my_ops.h" (%x) {gradient = "swish_grad"} : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, StrAttr:$function, StrAttr:$header,
                       OptionalAttr<StrAttr>:$gradient, OptionalAttr<I64Attr>:$element);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    $function `from` $header `(` $inputs `)` attr-dict `:` functional-type($inputs, $result)
  }];
  let hasVerifier = 1;
}

def Mp_CallTensorOp : Mp_Op<"call_tensor", [Pure]> {
  let summary = "a C++ function of whole tensors";
  let description = [{
    The function takes the device, a view of each operand, and one of the result. `row_wise` says that what it writes at one
    position of the leading dimensions depends on the operands at that position only.

    A call with `adjoint` is one of the function that another's `gradient` names: (K2) its operands are those of that other,
    then the adjoint of its result, and it gives the adjoint of operand number `adjoint`, which is f32 and has its type. Such
    a function takes a view of the adjoint of each f32 operand; those that are not wanted have no data.

    ```mlir
    %y = mp.call_tensor "my::mix" from "my_ops.h" (%x) {gradient = "my::mix_grad", row_wise} : (tensor<?x4xf32, #mp.dims<batch, 4>>) -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, StrAttr:$function, StrAttr:$header,
                       OptionalAttr<StrAttr>:$gradient, OptionalAttr<I64Attr>:$adjoint, UnitAttr:$row_wise);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $function `from` $header `(` $inputs `)` attr-dict `:` functional-type($inputs, $result)
  }];
  let hasVerifier = 1;
}

#endif
