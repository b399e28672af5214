//===- MpInterfaces.td - what passes ask of operations without naming them -------------------------===//

#ifndef MP_INTERFACES
#define MP_INTERFACES

include "mlir/IR/OpBase.td"

def Mp_ScalarExpression : OpInterface<"ScalarExpression"> {
  let cppNamespace = "::mparc::mp";
  let description = [{
    An element-wise operation: what it computes of one element each of its operands. It applies to tensors of one shape
    and, in the body of `mp.map`, to scalars.
  }];
  let methods = [InterfaceMethod<[{
      The C++ expression, over the runtime's scalar.h: `$0`, `$1`, … stand for the operands.
    }], "std::string", "getExpression">];
}

#endif
