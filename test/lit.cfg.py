# How lit finds and runs the tests of the compiler: every .mp, .mlir and .test file below this folder
# that has RUN lines. One of them: llvm-lit -v build/test/frontend/statements.mp
import os

import lit.formats

config.name = "mparc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mp", ".mlir", ".test"]
# What tests read, and tests that CTest runs by itself.
config.excludes = ["Inputs", "fuzz", "golden", "install", "runtime"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.mparc_test_build

config.environment["PATH"] = os.pathsep.join(
    [config.mparc_tools, config.llvm_tools, config.environment["PATH"]]
)
# Sanitizer reports must fail a test that expects an error exit.
# LLVM's libraries are not built with AddressSanitizer: memory that our half of an allocator poisons, theirs hands out.
config.environment["ASAN_OPTIONS"] = "detect_leaks=0:exitcode=99:allow_user_poisoning=0"
for variable in ("TERM", "CCACHE_DIR", "HOME"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]

config.substitutions.append(("%source", config.mparc_source))
config.substitutions.append(("%build", config.mparc_build))
config.substitutions.append(("%python", config.python))
