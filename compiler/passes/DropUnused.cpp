#include "passes/DropUnused.h"

using namespace mlir;

void mparc::mp::dropUnused(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}
