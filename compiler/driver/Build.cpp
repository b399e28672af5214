// Building and running what is emitted, with the system's C++ compiler.
#include "driver/Build.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace mparc {
namespace {

llvm::SmallString<128> folderToRemove; // what a signal leaves to clean up

/// A folder that is removed at the end, also where the user interrupts.
class TemporaryFolder {
public:
  TemporaryFolder() {
    if (fs::createUniqueDirectory("mparc", name)) {
      name.clear();
      return;
    }
    folderToRemove = name;
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
      std::signal(signal, [](int number) {
        fs::remove_directories(folderToRemove);
        std::signal(number, SIG_DFL);
        std::raise(number);
      });
  }
  ~TemporaryFolder() { remove(); }
  void remove() {
    if (!name.empty())
      fs::remove_directories(name);
    name.clear();
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
      std::signal(signal, SIG_DFL);
  }
  explicit operator bool() const { return !name.empty(); }
  std::string file(llvm::StringRef leaf) const {
    llvm::SmallString<128> whole(name);
    path::append(whole, leaf);
    return std::string(whole);
  }

private:
  llvm::SmallString<128> name;
};

} // namespace

/// The words of an environment variable or, where it is empty, of `otherwise`.
static std::vector<std::string> wordsOf(const char *variable, const char *otherwise) {
  const char *chosen = std::getenv(variable);
  llvm::SmallVector<llvm::StringRef> words;
  llvm::SplitString(chosen && *chosen ? chosen : otherwise, words);
  return {words.begin(), words.end()};
}

std::vector<std::string> includeFlags(const Options &options, const Installation &installation) {
  std::string folder = path::parent_path(options.input).str();
  // Of the model's folder only what is included in quotes: it may hold a file called `memory`.
  std::vector<std::string> flags = {"-I" + installation.include, "-iquote",
                                    folder.empty() ? "." : folder};
  for (const std::string &include : options.includes)
    flags.push_back("-I" + include);
  return flags;
}

/// Compiles `text` in `folder`. True if `folder`'s file `program` was made.
static bool compile(const std::string &text, const TemporaryFolder &folder, const Options &options,
                    const Installation &installation) {
  std::string source = folder.file("model.cpp");
  if (!writeFile(source, text))
    return false;
  std::vector<std::string> command = wordsOf("CXX", "c++");
  // No contraction: rounding is decided in the source. Without errno and traps square roots and
  // choices become vectors.
  for (const char *flag : {"-std=c++17", "-O3", "-march=native", "-ffp-contract=off",
                           "-fno-math-errno", "-fno-trapping-math"})
    command.push_back(flag);
  // The user's own come later, so that they count.
  for (const std::string &flag : wordsOf("CXXFLAGS", ""))
    command.push_back(flag);
#ifdef MPARC_SANITIZE
  command.push_back("-fsanitize=" MPARC_SANITIZE);
  command.push_back("-fno-sanitize-recover=all");
#endif
  for (const std::string &flag : includeFlags(options, installation))
    command.push_back(flag);
  // Where the module is that speaks to MPI: in the build folder beside the library, installed
  // below.
  const std::string beside = path::parent_path(installation.library).str();
  for (const std::string &argument : std::vector<std::string>{
           source, installation.library, "-ldnnl", "-fopenmp", "-pthread",
           "-Wl,-rpath," + beside + ":" + beside + "/mparc", "-o", folder.file("program")})
    command.push_back(argument);
  auto compiler = llvm::sys::findProgramByName(command.front());
  if (!compiler) {
    fail("there is no C++ compiler `" + command.front() + "`; CXX may name another");
    return false;
  }
  llvm::SmallVector<llvm::StringRef> arguments(command.begin(), command.end());
  std::string error;
  int status = llvm::sys::ExecuteAndWait(*compiler, arguments, std::nullopt, {}, 0, 0, &error);
  if (status == 0)
    return true;
  fail("this command failed: " + llvm::join(command, " "));
  return false;
}

int buildProgram(const std::string &source, const Options &options,
                 const Installation &installation) {
  const std::string &program = options.output;
  TemporaryFolder folder;
  if (!folder)
    return fail("cannot make a temporary folder");
  if (!compile(source, folder, options, installation))
    return 1;
  auto built = llvm::MemoryBuffer::getFile(folder.file("program"), /*IsText=*/false,
                                           /*RequiresNullTerminator=*/false);
  if (!built)
    return fail("cannot read the program built: " + built.getError().message());
  if (!writeFile(program, (*built)->getBuffer()))
    return 1;
  if (auto error = fs::setPermissions(program, fs::all_exe | fs::all_read | fs::owner_write))
    return fail("cannot make " + program + " a program: " + error.message());
  return 0;
}

int runProgram(const std::string &source, const Options &options,
               const Installation &installation) {
  int program = -1;
  {
    TemporaryFolder folder;
    if (!folder)
      return fail("cannot make a temporary folder");
    if (!compile(source, folder, options, installation))
      return 1;
    program = ::open(folder.file("program").c_str(), O_RDONLY | O_CLOEXEC);
  }
  // The folder is gone; the program lives as long as the file is open.
  std::vector<std::string> arguments = {path::stem(options.input).str()};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char *> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::fexecve(program, pointers.data(), environ);
  return fail(std::string("cannot run the program built: ") + std::strerror(errno));
}

} // namespace mparc
