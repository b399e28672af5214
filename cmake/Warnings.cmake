# The warnings our own code is held to; errors, all of them. Headers of others come in as SYSTEM.
add_library(mparc_warnings INTERFACE)
target_compile_options(mparc_warnings INTERFACE -Wall -Wextra -Wpedantic $<IF:$<CXX_COMPILER_ID:GNU>,-Wshadow=local,-Wshadow> -Werror
  # g++ 12 sees uninitialised memory inside LLVM's small maps where there is none.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
  # MLIR's and ANTLR's headers leave parameters of virtual functions unused.
  -Wno-unused-parameter)
