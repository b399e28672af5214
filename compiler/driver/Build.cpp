// Building and running what is emitted, with the system's C++ compiler.
#include "driver/Build.h"
#include "driver/Files.h"

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
    if (std::error_code failed = fs::createUniqueDirectory("mparc", name)) {
      why = failed.message();
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

  /// Reports why there is none.
  int refuse() const {
    llvm::SmallString<128> where;
    path::system_temp_directory(/*ErasedOnReboot=*/true, where);
    return fail("cannot make a temporary folder in " + where + ": " + why);
  }

private:
  llvm::SmallString<128> name;
  std::string why;
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

/// `$NVCC`, or `nvcc` where the loader of programs finds it or the toolkit lies by default.
static std::string findNvcc() {
  const char *chosen = std::getenv("NVCC");
  if (chosen && *chosen)
    return chosen;
  const char *home = std::getenv("CUDA_HOME");
  std::string folders[] = {home ? std::string(home) + "/bin" : "", "/usr/local/cuda/bin"};
  if (auto found = llvm::sys::findProgramByName("nvcc"))
    return *found;
  if (auto found = llvm::sys::findProgramByName("nvcc", {folders[0], folders[1]}))
    return *found;
  return "nvcc";
}

// No contraction: rounding is decided in the source. Without errno and traps square roots and
// choices become vectors.
static constexpr const char *kFlags[] = {"-march=native", "-ffp-contract=off", "-fno-math-errno",
                                         "-fno-trapping-math"};

/// What the host's compiler and linker are told, whoever calls them. Where the module is that
/// speaks to MPI: in the build folder beside the library, installed below.
static std::vector<std::string> hostFlags() {
  std::vector<std::string> flags(std::begin(kFlags), std::end(kFlags));
  // The user's own come later, so that they count.
  llvm::append_range(flags, wordsOf("CXXFLAGS", ""));
  flags.push_back("-fopenmp");
  flags.push_back("-pthread");
#ifdef MPARC_SANITIZE
  flags.push_back("-fsanitize=" MPARC_SANITIZE);
  flags.push_back("-fno-sanitize-recover=all");
#endif
  return flags;
}

/// The command that makes a program of C++.
static std::vector<std::string> plainCommand(const std::vector<std::string> &what,
                                             const std::string &library) {
  const std::string beside = path::parent_path(library).str();
  std::vector<std::string> command = wordsOf("CXX", "c++");
  llvm::append_range(command, what);
  llvm::append_range(command, hostFlags());
  for (const std::string &flag :
       {library, std::string("-ldnnl"), "-Wl,-rpath," + beside + ":" + beside + "/mparc"})
    command.push_back(flag);
  return command;
}

/// The command that makes one of CUDA C++, for all GPUs that the kernels are compiled for.
static std::vector<std::string> cudaCommand(const std::vector<std::string> &what,
                                            const std::string &library,
                                            const std::string &cudaLibrary) {
  const std::string beside = path::parent_path(library).str();
  std::vector<std::string> command = {findNvcc(), "--fmad=false", "-diag-suppress=1675"};
  // What nvcc does not know it hands on.
  bool isHosts = false;
  for (const std::string &flag : what) {
    bool isQuote = flag == "-iquote";
    if (isQuote || isHosts)
      command.push_back("-Xcompiler");
    command.push_back(flag);
    isHosts = isQuote;
  }
  for (const char *version : {"80", "90", "100"})
    command.push_back(
        ("-gencode=arch=compute_" + llvm::Twine(version) + ",code=sm_" + version).str());
  command.push_back("-gencode=arch=compute_100,code=compute_100");
  for (const std::string &flag : hostFlags()) {
    command.push_back("-Xcompiler");
    command.push_back(flag);
  }
  for (const std::string &flag :
       {cudaLibrary, library, std::string("-ldnnl"), std::string("-lcublasLt"),
        "-Xlinker=-rpath," + beside, "-Xlinker=-rpath," + beside + "/mparc"})
    command.push_back(flag);
  // The toolkit's libraries lie beside nvcc's folder.
  llvm::SmallString<128> nvcc;
  if (auto found = llvm::sys::findProgramByName(command.front());
      found && !fs::real_path(*found, nvcc))
    command.push_back("-Xlinker=-rpath," + path::parent_path(path::parent_path(nvcc)).str() +
                      "/lib64");
  return command;
}

/// Compiles `text` in `folder`. True if `folder`'s file `program` was made.
static bool compile(const std::string &text, const TemporaryFolder &folder, const Options &options,
                    const Installation &installation) {
  std::string source = folder.file(options.cuda ? "model.cu" : "model.cpp");
  if (!writeFile(source, text))
    return false;
  llvm::SmallString<128> cudaLibrary(path::parent_path(installation.library));
  path::append(cudaLibrary, "libmpar_cuda.a");
  std::vector<std::string> what = {"-std=c++17", "-O3"};
  llvm::append_range(what, includeFlags(options, installation));
  llvm::append_range(what, std::vector<std::string>{source, "-o", folder.file("program")});
  std::vector<std::string> command =
      options.cuda ? cudaCommand(what, installation.library, std::string(cudaLibrary))
                   : plainCommand(what, installation.library);
  auto compiler = llvm::sys::findProgramByName(command.front());
  if (!compiler) {
    fail(options.cuda ? "there is no CUDA compiler `" + command.front() + "`; NVCC may name another"
                      : "there is no C++ compiler `" + command.front() + "`; CXX may name another");
    return false;
  }
  if (options.cuda && !fs::exists(cudaLibrary)) {
    fail("this mparc was built without CUDA: there is no " + std::string(cudaLibrary));
    return false;
  }
  llvm::SmallVector<llvm::StringRef> arguments(command.begin(), command.end());
  std::string error;
  int status = llvm::sys::ExecuteAndWait(*compiler, arguments, std::nullopt, {}, 0, 0, &error);
  if (status == 0)
    return true;
  fail("this command failed: " + llvm::join(llvm::map_range(command, quoteForShell), " "));
  return false;
}

int buildProgram(const std::string &source, const Options &options,
                 const Installation &installation) {
  const std::string &program = options.output;
  TemporaryFolder folder;
  if (!folder)
    return folder.refuse();
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
      return folder.refuse();
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
