#!/usr/bin/env python3
"""Programs that are trained on texts and token files: what they read, print and refuse, and where their parts live.

  text.py

A model that says which byte follows the last two is trained on a poem; its parameters must not depend on where its layers
live, nor on whether the same tokens come from a text, from raw numbers or from NumPy. It goes on with prompts, and after
training knows better what follows than before.
"""

import os
import re
import struct

import harness

POEM = os.path.join(harness.ROOT, "test", "golden", "data", "raven.txt")

MODEL = """layer Previous {{
  forward(x: f32[..., time, width]) -> f32[..., time, width] {{
    return concat([slice(x, -2, 0, 1) * 0.0, slice(x, -2, 0, time - 1)], dim: -2);
  }}
}}

model Letters(width: int = 24) {{
  {0}letters = Embedding({known}, width);
  previous = Previous();
  {1}mix = Linear(2 * width, 64);
  {2}next = Linear(64, {known});

  forward(text: i32[batch, time]) -> f32[batch, time, {known}] {{
    h = letters(text);
    {3}both = concat([h, previous(h)], dim: -1);
    return both |> mix |> gelu |> next;
  }}
}}

train Letters {{
  data      = {data};
  loss      = cross_entropy;
  optimizer = adam(lr: 1e-2);
  epochs    = 5;
  batch     = 80;
  seed      = 2;
}}
"""

# Two tables, the second looked up by numbers that are computed, and what both give summed.
WORDS = """model Words {{
  {0}words = Embedding(20, 6);
  param table: f32[6, 3] = uniform(-1.0, 1.0);
  {1}last = Linear(6, 3);
  forward(ids: i32[batch, 4]) -> f32[batch, 3] {{
    h = words(ids);
    {2}order = argmax(h, dim: -1);
    {3}again = embedding(table, order) |> mean(dim: 1);
    return (h |> mean(dim: 1) |> tanh |> last) + again;
  }}
}}
train Words {{
  data = csv("words.csv", test: 0.2);
  loss = cross_entropy;
  batch = 70;
  epochs = 3;
}}
"""

VECTOR = """model Vector {
  last = Linear(4, 4);
  forward(x: f32[batch, 4]) -> f32[batch, 4] { return last(x); }
}
train Vector { data = csv("rows.csv"); }
"""


def model(devices=(None,) * 4, data='text("poem.txt", context: 16, test: 0.1)', known=256):
    at = ["" if device is None else f"@device({device}) " for device in devices]
    return MODEL.format(*at, data=data, known=known)


def sentences(devices):
    return WORDS.format(*["" if device is None else f"@device({device}) " for device in devices])


def losses(text):
    return [float(each) for each in re.findall(r"test_Loss: (\S+)", text)]


def test():
    settings = harness.arguments(__doc__)
    failures = harness.Failures("text")
    expect, work = failures.expect, settings.work

    def write(name, content):
        with open(os.path.join(work, name), "wb") as file:
            file.write(content)

    poem = harness.read(POEM)
    write("poem.txt", poem)
    write("poem.u16", struct.pack(f"<{len(poem)}H", *poem))
    write("poem.i32", struct.pack(f"<{len(poem)}i", *poem))
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (%d,), }\n" % len(poem)
    write("poem.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(poem)}q", *poem))
    write("words.csv", "".join(f"{i % 20},{i * 7 % 20},{i * i % 20},3,{i % 3}\n" for i in range(200)).encode())
    write("wide.csv", b"1,2,3,20,0\n")
    write("rows.csv", b"1,2,3,4\n" * 5)
    write("empty.txt", b"")
    write("short.txt", b"sixteen letters.")
    write("few.txt", b"some forty bytes are two rows of a text.")

    letters = {"letters": model(), "letters_apart": model([0, 1, 0, 1]), "letters_far": model([2, 0, 1, 2]),
               "letters_u16": model(data='tokens("poem.u16", context: 16, test: 0.1)'),
               "letters_i32": model(data='tokens("poem.i32", context: 16, type: "i32", test: 0.1)'),
               "letters_npy": model(data='tokens("poem.npy", context: 16, test: 0.1)')}
    words = {"words": sentences([None] * 4), "words_apart": sentences([0, 1, 0, 2]), "words_back": sentences([1, 0, 0, 1])}
    others = {"many": model(known=300, data='tokens("poem.u16", context: 16)'), "vector": VECTOR}
    programs = harness.build_all(settings, [*letters.items(), *words.items(), *others.items()])

    # One result, wherever the layers live and whatever the file.
    for group in (letters, words):
        expected = None
        for name in group:
            saved = os.path.join(work, name + ".safetensors")
            done = harness.run([programs[name], "--save", saved], work)
            if not expect(done.returncode == 0, f"{name} gives {done.returncode}: {done.stderr.strip()}"):
                continue
            expected = expected or (harness.read(saved), done.stdout)
            expect((harness.read(saved), done.stdout) == expected, f"{name} differs from the first of its kind")
    program, saved = programs["letters"], "letters.safetensors"

    # It learns, and says how often it is right.
    done = harness.run([program, "--epochs", "20"], work)
    after = losses(done.stdout)
    expect(len(after) == 20 and after[-1] < 0.75 * after[0] < 5.5, f"it does not learn: {done.stdout}")
    expect(done.stdout.count("| test_Accuracy: 0.") == 20, f"no accuracy: {done.stdout}")

    # Texts: the same each time, of the length asked for, by the seed.
    def text(*flags):
        done = harness.run([program, "--load", saved, "--generate", "Once upon", *flags], work)
        expect(done.returncode == 0 and not done.stderr, f"--generate {flags} gives {done.stderr!r}")
        return done.stdout

    first = text("--tokens", "50", "--top-k", "3")
    expect(first.startswith("Once upon") and len(first) == 9 + 50 + 1, f"a text of another length: {first!r}")
    expect(first == text("--tokens", "50", "--top-k", "3"), "the same seed gives another text")
    expect(first != text("--tokens", "50", "--top-k", "3", "--seed", "5"), "another seed gives the same text")
    likeliest = text("--tokens", "50", "--temperature", "0")
    expect(likeliest == text("--tokens", "50", "--temperature", "0", "--seed", "9"), "temperature 0 draws")
    expect(likeliest == text("--tokens", "50", "--top-k", "1"), "the likeliest of one is not the likeliest")
    trained = harness.run([program, "--generate", "Once upon", "--tokens", "50", "--temperature", "0"], work).stdout
    expect(trained.endswith(likeliest), "a text after training is not that of the saved parameters")
    untrained = harness.run([program, "--epochs", "0", "--data", "none.txt", "--generate", "a"], work)
    expect(untrained.returncode == 1 and "none.txt" in untrained.stderr, f"--data is not read: {untrained.stderr!r}")
    untrained = harness.run([program, "--epochs", "0", "--generate", "a", "--tokens", "7", "--quiet"], work,
                            errors="replace")
    expect(untrained.returncode == 0, f"no text without training: {untrained.stderr!r}")
    many = harness.run([programs["many"], "--epochs", "0", "--generate", "7, 299", "--tokens", "3"], work)
    expect(re.fullmatch(r"7 299( \d+){3}\n", many.stdout), f"tokens that are no bytes: {many.stdout!r} {many.stderr!r}")

    # Another file of the same kind; rows to predict.
    write("other.txt", poem[::-1])
    for flags in (["--data", "other.txt", "--epochs", "1"], ["--test-data", "other.txt", "--epochs", "1"]):
        done = harness.run([program, *flags], work)
        expect(done.returncode == 0, f"{flags} gives {done.stderr!r}")
    done = harness.run([program, "--load", saved, "--predict", "few.txt", "--output", "scores.csv"], work)
    rows = harness.read(os.path.join(work, "scores.csv"), "r").splitlines() if done.returncode == 0 else []
    expect(len(rows) == 3 and rows[1].count(",") == 16 * 256 - 1, f"--predict gives {done.stderr!r}, {len(rows)} lines")

    # What is refused: one line, with what is wrong.
    def refused(name, flags, status, *needed):
        done = harness.run([programs[name], *flags], work)
        said = done.stderr
        fine = done.returncode == status and said.startswith("error: ") and said.count("\n") == 1
        expect(fine and all(each in said for each in needed), f"{name} {flags} gives {done.returncode}: {said!r}")

    refused("letters", ["--data", "empty.txt"], 1, "empty.txt is empty")
    refused("letters", ["--data", "short.txt"], 1, "short.txt has 16 tokens", "rows of 16 and the next one")
    refused("letters", ["--data", "few.txt"], 1, "few.txt: the test part, 0.1 of 2 rows, is empty")
    refused("letters", ["--data", "none.txt"], 1, "none.txt")
    refused("letters", ["--data", "."], 1, "directory")
    refused("letters_u16", ["--data", "short.txt"], 1, "short.txt has 8 tokens")
    refused("words", ["--test-data", "wide.csv"], 1, "words.weight: id 20 is not in a table of 20 rows")
    refused("many", ["--epochs", "0", "--generate", "300"], 1, "300", "0 to 299")
    refused("many", ["--epochs", "0", "--generate", "a"], 1, "numbers")
    refused("letters", ["--generate", ""], 1, "empty")
    refused("vector", ["--generate", "a"], 2, "--generate: Vector takes f32[rows, 4]")
    refused("letters", ["--tokens", "5"], 2, "--tokens goes with --generate")
    refused("letters", ["--generate", "a", "--tokens", "0"], 2, "--tokens")
    refused("letters", ["--generate", "a", "--temperature", "-1"], 2, "--temperature")
    return failures.finish()


harness.main(test)
