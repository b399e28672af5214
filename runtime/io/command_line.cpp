#include "mpar/program.h"

#include "mpar/checkpoint.h"
#include "mpar/csv.h"
#include "mpar/errors.h"
#include "mpar/generate.h"

#include <CLI/CLI.hpp>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>

namespace mpar {

namespace {

using Kind = OptimizerSettings::Kind;

// Wrong use that only shows when flags are looked at together.
struct WrongUse {
  std::string what;
};

std::string data_text(const DataSource &source) {
  if (source.kind == DataSource::Kind::none)
    return "none";
  return source.path.empty() ? "none" : source.path;
}

// A number in a range that is said in the message: PyTorch refuses the same.
CLI::Validator in_range(double low, double high, bool with_high, const std::string &range) {
  return CLI::Validator(
      [=](std::string &text) -> std::string {
        double value = 0;
        if (!CLI::detail::lexical_cast(text, value))
          return "expected a number, got " + text;
        bool fits = value >= low && (with_high ? value <= high : value < high);
        return fits ? std::string() : "expected " + range + ", got " + text;
      },
      "");
}

// Whole numbers are read here and not by CLI11, which takes "1e3", "010" and "-1" for what they are
// not.
template <typename Integer> CLI::Validator whole(Integer least) {
  return CLI::Validator(
      [=](std::string &text) -> std::string {
        Integer value{};
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size() || value < least)
          return "expected a whole number from " + std::to_string(least) + " on, got " + text;
        text = std::to_string(value);
        return {};
      },
      "");
}

CLI::Validator above_zero() {
  return CLI::Validator(
      [](std::string &text) -> std::string {
        double value = 0;
        const bool fits = CLI::detail::lexical_cast(text, value) && value > 0;
        return fits ? std::string() : "expected a number above 0, got " + text;
      },
      "");
}

bool has_betas(Kind kind) { return kind == Kind::adam || kind == Kind::adamw; }

bool has_length(LearningRateSchedule::Kind kind) {
  return kind == LearningRateSchedule::Kind::cosine || kind == LearningRateSchedule::Kind::linear;
}

void add_data_flags(CLI::App &app, const ModelDescription &model, Options &options) {
  const TrainingDefaults &defaults = model.training;
  app.add_option("--data", options.data,
                 "Rows to train on: CSV or .npy (program: " + data_text(defaults.data) + ")")
      ->group("Data");
  app.add_option("--targets", options.targets, "With a .npy file: the targets of its rows")
      ->group("Data");
  app.add_option("--test-data", options.test_data,
                 "Rows to test on (program: " + data_text(defaults.test_data) + ")")
      ->group("Data");
  app.add_option("--test-targets", options.test_targets,
                 "With a .npy file: the targets of its rows")
      ->group("Data");
}

// What the optimiser has not is read all the same, to be refused by name, but not shown; its value
// is not checked, as errors of hidden options do not name them.
void add_optimizer_flags(CLI::App &app, const TrainingDefaults &defaults, Options &options) {
  const OptimizerSettings &optimizer = defaults.optimizer;
  const Kind kind = optimizer.kind;
  const double huge = std::numeric_limits<double>::max();
  auto add = [&](const char *flag, std::optional<double> &option, const std::string &what,
                 double program, bool shown) {
    CLI::Option *added =
        app.add_option(flag, option, what + " (program: " + shortest(program) + ")");
    if (shown)
      added->check(in_range(0, huge, true, "a number of at least 0"))->group("Training");
    else
      added->group("");
  };
  add("--lr", options.lr, "Learning rate", optimizer.lr, true);
  add("--momentum", options.momentum, "Of sgd and rmsprop", optimizer.momentum,
      kind == Kind::sgd || kind == Kind::rmsprop);
  CLI::Option *betas =
      app.add_option("--betas", options.betas,
                     "Of adam and adamw, as 0.9,0.999 (program: " + shortest(optimizer.beta1) +
                         "," + shortest(optimizer.beta2) + ")")
          ->delimiter(',');
  if (has_betas(kind))
    betas->check(in_range(0, 1, false, "a number from 0 on and below 1"))->group("Training");
  else
    betas->group("");
  add("--alpha", options.alpha, "Of rmsprop", optimizer.alpha, kind == Kind::rmsprop);
  add("--lr-decay", options.lr_decay, "Of adagrad", optimizer.lr_decay, kind == Kind::adagrad);
  add("--eps", options.eps, "Of the optimizer", optimizer.eps, kind != Kind::sgd);
  add("--weight-decay", options.weight_decay, "Of the optimizer", optimizer.weight_decay, true);
  CLI::Option *clip = app.add_option(
      "--clip-norm", options.clip_norm,
      "The largest norm of all gradients (program: " + shortest(optimizer.clip_norm) + ")");
  if (optimizer.clip_norm > 0)
    clip->check(above_zero())->group("Training");
  else
    clip->group("");
  const LearningRateSchedule &schedule = defaults.schedule;
  app.add_option("--warmup", options.warmup,
                 "Steps in which the learning rate grows to its whole (program: " +
                     std::to_string(schedule.warmup) + ")")
      ->check(whole<int64_t>(0))
      ->group("Training");
  app.add_option("--schedule-steps", options.schedule_steps,
                 "Steps of the learning rate's schedule, 0 for all (program: " +
                     std::to_string(schedule.steps) + ")")
      ->check(whole<int64_t>(0))
      ->group(has_length(schedule.kind) ? "Training" : "");
}

void add_loss_scale_flag(CLI::App &app, const ModelDescription &model, Options &options) {
  CLI::Option *scale =
      app.add_option("--loss-scale", options.loss_scale,
                     "What the loss is multiplied by at first, for gradients in f16 (program: " +
                         shortest(LossScaling().scale) + ")");
  if (model.scales_loss)
    scale->check(in_range(1, std::numeric_limits<float>::max(), true, "a number of at least 1"))
        ->group("Training");
  else
    scale->group("");
}

void add_training_flags(CLI::App &app, const ModelDescription &model, Options &options) {
  const TrainingDefaults &defaults = model.training;
  auto program = [](const std::string &text) { return " (program: " + text + ")"; };
  app.add_option("--epochs", options.epochs,
                 "Times to go over the data" + program(std::to_string(defaults.epochs)))
      ->check(whole<int64_t>(0))
      ->group("Training");
  app.add_option("--batch", options.batch,
                 "Rows of one step" + program(std::to_string(defaults.batch)))
      ->check(whole<int64_t>(1))
      ->group("Training");
  app.add_option("--shuffle", options.shuffle,
                 std::string("true or false") + program(defaults.shuffle ? "true" : "false"))
      ->check(CLI::IsMember({"true", "false"}))
      ->group("Training");
  app.add_option("--seed", options.seed,
                 "Decides first values and order" + program(std::to_string(defaults.seed)))
      ->check(whole<uint64_t>(0))
      ->group("Training");
  add_optimizer_flags(app, defaults, options);
  add_loss_scale_flag(app, model, options);
}

void add_file_flags(CLI::App &app, Options &options) {
  auto file = [&](const char *flag, std::string &path, const char *what, const char *group) {
    app.add_option(flag, path, what)->group(group);
  };
  file("--save", options.save, "Write the parameters here at the end (safetensors)", "Files");
  file("--load", options.load, "Begin with the parameters in this file", "Files");
  app.add_option("--load-layout", options.load_layout,
                 "With --load: `gpt2` for files as GPT-2 was published in (plain)")
      ->check(CLI::IsMember({"plain", "gpt2"}))
      ->type_name("LAYOUT")
      ->group("Files");
  file("--checkpoint", options.checkpoint, "Write everything here after each epoch", "Files");
  app.add_option("--every", options.every, "With --checkpoint: every so many steps instead")
      ->check(whole<int64_t>(1))
      ->group("Files");
  file("--resume", options.resume, "Go on from this checkpoint, exactly where it stands", "Files");
  file("--predict", options.predict, "Rows to predict: after training, or, with --load, without it",
       "Files");
  file("--output", options.output, "With --predict: where the predictions go (CSV)", "Files");
  app.add_option("--generate", options.generate, "A text that the model goes on with")
      ->type_name("PROMPT")
      ->group("Text");
  app.add_option("--tokens", options.tokens, "With --generate: how many are added (256)")
      ->check(whole<int64_t>(1))
      ->group("Text");
  app.add_option("--temperature", options.temperature,
                 "With --generate: below 1 likelier tokens, at 0 always the likeliest (1)")
      ->check(in_range(0, std::numeric_limits<double>::max(), true, "a number of at least 0"))
      ->group("Text");
  app.add_option("--top-k", options.top_k, "With --generate: only so many of the likeliest tokens")
      ->check(whole<int64_t>(1))
      ->group("Text");
  file("--history", options.history, "Write the losses of each epoch here (CSV)", "Files");
  file("--plot", options.plot, "Write a plot of the losses here (SVG)", "Files");
  file("--trace", options.trace,
       "Write when each device worked on what here (JSON for Perfetto or Chrome)",
       "Looking inside");
  file("--dump-losses", options.dump_losses, "Write the loss of each batch here, a line each",
       "Looking inside");
  file("--dump-gradients", options.dump_gradients,
       "Write the gradients of the first step here (safetensors)", "Looking inside");
  app.add_option("--benchmark-steps", options.benchmark_steps,
                 "Train so many steps on the first batch and print the median time of one")
      ->check(whole<int64_t>(1))
      ->group("Looking inside");
}

// Whether what is written to one would be in the other: not where it is a device, as /dev/null.
bool is_same_file(const std::string &a, const std::string &b) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (fs::exists(a, failed) && fs::exists(b, failed))
    return fs::is_regular_file(a, failed) && fs::equivalent(a, b, failed);
  return fs::absolute(a, failed).lexically_normal() == fs::absolute(b, failed).lexically_normal();
}

// A file that is written is no other one, and none whose rows are read. One that is loaded or
// resumed may be: it has been read by then.
void check_files(const ModelDescription &model, const Options &options) {
  const TrainingDefaults &program = model.training;
  struct File {
    const char *flag;
    const std::string &path;
  };
  const File written[] = {{"--save", options.save},
                          {"--checkpoint", options.checkpoint},
                          {"--output", options.output},
                          {"--history", options.history},
                          {"--plot", options.plot},
                          {"--trace", options.trace},
                          {"--dump-losses", options.dump_losses},
                          {"--dump-gradients", options.dump_gradients}};
  const File read[] = {
      {"--data", options.data.empty() ? program.data.path : options.data},
      {"--targets", options.data.empty() ? program.data.targets : options.targets},
      {"--test-data", options.test_data.empty() ? program.test_data.path : options.test_data},
      {"--test-targets",
       options.test_data.empty() ? program.test_data.targets : options.test_targets},
      {"--predict", options.predict}};
  const auto check = [](const File &file, const File &other) {
    if (!file.path.empty() && !other.path.empty() && is_same_file(file.path, other.path))
      throw WrongUse{std::string(file.flag) + " would write over the file of " + other.flag + ", " +
                     other.path};
  };
  for (const File &file : written) {
    for (const File &other : read)
      check(file, other);
    for (const File *other = written; other != &file; ++other)
      check(file, *other);
  }
}

void check_together(const ModelDescription &model, const Options &options, const Process &process) {
  const OptimizerSettings &settings = model.training.optimizer;
  const Kind kind = settings.kind;
  auto refuse = [&](bool given, bool known, const char *flag) {
    if (given && !known)
      throw WrongUse{std::string(flag) + ": the program was compiled for " + optimizer_name(kind) +
                     ", which has none"};
  };
  refuse(options.momentum.has_value(), kind == Kind::sgd || kind == Kind::rmsprop, "--momentum");
  refuse(options.betas.has_value(), has_betas(kind), "--betas");
  refuse(options.eps.has_value(), kind != Kind::sgd, "--eps");
  refuse(options.alpha.has_value(), kind == Kind::rmsprop, "--alpha");
  refuse(options.lr_decay.has_value(), kind == Kind::adagrad, "--lr-decay");
  if (options.clip_norm && settings.clip_norm == 0)
    throw WrongUse{"--clip-norm: the program was compiled without `clip_norm`"};
  if (options.loss_scale && !model.scales_loss)
    throw WrongUse{"--loss-scale: the program has no gradients in f16"};
  if (options.schedule_steps && !has_length(model.training.schedule.kind))
    throw WrongUse{"--schedule-steps: the program's learning rate has no schedule with a length"};
  if (settings.nesterov && options.momentum && *options.momentum == 0)
    throw WrongUse{"--momentum: the program's sgd is Nesterov's, which needs one above 0"};
  if (options.every > 0 && options.checkpoint.empty())
    throw WrongUse{"--every goes with --checkpoint"};
  if (options.predict.empty() != options.output.empty())
    throw WrongUse{options.output.empty() ? "--predict needs --output"
                                          : "--output needs --predict"};
  if (!options.targets.empty() && options.data.empty())
    throw WrongUse{"--targets goes with --data"};
  if (!options.test_targets.empty() && options.test_data.empty())
    throw WrongUse{"--test-targets goes with --test-data"};
  if (options.load_layout != "plain" && options.load.empty())
    throw WrongUse{"--load-layout goes with --load"};
  if (!options.load.empty() && !options.resume.empty())
    throw WrongUse{"--load and --resume both say where to begin; give one"};
  try {
    map_devices(options.devices, static_cast<int>(model.devices.size()) * model.replicas, process);
  } catch (const Error &error) {
    throw WrongUse{std::string("--devices: ") + error.what()};
  }
  if (!options.generate && (options.tokens || options.temperature || options.top_k))
    throw WrongUse{std::string(options.tokens        ? "--tokens"
                               : options.temperature ? "--temperature"
                                                     : "--top-k") +
                   " goes with --generate"};
  if (options.generate)
    if (std::string why = why_not_generate(model); !why.empty())
      throw WrongUse{"--generate: " + why};
  check_files(model, options);
  bool has_data = !options.data.empty() || model.training.data.kind != DataSource::Kind::none;
  if (!has_data && !trains_nothing(options))
    throw WrongUse{"no data: give --data FILE"};
}

} // namespace

bool trains_nothing(const Options &options) {
  if (!options.data.empty() || (options.predict.empty() && !options.generate))
    return false;
  bool has_parameters = !options.load.empty() || !options.resume.empty();
  return options.epochs ? options.generate && *options.epochs == 0 : has_parameters;
}

std::optional<int> parse_command_line(int argc, char **argv, const ModelDescription &model,
                                      Options &options) {
  std::string wrong;
  const std::optional<int> status = parse_command_line(argc, argv, model, {}, options, wrong);
  if (!wrong.empty())
    std::fprintf(stderr, "error: %s\n", wrong.c_str());
  return status;
}

std::optional<int> parse_command_line(int argc, char **argv, const ModelDescription &model,
                                      const Launch &launch, Options &options, std::string &wrong) {
  CLI::App app{model.name + ", compiled from " + model.source + " by mparc"};
  app.name(argc > 0 ? argv[0] : model.name);
  app.get_formatter()->column_width(34);
  app.get_formatter()->label("TEXT", "FILE");
  // Said twice, the last one counts, so that scripts can add to a line of flags.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("--version",
                       model.name + ", compiled from " + model.source + " by mparc " MPAR_VERSION);
  try {
    add_data_flags(app, model, options);
    add_training_flags(app, model, options);
    add_file_flags(app, options);
    app.add_option("--devices", options.devices,
                   "What the program's devices are: auto, cpu, cuda, or, one a device, cpu:K for a "
                   "worker on core K, cuda:K for a GPU, rank:R, rank:R/cpu:K or rank:R/cuda:K of a "
                   "process under mpirun, with one GPU each")
        ->type_name("LIST")
        ->group("Running");
    app.add_option("--threads", options.threads, "Threads that work on a batch (1)")
        ->check(whole<int>(1))
        ->group("Running");
    app.add_option("--timeout", options.timeout,
                   "Seconds a worker or rank waits for another before the run is given up (" +
                       shortest(default_timeout) + ")")
        ->check(above_zero())
        ->group("Running");
    app.add_flag("--check", options.check,
                 "Check that whatever workers share is ordered: slow, for finding faults")
        ->group("Running");
    app.add_flag("--no-graph", options.no_graph,
                 "On GPUs, issue each step's work anew instead of replaying it")
        ->group("Running");
    app.add_flag("--no-resident-data", options.no_resident_data,
                 "On GPUs, send each step its rows instead of keeping all of them there")
        ->group("Running");
    app.add_flag("--tf32", options.tf32,
                 "On GPUs, let products of f32 round their operands to TF32: faster, less exact")
        ->group("Running");
    app.add_flag("--quiet", options.quiet, "Print nothing but errors")->group("Running");
    app.parse(argc, argv);
    check_together(model, options, {launch.size, launch.rank, launch.local_rank});
  } catch (const CLI::Success &success) {
    return launch.rank == 0 ? app.exit(success) : 0;
  } catch (const CLI::Error &error) {
    std::string text = error.what();
    for (char &c : text)
      if (c == '\n')
        c = ' ';
    wrong = text + " (--help says what there is)";
    return 2;
  } catch (const WrongUse &use) {
    wrong = use.what;
    return 2;
  }
  return std::nullopt;
}

} // namespace mpar
