// The command line of mparc.
#include "driver/Options.h"

#include "driver/Files.h"
#include "frontend/DidYouMean.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <CLI/CLI.hpp>

#include <iostream>

namespace mparc {
namespace {

constexpr llvm::StringRef kVerbs[] = {"build", "run", "report", "fmt"};
constexpr const char *kStages[] = {"ast",         "graph", "grad",      "placed",   "split",
                                   "transferred", "fused", "scheduled", "schedule", "calls"};

/// `16GiB`, `512MB`, `1000000`.
int64_t readSize(const std::string &text) {
  size_t end = 0;
  double number = 0;
  try {
    number = std::stod(text, &end);
  } catch (const std::exception &) {
    throw CLI::ValidationError("--memory", "`" + text + "` is no size; for instance 16GiB");
  }
  static constexpr std::pair<const char *, double> units[] = {
      {"", 1},      {"B", 1},      {"KB", 1e3},      {"MB", 1e6},         {"GB", 1e9},
      {"TB", 1e12}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {"TiB", 1099511627776}};
  for (auto [unit, factor] : units)
    if (text.substr(end) == unit && number > 0 && number * factor < 9e18)
      return static_cast<int64_t>(number * factor);
  throw CLI::ValidationError("--memory", "`" + text + "` is no size; for instance 16GiB");
}

/// Text that the user may leave unquoted, as an expression of the language.
std::string quoted(const std::string &text) {
  return !text.empty() && text.front() == '"' ? text : '"' + text + '"';
}

/// Refuses a first word that is no verb but nearly one, and no model either.
void checkVerb(llvm::StringRef word) {
  if (word.starts_with("-") || llvm::sys::path::extension(word) == ".mp" ||
      llvm::sys::fs::exists(word))
    return;
  std::string hint = didYouMean(word, kVerbs);
  if (!hint.empty() && !llvm::is_contained(kVerbs, word))
    throw CLI::ValidationError("there is no command `" + word.str() + "`" + hint);
}

/// What is written is no other file that is, and not the model.
void checkFiles(const Options &options) {
  const std::pair<const char *, const std::string &> files[] = {{"the model", options.input},
                                                                {"-o", options.output},
                                                                {"--header", options.header},
                                                                {"--trace", options.trace},
                                                                {"--svg", options.drawing}};
  for (size_t i = 1; i < std::size(files); ++i)
    for (size_t k = 0; k < i; ++k)
      if (!files[i].second.empty() && !files[k].second.empty() && files[i].second != "-" &&
          isSameFile(files[i].second, files[k].second))
        throw CLI::ValidationError(files[i].first,
                                   files[i].second + " would be written over " + files[k].first);
}

class Reader {
public:
  Reader() : app("Compiles a model placed on devices to C++ that trains it.", "mparc") {}
  std::optional<Options> read(int argc, char **argv, int &status);

private:
  CLI::App *addVerb(const char *name, const char *description, Verb verb);
  void addModelOptions(CLI::App &verb);
  void addEntry(CLI::App &verb, const char *flag, const char *entry, const char *description,
                bool isText = false);
  void addCompile();

  CLI::App app;
  Options options;
  bool noMain = false, shardOptimizer = false;
  std::vector<std::string> settings;
};

} // namespace

void Reader::addEntry(CLI::App &verb, const char *flag, const char *entry, const char *description,
                      bool isText) {
  auto add = [this, entry, isText](const std::string &value) {
    options.trainEntries.emplace_back(entry, isText ? quoted(value) : value);
  };
  verb.add_option_function<std::string>(flag, add, description)
      ->group("Entries of the train block");
}

/// What decides the emitted code: the same for every verb that compiles.
void Reader::addModelOptions(CLI::App &verb) {
  verb.add_option("--model", options.model, "Which model of the file");
  verb.add_option("--set", settings, "name=value: a parameter of the model")
      ->take_all()
      ->allow_extra_args(false);
  verb.add_option("-I,--include", options.includes, "A folder of headers that `extern` names")
      ->take_all()
      ->allow_extra_args(false);
  verb.add_option("--devices", options.devices, "How many devices there are")
      ->check(CLI::Range(1, 1 << 20));
  verb.add_option_function<std::string>(
      "--memory", [this](const std::string &text) { options.memory = readSize(text); },
      "What each device has, for instance 16GiB");
  addEntry(verb, "--loss", "loss", "For instance cross_entropy");
  addEntry(verb, "--optimizer", "optimizer", "For instance 'sgd(lr: 0.1)'");
  addEntry(verb, "--lr-schedule", "lr_schedule", "For instance 'cosine(warmup: 100)'");
  addEntry(verb, "--clip-norm", "clip_norm", "The largest norm of all gradients together");
  addEntry(verb, "--no-weight-decay", "no_weight_decay", "For instance '[\"*.bias\"]'");
  addEntry(verb, "--replicas", "replicas", "Copies of the model");
  addEntry(verb, "--bucket-bytes", "bucket_bytes", "Gradients that replicas add up at once");
  addEntry(verb, "--microbatches", "microbatches", "Parts of a batch");
  addEntry(verb, "--schedule", "schedule", "gpipe, 1f1b, interleaved, zero-bubble", true);
  verb.add_flag("--shard-optimizer", shardOptimizer, "Replicas keep parts of the optimiser's state")
      ->group("Entries of the train block");
  verb.add_option("--print-after", options.printAfter, "Print the IR after this pass")
      ->group("For developers");
  verb.add_flag("--print-after-all", options.printAfterAll, "Print the IR after every pass")
      ->group("For developers");
  verb.add_flag("--verify-output", options.verifyOutput, "Read the emitted C++ back")
      ->group("For developers");
}

CLI::App *Reader::addVerb(const char *name, const char *description, Verb verb) {
  CLI::App *sub = app.add_subcommand(name, description);
  sub->callback([this, verb] { options.verb = verb; });
  if (verb == Verb::format)
    return sub;
  sub->add_option("model", options.input, "The model, a .mp file")->required();
  addModelOptions(*sub);
  return sub;
}

void Reader::addCompile() {
  app.add_option("model", options.input, "The model, a .mp file");
  app.add_option("-o", options.output, "The file to write, .cpp or .cu; - for standard output");
  app.add_option("--header", options.header, "Write the declaration to this file");
  app.add_flag("--no-main", noMain, "Leave out `main`: part of another program");
  app.add_option("--emit", options.stage,
                 "Print this stage of the compiler instead: the syntax tree, or IR")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kStages), std::end(kStages))));
  app.add_flag("--verify-diagnostics", options.verifyDiagnostics,
               "Compare diagnostics with expected-error comments")
      ->group("For developers");
  addModelOptions(app);
}

std::optional<Options> Reader::read(int argc, char **argv, int &status) {
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", "mparc " MPARC_VERSION);
  addCompile();
  CLI::App *build =
      addVerb("build", "Compile and build a program with the system's C++ compiler", Verb::build);
  build->add_option("-o", options.output, "The program to write")->required();
  build->add_flag("--cuda", options.cuda, "With nvcc, for GPUs");
  CLI::App *run = addVerb("run", "The same, and run it; its own flags follow --", Verb::run);
  run->add_flag("--cuda", options.cuda, "With nvcc, for GPUs");
  CLI::App *report =
      addVerb("report", "Devices, parameters, memory, transfers and schedule, before anything runs",
              Verb::report);
  report->add_option(
      "--trace", options.trace,
      "Write when each device would work on what here (JSON for Perfetto or Chrome)");
  report->add_option("--svg", options.drawing, "Draw the same here");
  CLI::App *format = addVerb("fmt", "Rewrite files in the one canonical layout", Verb::format);
  format->add_option("files", options.files, "The files, .mp")->required();
  format->add_flag("--check", options.check, "Only say which files would change");

  // What follows `--` belongs to the program that runs.
  int own = argc;
  for (int i = 1; i < argc; ++i)
    if (std::string(argv[i]) == "--") {
      own = i;
      break;
    }
  options.arguments.assign(argv + std::min(own + 1, argc), argv + argc);
  try {
    if (own > 1)
      checkVerb(argv[1]);
    app.parse(own, argv);
    if (own < argc && options.verb != Verb::run)
      throw CLI::ValidationError("--", "only `mparc run` takes flags for the program");
    if (options.verb == Verb::compile && options.input.empty())
      throw CLI::RequiredError("model");
    for (const std::string &setting : settings) {
      size_t equals = setting.find('=');
      if (equals == 0 || equals == std::string::npos)
        throw CLI::ValidationError("--set", "`" + setting + "`: expected name=value");
      options.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    }
    checkFiles(options);
  } catch (const CLI::Success &success) {
    status = app.exit(success);
    return std::nullopt;
  } catch (const CLI::ParseError &error) {
    std::string message = error.what();
    for (char &c : message)
      c = c == '\n' ? ' ' : c;
    std::cerr << "mparc: " << message << "; see mparc --help\n";
    status = 2;
    return std::nullopt;
  }
  options.main = !noMain;
  if (shardOptimizer)
    options.trainEntries.emplace_back("shard_optimizer", "true");
  options.command = "mparc";
  for (int i = 1; i < own; ++i)
    if (std::string(argv[i]) != "--verify-output") // decides nothing about what is written
      options.command += ' ' + quoteForShell(argv[i]);
  return options;
}

std::optional<Options> readOptions(int argc, char **argv, int &status) {
  return Reader().read(argc, argv, status);
}

} // namespace mparc
