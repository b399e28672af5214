// Reading a header with libTooling.
#include "clang/ReadHeader.h"
#include "clang/MatchFunction.h"

#include "clang/AST/ASTConsumer.h"
#include "clang/AST/ASTContext.h"
#include "clang/Basic/Diagnostic.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/FrontendAction.h"
#include "clang/Lex/Lexer.h"
#include "clang/Tooling/Tooling.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Regex.h"

using namespace clang;

namespace mparc::clang_tools {
namespace {

/// The file that includes the header; it stands in memory, in the current folder.
constexpr const char *kIncluder = "mparc-extern.cpp";

/// What stands for a GPU in a header: on the line of an error it is the cause.
bool isDeviceBuiltin(llvm::StringRef name) {
  static const llvm::StringSet<> words = {
      "__global__", "__shared__", "__constant__", "__managed__",        "__launch_bounds__",
      "blockDim",   "blockIdx",   "gridDim",      "threadIdx",          "warpSize",
      "clock64",    "__popc",     "__clz",        "cooperative_groups",
  };
  // Families: `__shfl_down_sync`, `atomicAdd`, the fast functions such as `__expf`, and
  // conversions.
  static const llvm::Regex families(
      "^(__(syncthreads|syncwarp|shfl|ballot|any_sync|all_sync|activemask|match_|reduce_|"
      "threadfence|ldg|ldcg|"
      "float2|double2|half2|bfloat162|int2|f(add|sub|mul|div|ma|rcp|sqrt)_r[nzud])[a-z0-9_]*"
      "|__(exp|exp10|log|log2|log10|sin|cos|tan|pow|sincos|saturate|fdivide)f"
      "|atomic(Add|Sub|Exch|Min|Max|Inc|Dec|CAS|And|Or|Xor)(_block|_system)?)$");
  return words.contains(name) || families.match(name);
}

std::string findDeviceBuiltin(const SourceManager &sources, SourceLocation at) {
  bool isInvalid = false;
  auto [file, offset] = sources.getDecomposedLoc(at);
  llvm::StringRef text = sources.getBufferData(file, &isInvalid);
  if (isInvalid)
    return "";
  size_t begin = text.take_front(offset).rfind('\n') + 1;
  llvm::StringRef line = text.drop_front(begin).take_until([](char c) { return c == '\n'; });
  LangOptions language;
  language.CPlusPlus = true;
  language.CUDA = true; // so that `<<<` is one token
  std::string copy = line.str();
  Lexer lexer(SourceLocation(), language, copy.data(), copy.data(), copy.data() + copy.size());
  Token token;
  do {
    lexer.LexFromRawLexer(token);
    if (token.is(tok::lesslessless))
      return "<<<";
    if (token.is(tok::raw_identifier) && isDeviceBuiltin(token.getRawIdentifier()))
      return token.getRawIdentifier().str();
  } while (token.isNot(tok::eof));
  return "";
}

/// Keeps the first error of the header.
class HeaderErrors : public DiagnosticConsumer {
public:
  explicit HeaderErrors(Header &result) : result(result) {}

  void HandleDiagnostic(DiagnosticsEngine::Level level, const Diagnostic &diagnostic) override {
    DiagnosticConsumer::HandleDiagnostic(level, diagnostic);
    if (level < DiagnosticsEngine::Error || !result.error.empty())
      return;
    llvm::SmallString<128> message;
    diagnostic.FormatDiagnostic(message);
    result.error = message.str().str();
    if (!diagnostic.hasSourceManager() || !diagnostic.getLocation().isValid())
      return;
    const SourceManager &sources = diagnostic.getSourceManager();
    SourceLocation at = sources.getFileLoc(diagnostic.getLocation());
    result.place = {sources.getFilename(at).str(), sources.getSpellingLineNumber(at),
                    sources.getSpellingColumnNumber(at)};
    // All that the includer does is to include the runtime's header, then the user's.
    if (result.place.file == kIncluder && result.place.line == 1) {
      result.error =
          "cannot find the runtime's header `mpar/extern.h`, which belongs in the folder "
          "`include` of where mparc is installed";
      result.place = {};
      return;
    }
    result.isFound = result.place.file != kIncluder;
    std::string builtin = findDeviceBuiltin(sources, at);
    if (!builtin.empty())
      result.error = "`" + builtin + "` needs a GPU; a header of operations is C++ for processors";
  }

private:
  Header &result;
};

class Finder : public ASTConsumer {
public:
  Finder(Header &result, const std::vector<ForeignOperation> &operations)
      : result(result), operations(operations) {}
  void HandleTranslationUnit(ASTContext &context) override {
    const SourceManager &sources = context.getSourceManager();
    for (auto file = sources.fileinfo_begin(); file != sources.fileinfo_end(); ++file)
      if (file->first.getName() != kIncluder)
        result.files.push_back(file->first.getName().str());
    llvm::sort(result.files);
    if (!result.error.empty())
      return;
    for (const ForeignOperation &operation : operations)
      result.functions.push_back(matchFunction(context, operation));
    result.names = namesOfFunctions(context);
  }

private:
  Header &result;
  const std::vector<ForeignOperation> &operations;
};

class FindAction : public ASTFrontendAction {
public:
  FindAction(Header &result, const std::vector<ForeignOperation> &operations)
      : result(result), operations(operations) {}
  std::unique_ptr<ASTConsumer> CreateASTConsumer(CompilerInstance &, llvm::StringRef) override {
    return std::make_unique<Finder>(result, operations);
  }

private:
  Header &result;
  const std::vector<ForeignOperation> &operations;
};

/// As the user would write it.
void shorten(HeaderPlace &place) {
  llvm::StringRef file = place.file;
  while (file.consume_front("./")) {
  }
  place.file = file.str();
}

} // namespace

Header readHeader(const std::string &header, const std::vector<std::string> &arguments,
                  const std::vector<ForeignOperation> &operations) {
  Header result;
  HeaderErrors consumer(result);
  auto files = llvm::makeIntrusiveRefCnt<FileManager>(FileSystemOptions());
  auto overlay =
      llvm::makeIntrusiveRefCnt<llvm::vfs::OverlayFileSystem>(llvm::vfs::getRealFileSystem());
  auto memory = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
  overlay->pushOverlay(memory);
  files->setVirtualFileSystem(overlay);
  // What the emitted file includes before the user's headers.
  std::string text = "#include <mpar/extern.h>\n#include \"" + header + "\"\n";
  memory->addFile(kIncluder, 0, llvm::MemoryBuffer::getMemBufferCopy(text));

  std::vector<std::string> command = {"mparc", "-fsyntax-only", "-std=c++17", "-w",
                                      "-fno-caret-diagnostics"};
#ifdef MPARC_CLANG_RESOURCES
  command.insert(command.end(), {"-resource-dir", MPARC_CLANG_RESOURCES});
#endif
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.push_back(kIncluder);
  tooling::ToolInvocation invocation(command, std::make_unique<FindAction>(result, operations),
                                     files.get());
  invocation.setDiagnosticConsumer(&consumer);
  if (!invocation.run() && result.error.empty())
    result.error = "cannot be parsed";
  shorten(result.place);
  for (ForeignFunction &function : result.functions)
    shorten(function.place);
  return result;
}

} // namespace mparc::clang_tools
