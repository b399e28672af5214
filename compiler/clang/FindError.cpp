// Reading emitted C++ back with libTooling.
#include "clang/CheckCpp.h"

#include "clang/Basic/Diagnostic.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/FrontendActions.h"
#include "clang/Tooling/Tooling.h"

namespace mparc::clang_tools {
namespace {

/// Keeps the first error of a run.
class FirstError : public clang::DiagnosticConsumer {
public:
  explicit FirstError(std::string &text) : text(text) {}
  void HandleDiagnostic(clang::DiagnosticsEngine::Level level,
                        const clang::Diagnostic &diagnostic) override {
    clang::DiagnosticConsumer::HandleDiagnostic(level, diagnostic);
    if (level < clang::DiagnosticsEngine::Error || !text.empty())
      return;
    llvm::SmallString<128> message;
    diagnostic.FormatDiagnostic(message);
    unsigned line = 0;
    if (diagnostic.hasSourceManager() && diagnostic.getLocation().isValid())
      line = diagnostic.getSourceManager().getSpellingLineNumber(diagnostic.getLocation());
    text = ("line " + llvm::Twine(line) + ": " + message).str();
  }

private:
  std::string &text;
};

} // namespace

std::string findError(const std::vector<std::pair<std::string, std::string>> &texts,
                      const std::vector<std::string> &arguments) {
  std::string error;
  FirstError consumer(error);
  auto files = llvm::makeIntrusiveRefCnt<clang::FileManager>(clang::FileSystemOptions());
  // In memory, over the real file system with its headers.
  auto overlay =
      llvm::makeIntrusiveRefCnt<llvm::vfs::OverlayFileSystem>(llvm::vfs::getRealFileSystem());
  auto memory = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
  overlay->pushOverlay(memory);
  files->setVirtualFileSystem(overlay);
  for (const auto &[name, text] : texts)
    if (!name.empty())
      memory->addFile(name, 0, llvm::MemoryBuffer::getMemBufferCopy(text));

  std::vector<std::string> command = {"mparc", "-fsyntax-only", "-std=c++17"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.push_back(texts.front().first);
  clang::tooling::ToolInvocation invocation(command, std::make_unique<clang::SyntaxOnlyAction>(),
                                            files.get());
  invocation.setDiagnosticConsumer(&consumer);
  if (!invocation.run() && error.empty())
    error = "cannot be parsed";
  return error;
}

} // namespace mparc::clang_tools
