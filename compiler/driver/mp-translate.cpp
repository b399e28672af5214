// mp-translate --mp-to-cpp: prints the last level of the IR as formatted C++, for tests.
#include "dialect/MpDialect.h"
#include "emit/Emit.h"
#include "clang/CheckCpp.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"
#include "mlir/Tools/mlir-translate/Translation.h"

using namespace mlir;
using namespace mparc;

static LogicalResult toCpp(Operation *module, llvm::raw_ostream &out) {
  auto passes = PassManager::on<ModuleOp>(module->getContext());
  passes.addNestedPass<mp::ModelOp>(emit::createPrepareEmissionPass());
  passes.addNestedPass<mp::ModelOp>(emit::createNameValuesPass());
  if (failed(passes.run(module)))
    return failure();
  emit::EmitOptions options;
  options.version = "test";
  options.command = "mp-translate";
  options.source = "test.mp";
  for (auto model : cast<ModuleOp>(module).getOps<mp::ModelOp>())
    out << clang_tools::formatCpp(emit::printCpp(model, options).source);
  return success();
}

int main(int argc, char **argv) {
  TranslateFromMLIRRegistration registration(
      "mp-to-cpp", "print the last level as C++", toCpp,
      [](DialectRegistry &registry) { registry.insert<mp::MpDialect>(); });
  return failed(mlirTranslateMain(argc, argv, "mp-translate"));
}
