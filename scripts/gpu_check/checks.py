"""What must hold on a GPU: kernels, numbers, layouts, refusals. A check gives (whether it holds, a few words)."""

import concurrent.futures
import hashlib
import os
import re
import socket
import subprocess
import sys

from gpu_check.common import ARTICLE, GOLDEN, ROOT, last_line, read, run
from gpu_check.pack import layouts

SLACK = 10  # sums have another order than PyTorch's on processors
AT_ONCE = 6  # programs that share the GPU


class Checks:
    def __init__(self, builds, logs, budget):
        self.builds, self.logs, self.budget = builds, logs, budget

    def command(self, name, command, timeout=300, folder=ARTICLE, echo=False):
        return run(command, os.path.join(self.logs, name + ".log"), max(1, min(timeout, self.budget.left())),
                   self.builds.environment, folder, echo)

    def at_once(self, work, items):
        """[work(*item)], several at once."""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return [each.result() for each in [pool.submit(work, *item) for item in items]]

    # ---- numbers

    def kernels(self):
        status, text = self.command("kernels", [self.builds.tests(self.budget), "--gtest_brief=1"])
        said = re.findall(r"^\[  (?:PASSED|FAILED)  \] \d+ tests?", text, re.M) or [last_line(text)]
        wrong = dict.fromkeys(re.findall(r"^\[  FAILED  \] (\w+\.\w+)", text, re.M))
        return status == 0, "; ".join(said) + (": " + ", ".join(wrong)[:400] if wrong else "")

    def golden(self):
        programs = self.builds.need("golden_.*", self.budget)

        def compare(name, program):
            own = name[len("golden_"):]
            status, text = self.command(name, [sys.executable, f"{GOLDEN}/compare.py", "--slack", str(SLACK), own, program])
            return "" if status == 0 else f"{own}: " + (text.strip().splitlines() or [f"exit status {status}"])[0]

        failed = [each for each in self.at_once(compare, programs.items()) if each]
        return not failed, f"{len(programs) - len(failed)} of {len(programs)} agree with PyTorch" + "".join(f"; {each}" for each in failed)[:600]

    def losses(self, model, program):
        """From the same weights the losses of PyTorch on this GPU, and those of the processor."""
        path = self.builds.need(program, self.budget)[program]
        script = os.path.join(ROOT, "test", "cuda", "losses.py")
        status, text = self.command("losses-" + model, [sys.executable, script, model, path])
        holds, words = status == 0, last_line(text)
        found = []
        for devices in ("cuda:0", "cpu"):
            file = os.path.join(self.logs, f"losses-{model}-{devices[:3]}")
            status, text = self.command(f"losses-{model}-on-{devices[:3]}",
                                        [path, "--devices", devices, "--quiet", "--epochs", "1", "--dump-losses", file],
                                        folder=os.path.join(ROOT, "examples", model))
            if status != 0:
                return False, f"{words}; on {devices}: {last_line(text)}"
            found.append([float(line) for line in read(file).split()][:100])
        worst = max(abs(a - b) / abs(b) for a, b in zip(*found))
        return holds and worst <= 1e-5, f"{words}; from the processor's by at most {worst:.1e}"

    # ---- layouts

    def saved(self, name, *flags):
        """The SHA-256 of what a program of the article's model saves after two epochs."""
        log = "layout-" + re.sub(r"\W+", "_", " ".join([name, *flags]))
        path = os.path.join(self.logs, log + ".safetensors")
        status, text = self.command(log, [os.path.join(self.builds.programs, name), "--epochs", "2", "--save", path, *flags])
        if status != 0:
            raise RuntimeError(f"{name} {' '.join(flags)}: {last_line(text)}")
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def compare(self, runs):
        """Of runs, given as (what each must agree with those of, program, flags), those that save other bytes."""
        got = self.at_once(lambda _, name, flags: self.saved(name, *flags), runs)
        first, differ = {}, []
        for (group, name, flags), each in zip(runs, got):
            if first.setdefault(group, each) != each:
                differ.append(f"{name} {' '.join(flags)}")
        return not differ, f"{len(runs) - len(differ)} of {len(runs)} runs save the same bytes" + "".join(f"; {each} differs" for each in differ)[:300]

    def layouts(self):
        self.builds.need("article_.*", self.budget)
        runs = []
        for name, microbatches, _, is_alone in layouts():
            devices = ["auto"] if is_alone else ["auto", "cuda:0,cuda:0,cuda:0,cuda:0"]
            for flags in [*(["--devices", each] for each in devices), ["--no-graph"], ["--devices", "cuda:0"]]:
                runs.append((microbatches, name, flags))
        return self.compare(runs)

    def checked(self):
        """--check proves the order of all streams by the calls that make it, delays them at random, and changes no byte."""
        self.builds.need("article_.*", self.budget)
        runs = []
        for name, _, _, is_alone in layouts():
            for devices in ["auto"] if is_alone else ["auto", "cuda:0,cpu,cuda:0,cuda:0"]:
                runs += [((name, devices), name, ["--devices", devices, *more]) for more in (["--check"], [])]
        return self.compare(runs)

    def resident(self):
        """Rows that the GPU keeps are those that it would be sent: shuffled or not, in whole batches and short ones."""
        self.builds.need("article_.*", self.budget)
        runs = []
        for name in ("article_1_gpipe", "article_1_alone", "article_4_1f1b"):
            for more in ([], ["--batch", "44"], ["--shuffle", "false", "--batch", "7"], ["--batch", "13", "--no-graph"]):
                runs += [((name, *more), name, [*more, *sent]) for sent in ([], ["--no-resident-data"])]
        return self.compare(runs)

    # ---- refusals, ranks

    def refusals(self):
        """Each gives one line that says so, and an exit status that is not 0."""
        programs, wrong = self.builds.need("article_1_gpipe|large", self.budget), []
        for program, devices, words in (("article_1_gpipe", "cuda:99,cuda:0,cuda:0,cuda:0", "cuda:99"),
                                        ("article_1_gpipe", "cuda:0,cuda:0", "2 devices"), ("large", "cuda:0", "are left on cuda:0")):
            status, text = self.command("refusal", [programs[program], "--devices", devices])
            if status == 0 or words not in text or len(text.strip().splitlines()) != 1:
                wrong.append(f"{program} --devices {devices}: {status}: {text.strip()[:200]}")
        return not wrong, wrong[0] if wrong else "no such GPU, too few devices, not enough memory"

    def nccl(self):
        """Messages of one rank with itself: more need more GPUs."""
        program = self.builds.nccl_check(self.budget)
        if not program:
            return True, "CMake has found no NCCL here: nothing was tried"
        status, text = self.command("nccl", [program])
        return status == 0 and "issued and recorded" in text, last_line(text)

    def one_gpu_for_two(self):
        """Two ranks: with one GPU they are refused, in one line; by default they take the processor, and say so."""
        program, wrong = self.builds.need("article_1_gpipe", self.budget)["article_1_gpipe"], []
        for devices, fails in (("cuda:0", True), ("auto", False)):
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                port = listener.getsockname()[1]
            ranks = [subprocess.Popen([program, "--devices", devices, "--quiet", "--epochs", "1"], cwd=ARTICLE, text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      env=dict(self.builds.environment, CUDA_VISIBLE_DEVICES="0", RANK=str(rank), WORLD_SIZE="2",
                                               LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)))
                     for rank in range(2)]
            text = "".join(rank.communicate(timeout=120)[0] for rank in ranks)
            if (any((rank.returncode != 0) != fails for rank in ranks) or "ranks 0 and 1 have the same GPU" not in text
                    or len(text.strip().splitlines()) != 1):
                wrong.append(f"{devices}: {[rank.returncode for rank in ranks]}: {text.strip()[:200]}")
        return not wrong, wrong[0] if wrong else "refused, or on the processor"
