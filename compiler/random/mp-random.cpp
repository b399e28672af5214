// mp-random: checks random programs, or writes them to files. `mp-random --help` lists the flags.
#include "random/CheckProgram.h"
#include "random/ForwardWriter.h"
#include "random/Generate.h"
#include "random/WriteData.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mparc::random;
namespace cl = llvm::cl;

static cl::opt<uint64_t> seed("seed", cl::desc("of the first program; the next have the next"),
                              cl::init(0));
static cl::opt<uint64_t> programs("count", cl::desc("programs"), cl::init(100));
static cl::opt<uint64_t> differencesEvery(
    "differences-every",
    cl::desc("check the gradients of every n-th by finite differences; 0: of none"), cl::init(20));
static cl::opt<std::string> stdlib("stdlib", cl::desc("folder of the standard library"),
                                   cl::init(MPARC_STDLIB));
static cl::opt<bool> show("print", cl::desc("print the programs rather than check them"));
static cl::opt<std::string> writeTo(
    "write",
    cl::desc("write each program to a folder of its own in this one: placed.mp; one.mp, all of it "
             "on one device; kept.mp, without `@recompute`; their data; random_ops.h"));
static cl::opt<bool> keep("no-reduce", cl::desc("print a failing program as it is"));

/// Writes placed.mp, one.mp, data and more to <folder>/<seed>. Returns whether that went well.
static bool writeProgram(const Program &program, uint64_t number) {
  llvm::SmallString<128> folder(writeTo);
  llvm::sys::path::append(folder, std::to_string(number));
  std::error_code error = llvm::sys::fs::create_directories(folder);
  auto write = [&](llvm::StringRef name, const std::string &text) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    if (!error) {
      llvm::raw_fd_ostream out(path, error);
      out << text;
      out.close();
      if (!error)
        error = out.error();
      out.clear_error();
    }
  };
  Form one, kept;
  one.oneDevice = kept.keepsAll = true;
  auto writeForm = [&](const std::string &name, Form form) {
    if (!program.imports) {
      write(name + ".mp", print(program.file, form));
      return;
    }
    std::vector<Statement> layers, others{Statement("import \"" + name + "_layers.mp\"")};
    for (const Statement &each : program.file)
      (llvm::StringRef(each.text).starts_with("layer ") ? layers : others).push_back(each);
    write(name + ".mp", print(others, form));
    write(name + "_layers.mp", print(layers, form));
  };
  writeForm("placed", {});
  writeForm("one", one);
  if (print(program.file, kept) != print(program.file, {}))
    writeForm("kept", kept);
  write("random_ops.h", foreignHeader());
  writeData(program, number, write);
  if (error)
    llvm::errs() << "mp-random: error: " << folder << ": " << error.message() << '\n';
  return !error;
}

static int report(const std::vector<Statement> &file, uint64_t number, const CheckOptions &options,
                  const Verdict &verdict) {
  llvm::outs() << "mp-random: program " << number << " fails: " << verdict.message << '\n';
  const bool reduces = !keep && verdict.kind == Verdict::Kind::failed;
  std::vector<Statement> shown = reduces ? reduce(file, options) : file;
  if (reduces)
    llvm::outs() << "reduced: " << check(shown, options).message << '\n';
  llvm::outs() << "\n"
               << print(shown, {}) << "\nrun it again: mp-random --seed " << number
               << " --count 1 --differences-every 1\n";
  return 1;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "checks random programs of the language\n");
  uint64_t transfers = 0, differences = 0, notFinite = 0;
  for (uint64_t number = seed; number < seed + programs; ++number) {
    Program program = generate(number, !writeTo.empty());
    std::vector<Statement> &file = program.file;
    CheckOptions options;
    options.stdlibDirectory = stdlib;
    // What is written calls functions of a header that is not there yet.
    if (writeTo.empty()) {
      dropSplits(file, options);
      dropMicrobatches(file, options);
    }
    if (show) {
      llvm::outs() << "// program " << number << '\n' << print(file, {});
      continue;
    }
    if (!writeTo.empty()) {
      if (!writeProgram(program, number))
        return 1;
      continue;
    }
    options.seed = number;
    options.rows = 1 + static_cast<int64_t>(number % 5);
    options.parts = number % 4 == 3;
    options.replicas = number % 8 == 1;
    options.finiteDifferences = differencesEvery && number % differencesEvery == 0;
    const Verdict verdict = check(file, options);
    if (verdict.kind != Verdict::Kind::passed)
      return report(file, number, options, verdict);
    transfers += static_cast<uint64_t>(verdict.transfers);
    differences += static_cast<uint64_t>(verdict.differences);
    notFinite += !verdict.isFinite;
  }
  if (show || !writeTo.empty())
    return 0;
  llvm::outs() << programs << " programs from seed " << seed << " pass: " << transfers
               << " transfers, " << differences << " elements checked by finite differences, "
               << notFinite << " losses not finite\n";
  // Bits of what is not a number show little.
  return notFinite * 20 > programs ? 1 : 0;
}
