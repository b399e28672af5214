//===- MpElementwise.td - operations on single elements -------------------------------------------===//

#ifndef MP_ELEMENTWISE
#define MP_ELEMENTWISE

include "dialect/MpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// Rules of every operation here:
// (E1) all operands and the result have one shape; the names of dimensions may differ, the result's are its own.
// (E2) element types are as each operation says.

class Mp_Elementwise<string opMnemonic, string expression> : Mp_Op<opMnemonic, [
    Pure, DeclareOpInterfaceMethods<Mp_ScalarExpression>]> {
  let results = (outs AnyType:$result);
  let hasVerifier = 1;
  // The doubled sign reaches C++ as one: tablegen substitutes what follows a single one.
  let extraClassDefinition =
      "std::string $cppClass::getExpression() { return " # !subst("$", "$$", expression) # "; }";
}

class Mp_Unary<string opMnemonic, string expression> : Mp_Elementwise<opMnemonic, expression> {
  let arguments = (ins AnyType:$x);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
}

class Mp_Binary<string opMnemonic, string expression> : Mp_Elementwise<opMnemonic, expression> {
  let arguments = (ins AnyType:$a, AnyType:$b);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($a) `,` type($b) `->` type($result)";
}

def Mp_NegOp : Mp_Unary<"neg", "\"-$0\""> {
  let summary = "-x";
  let description = [{
    ```mlir
    %y = mp.neg %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_ReluOp : Mp_Unary<"relu", "\"relu($0)\""> {
  let summary = "max(x, 0); a NaN stays one";
  let description = [{
    ```mlir
    %y = mp.relu %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_GeluOp : Mp_Unary<"gelu", "\"gelu($0)\""> {
  let summary = "x · Φ(x), by the error function";
  let description = [{
    ```mlir
    %y = mp.gelu %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_GeluTanhOp : Mp_Unary<"gelu_tanh", "\"gelu_tanh($0)\""> {
  let summary = "the approximation of GELU by tanh";
  let description = [{
    ```mlir
    %y = mp.gelu_tanh %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_GeluDerivativeOp : Mp_Unary<"gelu_derivative", "\"gelu_derivative($0)\""> {
  let summary = "d gelu(x) / dx";
  let description = [{
    ```mlir
    %y = mp.gelu_derivative %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_GeluTanhDerivativeOp : Mp_Unary<"gelu_tanh_derivative", "\"gelu_tanh_derivative($0)\""> {
  let summary = "d gelu_tanh(x) / dx";
  let description = [{
    ```mlir
    %y = mp.gelu_tanh_derivative %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_SiluOp : Mp_Unary<"silu", "\"silu($0)\""> {
  let summary = "x · sigmoid(x)";
  let description = [{
    ```mlir
    %y = mp.silu %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_SiluDerivativeOp : Mp_Unary<"silu_derivative", "\"silu_derivative($0)\""> {
  let summary = "d silu(x) / dx";
  let description = [{
    ```mlir
    %y = mp.silu_derivative %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_SigmoidOp : Mp_Unary<"sigmoid", "\"sigmoid($0)\""> {
  let summary = "1 / (1 + exp(-x))";
  let description = [{
    ```mlir
    %y = mp.sigmoid %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_TanhOp : Mp_Unary<"tanh", "\"tanh($0)\""> {
  let summary = "hyperbolic tangent";
  let description = [{
    ```mlir
    %y = mp.tanh %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_ExpOp : Mp_Unary<"exp", "\"exp($0)\""> {
  let summary = "e to the x";
  let description = [{
    ```mlir
    %y = mp.exp %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_LogOp : Mp_Unary<"log", "\"log($0)\""> {
  let summary = "natural logarithm";
  let description = [{
    ```mlir
    %y = mp.log %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_SqrtOp : Mp_Unary<"sqrt", "\"sqrt($0)\""> {
  let summary = "square root";
  let description = [{
    ```mlir
    %y = mp.sqrt %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_RsqrtOp : Mp_Unary<"rsqrt", "\"rsqrt($0)\""> {
  let summary = "1 / sqrt(x)";
  let description = [{
    ```mlir
    %y = mp.rsqrt %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_AbsOp : Mp_Unary<"abs", "\"abs($0)\""> {
  let summary = "absolute value";
  let description = [{
    ```mlir
    %y = mp.abs %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_SignOp : Mp_Unary<"sign", "\"sign($0)\""> {
  let summary = "-1, 0 or 1: the derivative of abs, 0 at 0 as in PyTorch";
  let description = [{
    ```mlir
    %y = mp.sign %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_SinOp : Mp_Unary<"sin", "\"sin($0)\""> {
  let summary = "sine";
  let description = [{
    ```mlir
    %y = mp.sin %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_CosOp : Mp_Unary<"cos", "\"cos($0)\""> {
  let summary = "cosine";
  let description = [{
    ```mlir
    %y = mp.cos %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_DetachOp : Mp_Unary<"detach", "\"$0\""> {
  let summary = "x, through which no gradient flows: what a buffer is set to is a number, not a function";
  let description = [{
    ```mlir
    %y = mp.detach %x : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_NotOp : Mp_Unary<"not", "\"!$0\""> {
  let summary = "logical negation; operand and result are bool";
  let description = [{
    ```mlir
    %y = mp.not %x : tensor<?x4xi1, #mp.dims<batch, 4>> -> tensor<?x4xi1, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_AddOp : Mp_Binary<"add", "\"$0 + $1\""> {
  let summary = "a + b";
  let description = [{
    ```mlir
    %c = mp.add %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_SubOp : Mp_Binary<"sub", "\"$0 - $1\""> {
  let summary = "a - b";
  let description = [{
    ```mlir
    %c = mp.sub %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_MulOp : Mp_Binary<"mul", "\"$0 * $1\""> {
  let summary = "a · b";
  let description = [{
    ```mlir
    %c = mp.mul %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_DivOp : Mp_Binary<"div", "\"$0 / $1\""> {
  let summary = "a / b; of f32 only";
  let description = [{
    ```mlir
    %c = mp.div %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_RemainderOp : Mp_Binary<"remainder", "\"remainder($0, $1)\""> {
  let summary = "a - b · floor(a / b): the sign of b, as PyTorch's remainder";
  let description = [{
    ```mlir
    %c = mp.remainder %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_PowOp : Mp_Binary<"pow", "\"pow($0, $1)\""> {
  let summary = "a to the b";
  let description = [{
    ```mlir
    %c = mp.pow %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_MinimumOp : Mp_Binary<"minimum", "\"minimum($0, $1)\""> {
  let summary = "the smaller; NaN where either is";
  let description = [{
    ```mlir
    %c = mp.minimum %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_MaximumOp : Mp_Binary<"maximum", "\"maximum($0, $1)\""> {
  let summary = "the larger; NaN where either is";
  let description = [{
    ```mlir
    %c = mp.maximum %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_BinaryCrossEntropyOp : Mp_Binary<"binary_cross_entropy", "\"binary_cross_entropy($0, $1)\""> {
  let summary = "-(t log p + (1 - t) log(1 - p)), logarithms no less than -100";
  let description = [{
    ```mlir
    %c = mp.binary_cross_entropy %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_BinaryCrossEntropyDerivativeOp : Mp_Binary<"binary_cross_entropy_derivative", "\"binary_cross_entropy_derivative($0, $1)\""> {
  let summary = "its derivative by p: (p - t) / max((1 - p) p, 1e-12)";
  let description = [{
    ```mlir
    %c = mp.binary_cross_entropy_derivative %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_AndOp : Mp_Binary<"and", "\"$0 && $1\""> {
  let summary = "logical and; of bool";
  let description = [{
    ```mlir
    %c = mp.and %a, %b : tensor<?x4xi1, #mp.dims<batch, 4>>, tensor<?x4xi1, #mp.dims<batch, 4>> -> tensor<?x4xi1, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_OrOp : Mp_Binary<"or", "\"$0 || $1\""> {
  let summary = "logical or; of bool";
  let description = [{
    ```mlir
    %c = mp.or %a, %b : tensor<?x4xi1, #mp.dims<batch, 4>>, tensor<?x4xi1, #mp.dims<batch, 4>> -> tensor<?x4xi1, #mp.dims<batch, 4>>
    ```
  }];
}

def Mp_CompareOp : Mp_Elementwise<"compare", "compareExpression(getKind())"> {
  let summary = "whether a kind b; the result is bool";
  let description = [{
    ```mlir
    %m = mp.compare gt %a, %b : tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xi1, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins Mp_ComparisonKind:$kind, AnyType:$a, AnyType:$b);
  let assemblyFormat = "$kind $a `,` $b attr-dict `:` type($a) `,` type($b) `->` type($result)";
}

def Mp_LeakyReluOp : Mp_Elementwise<"leaky_relu", "\"leaky_relu($0, \" + literal(getSlope()) + \")\""> {
  let summary = "x where x > 0, else slope · x";
  let description = [{
    ```mlir
    %y = mp.leaky_relu %x slope 1.0e-2 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins AnyType:$x, F64Attr:$slope);
  let assemblyFormat = "$x `slope` $slope attr-dict `:` type($x) `->` type($result)";
}

def Mp_ClampOp : Mp_Elementwise<"clamp", "\"clamp($0, \" + literal(getLow()) + \", \" + literal(getHigh()) + \")\""> {
  let summary = "min(max(x, low), high); a NaN stays one";
  let description = [{
    ```mlir
    %y = mp.clamp %x from -1.0 to 1.0 : tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins AnyType:$x, F64Attr:$low, F64Attr:$high);
  let assemblyFormat = "$x `from` $low `to` $high attr-dict `:` type($x) `->` type($result)";
}

def Mp_SelectOp : Mp_Elementwise<"select", "\"$0 ? $1 : $2\""> {
  let summary = "a where the condition holds, else b";
  let description = [{
    ```mlir
    %y = mp.select %c, %a, %b : tensor<?x4xi1, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>>, tensor<?x4xf32, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins AnyType:$condition, AnyType:$a, AnyType:$b);
  let assemblyFormat = [{
    $condition `,` $a `,` $b attr-dict `:` type($condition) `,` type($a) `,` type($b) `->` type($result)
  }];
}

def Mp_CastOp : Mp_Elementwise<"cast", "castExpression(getResult().getType())"> {
  let summary = "the element in another type: f32, i32 (towards zero) or bool (is not zero)";
  let description = [{
    ```mlir
    %y = mp.cast %x : tensor<?x4xi1, #mp.dims<batch, 4>> -> tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins AnyType:$x);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
}

// Elements from nothing. In the body of mp.map they are scalars.

def Mp_ConstantOp : Mp_Op<"constant", [Pure, ConstantLike]> {
  let summary = "a number in every element";
  let description = [{
    The attribute is a FloatAttr of f64, an IntegerAttr of i64 or a BoolAttr, whatever the result's element type; it is
    rounded once to it.

    ```mlir
    %one = mp.constant 1.0 : f64 : tensor<f32, #mp.dims<>>
    ```
  }];
  let arguments = (ins TypedAttrInterface:$value);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Mp_ExtentOp : Mp_Op<"extent", [Pure]> {
  let summary = "how many elements: scale · rows + offset, as f32";
  let description = [{
    What a mean divides by, where the batch is among what it averages. `rows` is the number of rows of the whole batch.

    ```mlir
    %n = mp.extent 12 rows plus -1 : tensor<f32, #mp.dims<>>
    ```
  }];
  let arguments = (ins I64Attr:$scale, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$scale `rows` (`plus` $offset^)? attr-dict `:` type($result)";
}

def Mp_DropoutMaskOp : Mp_Op<"dropout_mask", [Pure]> {
  let summary = "0 with probability p, else 1 / (1 - p)";
  let description = [{
    Keyed by the seed, the step, the layer's path, the number of the call in it and the element's index in the whole batch:
    neither placement nor the cutting of batches changes it.

    ```mlir
    %m = mp.dropout_mask 5.0e-1 of "drop" call 0 : tensor<?x4xf32, #mp.dims<batch, 4>>
    ```
  }];
  let arguments = (ins F64Attr:$p, StrAttr:$path, I64Attr:$call);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$p `of` $path `call` $call attr-dict `:` type($result)";
}

def Mp_IotaOp : Mp_Op<"iota", [Pure]> {
  let summary = "0, 1, 2, … along a dimension, as i32";
  let description = [{
    ```mlir
    %i = mp.iota 0 : tensor<10xi32, #mp.dims<10>>
    ```
  }];
  let arguments = (ins I64Attr:$dimension);
  let results = (outs AnyType:$result);
  let assemblyFormat = "$dimension attr-dict `:` type($result)";
}

#endif
