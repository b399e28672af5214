# The warnings our own code is held to; errors, all of them. Headers of others come in as SYSTEM.
add_library(mparc_warnings INTERFACE)
target_compile_options(mparc_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror
  # MLIR's and ANTLR's headers leave parameters of virtual functions unused.
  -Wno-unused-parameter)
