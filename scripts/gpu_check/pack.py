"""What a machine with a GPU, but without the compiler, needs: the sources that mparc emits, and of libraries what is linked."""

import os
import re
import shutil
import subprocess
import sys

from gpu_check.common import ARTICLE, BENCH, GOLDEN, ROOT

sys.path.insert(0, os.path.join(ROOT, "test", "cuda", "programs"))
import programs as emulated  # noqa: E402

HEADERS = ["CLI", "fast_float", "nlohmann", "oneapi", "gtest"]
LIBRARIES = ["libdnnl.so.2", "libOpenCL.so.1", "libgtest.a", "libgtest_main.a"]
SCHEDULES = ["gpipe", "1f1b", "interleaved", "zero-bubble"]
# Of the models that run on emulated GPUs, those that run under compute-sanitizer.
SANITIZED = ["chain", "alone", "pipeline", "attends"]

# More than any GPU has.
LARGE = """model Large {
  wide = Linear(12, 200000);
  large = Linear(200000, 200000);
  narrow = Linear(200000, 12);
  forward(x: f32[batch, 12]) -> f32[batch, 12] { return x |> wide |> large |> narrow; }
}
train Large { data = csv("sunspots.csv"); }
"""


def layouts():
    """Of the article's model: (name, microbatches, flags, whether on one device). Those of one number of microbatches must
    save the same bytes."""
    for microbatches in (1, 4):
        for schedule in SCHEDULES if microbatches > 1 else SCHEDULES[:1]:
            flags = ["--microbatches", str(microbatches), "--schedule", schedule]
            yield f"article_{microbatches}_{schedule.replace('-', '_')}", microbatches, flags, False
        yield f"article_{microbatches}_alone", microbatches, ["--microbatches", str(microbatches)], True


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


def pack(folder, mparc):
    """Writes a new folder."""
    if os.path.exists(folder):
        sys.exit(f"gpu-check: {folder} exists")
    programs, prefix = os.path.join(folder, "programs"), os.path.join(folder, "prefix")
    os.makedirs(programs)
    os.makedirs(os.path.join(prefix, "lib"))

    def emit(source, name, flags=()):
        try:
            done = subprocess.run([mparc, source, "-o", os.path.join(programs, name + ".cu"), *flags], text=True, check=False,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except OSError as error:
            sys.exit(f"gpu-check: {error}")
        if done.returncode != 0:
            sys.exit(f"gpu-check: {source}: {done.stdout}")

    for file in sorted(os.listdir(GOLDEN)):
        if file.endswith(".mp"):
            emit(os.path.join(GOLDEN, file), "golden_" + file[:-3])
    article = os.path.join(ARTICLE, "autoencoder.mp")
    with open(article) as file:
        alone = write(os.path.join(programs, "alone.mp"), re.sub(r"@device\(\d+\)", "@device(0)", file.read()))
    for name, _, flags, is_alone in layouts():
        emit(alone if is_alone else article, name, flags)
    emit(write(os.path.join(programs, "large.mp"), LARGE), "large")
    for name in SANITIZED:
        emit(write(os.path.join(programs, name + ".mp"), emulated.MODELS[name]), "sanitized_" + name)
    emulated.write_rows(programs)
    for file in sorted(os.listdir(BENCH)):
        if file.endswith(".mp"):
            emit(os.path.join(BENCH, file), "bench_" + file[:-3])
    emit(article, "bench_article")
    emit(os.path.join(ROOT, "examples", "gpt", "gpt.mp"), "example_gpt")
    for header in HEADERS:
        shutil.copytree(os.path.join("/usr/include", header), os.path.join(prefix, "include", header))
    for library in LIBRARIES:
        found = [os.path.join(place, library) for place in ("/usr/lib/x86_64-linux-gnu", "/usr/lib")]
        shutil.copy(next(path for path in found if os.path.exists(path)), os.path.join(prefix, "lib"))
    os.symlink("libdnnl.so.2", os.path.join(prefix, "lib", "libdnnl.so"))
    print(f"{folder}: {len([name for name in os.listdir(programs) if name.endswith('.cu')])} programs")
