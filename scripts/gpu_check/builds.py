"""Builds what a part asks for and has not been built from the same text: a copy of the checkout may have new times of files."""

import concurrent.futures
import hashlib
import os
import re
import sys
import time

from gpu_check.common import BUILD, GOLDEN, ROOT, run

# What the runtime and the tests of its kernels are built from.
SOURCES = ["CMakeLists.txt", "cmake", "runtime", "test/CMakeLists.txt", "test/cuda"]


class NotBuilt(Exception):
    """A line that says what is not, and why."""


def digest(*texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def digest_of_files(folder, paths):
    sums = []
    for path in paths:
        whole = os.path.join(folder, path)
        names = [whole] if os.path.isfile(whole) else sorted(
            os.path.join(place, name) for place, _, files in os.walk(whole) for name in files if not name.endswith(".pyc"))
        for name in names:
            with open(name, "rb") as file:
                sums.append(os.path.relpath(name, folder) + " " + hashlib.sha256(file.read()).hexdigest())
    return digest(*sums)


def find_nccl():
    """CMake's flags where PyTorch brings NCCL along and the toolkit may not."""
    for place in sys.path:
        folder = os.path.join(place, "nvidia", "nccl")
        if os.path.exists(os.path.join(folder, "include", "nccl.h")):
            return [f"-DMPARC_NCCL_INCLUDE={folder}/include", f"-DMPARC_NCCL_LIBRARY={folder}/lib/libnccl.so.2"]
    return []


class Builds:
    """Of one pack, for one kind of GPU."""

    def __init__(self, pack, architecture, jobs, logs):
        self.sources, self.prefix = os.path.join(pack, "programs"), os.path.join(pack, "prefix")
        self.programs = os.path.join(BUILD, "programs")
        self.architecture, self.jobs, self.logs = architecture, jobs, logs
        self.stamps = os.path.join(BUILD, "stamps")
        for folder in (self.programs, self.stamps):
            os.makedirs(folder, exist_ok=True)
        self.environment = dict(os.environ, LD_LIBRARY_PATH=":".join(
            filter(None, [os.path.join(self.prefix, "lib"), os.environ.get("LD_LIBRARY_PATH")])))
        self.key = digest(digest_of_files(ROOT, SOURCES), self.prefix, architecture)

    def is_built(self, name, key, product):
        stamp = os.path.join(self.stamps, name)
        if not os.path.exists(stamp) or not os.path.exists(product):
            return False
        with open(stamp) as file:
            return file.read() == key

    def set_built(self, name, key):
        with open(os.path.join(self.stamps, name), "w") as file:
            file.write(key)

    def command(self, name, command, timeout):
        return run(command, os.path.join(self.logs, name + ".log"), timeout, self.environment)

    def targets(self, products, budget):
        """Builds CMake's targets, given with the files that they make."""
        missing = [name for name, product in products.items() if not self.is_built(name, self.key, product)]
        if not missing:
            return
        configure = ["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DMPARC_COMPILER=OFF",
                     "-DMPARC_MPI=OFF", f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CUDA_ARCHITECTURES={self.architecture}",
                     f"-DCMAKE_CXX_FLAGS=-I{self.prefix}/include", f"-DCMAKE_CUDA_FLAGS=-I{self.prefix}/include",
                     f"-DCMAKE_EXE_LINKER_FLAGS=-L{self.prefix}/lib -Wl,-rpath,{self.prefix}/lib", *find_nccl()]
        begin = time.monotonic()
        build = ["ninja", "-C", BUILD, f"-j{self.jobs}", *missing]
        for name, command in (("configure", configure), ("build-" + missing[-1], build)):
            status, text = self.command(name, command, budget.left())
            if status != 0:
                raise NotBuilt(f"{name}: " + next((line for line in text.splitlines() if "error" in line.lower()), text[-200:]))
        for name in missing:
            self.set_built(name, self.key)
        print(f"built {', '.join(missing)} ({time.monotonic() - begin:.0f} s)", flush=True)

    def runtime(self, budget):
        self.targets({name: os.path.join(BUILD, "runtime", f"lib{name}.a") for name in ("mpar", "mpar_cuda")}, budget)

    def tests(self, budget):
        """The tests of kernels: their program."""
        product = os.path.join(BUILD, "bin", "cuda-tests")
        self.targets({"cuda-tests": product}, budget)
        return product

    def nccl_check(self, budget):
        """The program that speaks to NCCL; none where CMake has found no NCCL."""
        self.runtime(budget)
        product = os.path.join(BUILD, "bin", "nccl-check")
        status, text = self.command("nccl-target", ["ninja", "-C", BUILD, "-t", "query", "nccl-check"], 60)
        if status != 0 and "unknown target" in text:
            return None
        self.targets({"nccl-check": product}, budget)
        return product

    def build_program(self, name, budget):
        """(its name, the compiler's exit status or nothing where it was built before, what the compiler said)."""
        source, program = os.path.join(self.sources, name + ".cu"), os.path.join(self.programs, name)
        flags = ["-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-pthread"]
        command = ["nvcc", "-std=c++17", "-O3", "--fmad=false", "-diag-suppress=1675", f"-arch=sm_{self.architecture}",
                   f"-I{ROOT}/runtime/include", f"-I{GOLDEN}", *(word for flag in flags for word in ("-Xcompiler", flag)), source,
                   "-o", program, f"{BUILD}/runtime/libmpar_cuda.a", f"{BUILD}/runtime/libmpar.a", f"-L{self.prefix}/lib",
                   "-ldnnl", "-lcublasLt", f"-Xlinker=-rpath,{self.prefix}/lib"]
        with open(source) as file:
            key = digest(self.key, file.read(), *command)
        if self.is_built(name, key, program):
            return name, None, ""
        status, text = self.command("build-" + name, command, max(1, budget.left()))
        if status == 0:
            self.set_built(name, key)
        return name, status, text

    def names(self, pattern):
        """Of the programs in the pack those whose name matches."""
        return sorted(file[:-3] for file in os.listdir(self.sources) if file.endswith(".cu") and re.fullmatch(pattern, file[:-3]))

    def need(self, pattern, budget):
        """Builds these programs; where they lie, by name."""
        self.runtime(budget)
        names, begin = self.names(pattern), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            done = list(pool.map(lambda name: self.build_program(name, budget), names))
        built = [name for name, status, _ in done if status == 0]
        if built:
            print(f"built {len(built)} programs ({time.monotonic() - begin:.0f} s)", flush=True)
        failed = [(name, text) for name, status, text in done if status]
        if failed:
            raise NotBuilt(f"{len(failed)} of {len(names)} programs do not build; {failed[0][0]}: {failed[0][1].strip()[-300:]}")
        return {name: os.path.join(self.programs, name) for name in names}
