"""Prints a model of as many layers as asked, each in the one before."""
import sys

count = int(sys.argv[1])
for i in range(count):
    inner = f"inner = L{i + 1}();" if i + 1 < count else ""
    call = "inner(x)" if inner else "relu(x)"
    print(f"layer L{i} {{ {inner} forward(x: f32[...]) -> f32[...] {{ return {call}; }} }}")
print("model M { l = L0(); forward(x: f32[batch, 4]) -> f32[batch, 4] { return l(x); } }")
