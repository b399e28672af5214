// mp-opt: runs passes of mparc over IR in a file, for tests.
#include "dialect/MpDialect.h"
#include "emit/Emit.h"
#include "passes/Passes.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mparc::mp::MpDialect>();
  mparc::mp::registerMpPasses();
  mlir::registerPass(mparc::emit::createPrepareEmissionPass);
  mlir::registerPass(mparc::emit::createNameValuesPass);
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "runs single passes of mparc\n", registry));
}
