#!/usr/bin/env python3
"""Checks that every operation, attribute and pass of the dialect is documented, and that its example works.

  td_examples.py COMPILER_FOLDER [--only operations|passes] --tblgen llvm-tblgen-19 --mp-opt mp-opt --include DIR …

Each operation needs a summary, and a description with an example in ```mlir. The examples are put where such an operation
may stand, their undeclared operands become arguments of the block around them, and mp-opt has to read them, verify them
and print what reads back to the same text. Each pass needs a summary, a description, and the name of a test that
exists and runs the pass. Exit status: 0 all is well, 1 something is not, one line each.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import textwrap

# Where an operation may stand: in a module, a model, the body of a map, else in a program.
IN_MODULE = {"model"}
IN_MODEL = {"layer", "parameter", "training", "program"}
IN_MAP = {"index", "yield"}
TENSOR = "tensor<?x4x{}, #mp.dims<batch, 4>>"


def records(tblgen, includes, file):
    command = [tblgen, "-dump-json", file]
    for include in includes:
        command += ["-I", include]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"td_examples: {file}: {done.stderr.strip().splitlines()[0]}")
    return json.loads(done.stdout)


def examples(description):
    return [textwrap.dedent(block).strip() for block in re.findall(r"```mlir\n(.*?)```", description, re.S)]


def split_top(text):
    """The parts of a list between commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in "<([{":
            depth += 1
        elif character in ">)]}" and text[position - 1 : position + 1] != "->":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def last_colon(text):
    """Where the last " : " is that stands in no bracket, or -1."""
    depth, found = 0, -1
    for position, character in enumerate(text):
        if character in "<([{":
            depth += 1
        elif character in ">)]}" and text[position - 1 : position + 1] != "->":
            depth -= 1
        elif depth == 0 and text.startswith(" : ", position):
            found = position
    return found


def operands(example):
    """The values that an example reads and does not define, with their types: pairs (name, type)."""
    head = example.split(" {\n")[0]
    body = head.split(" = ", 1)[1] if re.match(r"%\w+(, %\w+)* = ", head) else head
    colon = last_colon(body)
    if colon < 0:
        return []
    before, types = body[:colon], body[colon + 3 :]
    types = re.split(r" -> ", types)[0]
    types = re.sub(r"> [a-z]+$", ">", types)  # a keyword at the end
    if types.startswith("("):
        types = types[1:-1]
    names = re.findall(r"%\w+", before)
    return list(zip(names, split_top(types))) if names else []


def wrap(name, example, number):
    """The example as an operation of a module."""
    if name in IN_MODULE:
        return example
    model = f"mp.model @Example{number} {{\n%s\n}}"
    if name in IN_MODEL:
        return model % example
    if name in IN_MAP:
        arguments = operands(example)
        result = re.search(r": (\w+)$", example).group(1)
        if name != "yield":
            example += f"\nmp.yield {example.split(' ')[0]} : {result}"
        inputs = [(f"%input{i}", TENSOR.format(type)) for i, (_, type) in enumerate(arguments)]
        body = f"^bb0({', '.join(f'{value}: {type}' for value, type in arguments)}):\n" if arguments else ""
        example = (f"%map = mp.map {', '.join(value for value, _ in inputs)} maps "
                   f"[{', '.join('array<i64: 0, 1>' for _ in inputs)}] : ({', '.join(type for _, type in inputs)})"
                   f" -> {TENSOR.format(result)} {{\n{body}{example}\n}}")
        arguments = inputs
    else:
        arguments = operands(example)
    names = ", ".join(f'"{value[1:]}"' for value, _ in arguments)
    head = f"^bb0({', '.join(f'{value}: {type}' for value, type in arguments)}):\n" if arguments else ""
    end = "" if name == "return" else "\nmp.return"
    program = f"mp.program @example [{names}] {{\n{head}{example}{end}\n}}"
    reference = re.search(r'@("[^"]+"|\w+)', example)
    parameter = ""
    if reference and name in ("read", "gradient"):
        type = example.rsplit(" : ", 1)[1]
        parameter = f"mp.parameter @{reference.group(1)} : {type} init zeros []\n"
    return model % (parameter + program)


def run(command, text):
    return subprocess.run(command, input=text, capture_output=True, text=True)


def check(mp_opt, where, name, text):
    """One line that says what is wrong with an example, or none."""
    first = run([mp_opt], text)
    if first.returncode != 0:
        problem = next((line for line in first.stderr.splitlines() if "error:" in line), "mp-opt fails")
        return f"{where}: the example of {name} is not accepted: {problem.split('error: ')[-1]}"
    if name not in first.stdout:
        return f"{where}: the example of {name} does not contain it"
    second = run([mp_opt], first.stdout)
    if second.stdout != first.stdout:
        return f"{where}: the example of {name} does not survive being printed and read"
    return None


def check_operations(arguments, problems):
    found = records(arguments.tblgen, arguments.include, os.path.join(arguments.folder, "dialect", "MpOps.td"))
    cases = []
    for record in found["!instanceof"]["Op"]:
        operation = found[record]
        name, where = operation["opName"], operation["!locs"][0]
        description = operation["description"] or ""
        if not operation["summary"]:
            problems.append(f"{where}: mp.{name} has no summary")
        blocks = examples(description)
        if not blocks:
            problems.append(f"{where}: mp.{name} has no example")
        cases += [(where, f"mp.{name}", wrap(name, block, number)) for number, block in enumerate(blocks, len(cases))]
    for record in found["!instanceof"]["AttrDef"]:
        attribute = found[record]
        name, where = attribute["mnemonic"], attribute["!locs"][0]
        match = re.search(r"Example: `(.*?)`", attribute["description"] or "")
        if not attribute["summary"] or not match:
            problems.append(f"{where}: #mp.{name} needs a summary and an example")
            continue
        cases.append((where, f"#mp.{name}", f"module attributes {{mp.example = {match.group(1)}}} {{}}"))
    # All at once; one by one only where something is wrong.
    everything = "\n".join(text for _, _, text in cases)
    printed = run([arguments.mp_opt], everything)
    if printed.returncode == 0 and run([arguments.mp_opt], printed.stdout).stdout == printed.stdout and all(
            name in printed.stdout for _, name, _ in cases):
        return len(cases)
    problems += filter(None, (check(arguments.mp_opt, *case) for case in cases))
    if not problems:
        problems.append("the examples are accepted one by one, but not together")
    return len(cases)


def check_passes(arguments, problems):
    root = os.path.dirname(os.path.abspath(arguments.folder))
    found = records(arguments.tblgen, arguments.include, os.path.join(arguments.folder, "passes", "Passes.td"))
    passes = found["!instanceof"]["PassBase"]
    for record in passes:
        item = found[record]
        name, where = item["argument"], item["!locs"][0]
        if not item["summary"] or not item["description"].strip():
            problems.append(f"{where}: {name} needs a summary and a description")
        match = re.search(r"Example: (\S+\.mlir)", item["description"])
        if not match:
            problems.append(f"{where}: {name} names no test as its example")
            continue
        try:
            with open(os.path.join(root, match.group(1))) as file:
                runs = [line for line in file if "RUN:" in line]
        except OSError:
            problems.append(f"{where}: {name}: there is no {match.group(1)}")
            continue
        if not any(f"-{name}" in line for line in runs):
            problems.append(f"{where}: {name}: {match.group(1)} does not run it")
    return len(passes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--tblgen", default="llvm-tblgen-19")
    parser.add_argument("--mp-opt", default="mp-opt")
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--only", choices=["operations", "passes"])
    arguments = parser.parse_args()
    arguments.include.append(arguments.folder)
    problems = []
    examples_read = check_operations(arguments, problems) if arguments.only != "passes" else 0
    passes = check_passes(arguments, problems) if arguments.only != "operations" else 0
    print("\n".join(problems) if problems else f"{examples_read} examples and {passes} passes: all is well")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
