"""Writes the large files of large.test into the folder given."""

import os
import sys


def write(name, text):
    with open(os.path.join(sys.argv[1], name + ".mp"), "w") as file:
        file.write(text)


def constant(expression):
    return "layer A {\n  x = " + expression + ";\n}\n"


write("pipe", "layer A {\n  forward(x: f32[]) -> f32[] { return x" + " |> relu" * 30000 + "; }\n}\n")
write("ladder", "layer A {\n  if a {}" + " else if b {}" * 5000 + "\n}\n")
write("sum", constant(" + ".join(["a"] * 1000)))
write("parentheses", constant("(" * 255 + "a" + ")" * 255))
lines = [f"  @device({i % 64}) layer{i} = Linear({i}, 256, bias: false);\n" for i in range(3000)]
lines += [f"  y{i} = 2 * x - f(x, [1, {i}]) / 3;\n" for i in range(3000)]
write("layers", "model A {\n" + "".join(lines) + "}\n")

write("parentheses-too-deep", constant("(" * 50000 + "a" + ")" * 50000))
write("brackets-too-deep", constant("[" * 300))
write("blocks-too-deep", "layer A { " + "if a { " * 300 + "}" * 301)
write("signs-too-deep", constant("-" * 50000 + "a"))
write("signs-and-parentheses", constant(("-" * 20 + "(") * 20 + "a" + ")" * 20))
write("sum-too-long", constant(" + ".join(["a"] * 50000)))
write("calls-too-long", constant("f" + "(x)" * 20000))
write("path-too-long", constant("f" + ".x" * 20000))
part = "a"
for _ in range(10):
    part = "(" + part + " + a" * 110 + ")"
write("sums-in-parentheses", constant(part))
write("errors", "layer A {\n" + "  x = ;\n" * 20000 + "}\n")
write("errors-in-one-line", "}" * 100000)
write("too-large", "// comment\n" * 400000)
