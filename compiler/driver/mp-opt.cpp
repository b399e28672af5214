// mp-opt: runs passes of mparc one by one on the mp dialect's text, for tests and for looking.
#include "dialect/MpDialect.h"
#include "emit/Emit.h"
#include "passes/Passes.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mparc::mp::MpDialect>();
  mparc::mp::registerMpPasses();
  mlir::registerPass(mparc::emit::createNameGraphPass);
  mlir::registerPass(mparc::emit::createPrepareEmissionPass);
  mlir::registerPass(mparc::emit::createNameValuesPass);
  mlir::registerCSEPass();
  mlir::registerCanonicalizerPass();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "mparc's passes, one by one\n", registry));
}
