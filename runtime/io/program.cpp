// The main of an emitted program, from the command line to the files it leaves.
#include "mpar/program.h"

#include "mpar/checkpoint.h"
#include "mpar/data_loader.h"
#include "mpar/errors.h"
#include "mpar/generate.h"
#include "mpar/history.h"
#include "mpar/progress.h"
#include "mpar/safetensors.h"
#include "mpar/trace.h"
#include "mpar/train.h"
#include "mpar/world.h"
#include "ranks.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <new>
#include <sched.h>
#include <unistd.h>
#include <utility>

namespace mpar {

namespace {

bool ends_in(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_tokens(const DataSource &source) {
  return source.kind == DataSource::Kind::text || source.kind == DataSource::Kind::tokens;
}

std::vector<std::string> split_at_commas(const std::string &text) {
  std::vector<std::string> parts;
  size_t from = 0;
  for (size_t comma; (comma = text.find(',', from)) != std::string::npos; from = comma + 1)
    parts.push_back(text.substr(from, comma - from));
  parts.push_back(text.substr(from));
  return parts;
}

// Whether this process is the one to speak.
bool is_lead(const World *world) { return !world || world->rank() == 0; }

// What any rank may fail at, or all do: one says why.
void together(World *world, const std::function<void()> &work) {
  if (!world)
    return work();
  world->set_activity("to begin");
  world->together(work);
}

// The program's source with the file exchanged for the one of the command line; .npy or not tells
// the format, but for tokens, which stay what they are.
DataSource choose_source(const ModelDescription &model, const DataSource &program,
                         const std::string &path, const std::string &targets) {
  if (path.empty())
    return program;
  DataSource source = program;
  source.targets = targets;
  source.path = path;
  if (is_tokens(program))
    return source;
  bool npy =
      ends_in(path, ".npy") || (program.kind == DataSource::Kind::npy && !ends_in(path, ".csv"));
  source.kind = npy ? DataSource::Kind::npy : DataSource::Kind::csv;
  // A model of several inputs takes a NumPy file each: a.npy,b.npy.
  std::vector<std::string> paths = {path};
  if (npy && model.inputs.size() > 1)
    paths = split_at_commas(path);
  source.path = paths.front();
  source.more_paths.assign(paths.begin() + 1, paths.end());
  return source;
}

TrainingSettings choose_settings(const ModelDescription &model, const Options &options,
                                 const std::optional<Checkpoint> &resumed) {
  const TrainingDefaults &program = model.training;
  TrainingSettings settings{program.epochs, program.batch,     program.shuffle,
                            program.seed,   program.optimizer, program.schedule};
  if (resumed)
    settings = resumed->settings();
  settings.epochs = options.epochs.value_or(settings.epochs);
  settings.batch = options.batch.value_or(settings.batch);
  settings.shuffle = options.shuffle.value_or(settings.shuffle);
  settings.seed = options.seed.value_or(settings.seed);
  OptimizerSettings &optimizer = settings.optimizer;
  optimizer.lr = options.lr.value_or(optimizer.lr);
  optimizer.momentum = options.momentum.value_or(optimizer.momentum);
  optimizer.eps = options.eps.value_or(optimizer.eps);
  optimizer.weight_decay = options.weight_decay.value_or(optimizer.weight_decay);
  optimizer.alpha = options.alpha.value_or(optimizer.alpha);
  optimizer.lr_decay = options.lr_decay.value_or(optimizer.lr_decay);
  optimizer.clip_norm = options.clip_norm.value_or(optimizer.clip_norm);
  settings.schedule.warmup = options.warmup.value_or(settings.schedule.warmup);
  settings.schedule.steps = options.schedule_steps.value_or(settings.schedule.steps);
  if (options.betas)
    std::tie(optimizer.beta1, optimizer.beta2) = *options.betas;

  // Inside an epoch the checkpoint stands at a batch, whose rows must stay the same.
  if (resumed && settings.seed != resumed->settings().seed)
    fail(options.resume + " was begun with seed " + std::to_string(resumed->settings().seed) +
         ", which --seed cannot change");
  if (resumed && resumed->state().batch > 0 && settings.batch != resumed->settings().batch)
    fail(options.resume + " stands inside an epoch in batches of " +
         std::to_string(resumed->settings().batch) + " rows, which --batch cannot change");
  if (resumed && resumed->state().batch > 0 && settings.shuffle != resumed->settings().shuffle)
    fail(options.resume + " stands inside an epoch, whose order --shuffle cannot change");
  return settings;
}

// The rows to train on and to test on. A test file of its own leaves all rows of the first to
// training.
struct Data {
  Dataset train;
  std::optional<Dataset> test;
};

Data load_data(const ModelDescription &model, const Options &options) {
  DataSource train = choose_source(model, model.training.data, options.data, options.targets);
  // A test file that the program does not know is of the kind of the rows to train on.
  const DataSource &known = model.training.test_data.kind == DataSource::Kind::none
                                ? model.training.data
                                : model.training.test_data;
  DataSource test;
  if (!options.test_data.empty())
    test = choose_source(model, known, options.test_data, options.test_targets);
  else
    test = model.training.test_data;
  Dataset rows = load_dataset(train, model, true);
  if (test.kind != DataSource::Kind::none)
    return {rows, load_dataset(test, model, true)};
  auto [first, last] = split_dataset(rows, train.test);
  if (first.rows() == 0)
    fail(train.path + ": no rows are left to train on: all " + std::to_string(rows.rows()) +
         " are the test set");
  if (last.rows() == 0 && train.test > 0 && is_tokens(train))
    fail(train.path + ": the test part, " + shortest(train.test) + " of " +
         std::to_string(rows.rows()) + " rows, is empty");
  if (last.rows() == 0)
    return {first, std::nullopt};
  return {first, last};
}

// Prints a line and makes sure that it has arrived.
void print_line(const std::string &line) {
  if (std::printf("%s\n", line.c_str()) < 0 || std::fflush(stdout) != 0)
    fail(std::string("cannot write to standard output: ") + std::strerror(errno));
}

// Those of the loss itself: where it was scaled, so are those that the devices hold.
void dump_gradients(const std::string &path, const Model &model) {
  const ModelDescription &description = model.description();
  const float scale = description.scales_loss ? model.loss_scaling().gradient_scale : 1;
  std::vector<std::vector<float>> unscaled;
  SafetensorsContent content;
  for (size_t i = 0; i < description.parameters.size(); ++i) {
    const ParameterDescription &parameter = description.parameters[i];
    if (parameter.offset >= description.devices[parameter.device].trained_floats)
      continue;
    std::vector<TensorPiece> pieces = model.gradient_pieces(i);
    for (TensorPiece &piece : pieces) {
      const auto *gradient = static_cast<const float *>(piece.data);
      std::vector<float> &values =
          unscaled.emplace_back(gradient, gradient + piece.bytes / int64_t(sizeof(float)));
      for (float &value : values)
        value /= scale;
      piece.data = values.data();
    }
    content.tensors.push_back({parameter.name, "F32", parameter.shape, nullptr, pieces});
  }
  write_safetensors(path, content, model.world());
}

void run_benchmark(Model &model, const Dataset &train, const TrainingSettings &settings,
                   int64_t steps) {
  using Clock = std::chrono::steady_clock;
  DataLoader loader(train, settings.batch, settings.shuffle);
  loader.start(model.generator());
  model.run_steps() = std::max<int64_t>(1, settings.epochs) * loader.batches();
  Batch batch = loader.batch(0);
  // The first steps fault pages in and let libraries choose their kernels.
  for (int64_t i = 0; i < std::clamp<int64_t>(steps / 10, 3, 100); ++i)
    model.train_step(batch);
  std::vector<double> times;
  for (int64_t i = 0; i < steps; ++i) {
    Clock::time_point start = Clock::now();
    model.train_step(batch);
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  char line[64];
  std::snprintf(line, sizeof line, "median step: %.1f us", times[times.size() / 2]);
  if (is_lead(model.world()))
    print_line(line);
}

// Column names: the output's own, numbered where a row has several values.
std::string prediction_header(const PortDescription &output, int64_t columns) {
  std::string name = output.name.empty() ? "output" : output.name;
  std::string header;
  for (int64_t i = 0; i < columns; ++i)
    header += (i ? "," : "") + name + (columns > 1 ? std::to_string(i + 1) : "");
  return header + "\n";
}

std::string value_text(const PortDescription &output, const void *values, int64_t index) {
  switch (output.type) {
  case ElementType::f32:
    return shortest(static_cast<const float *>(values)[index]);
  case ElementType::i32:
    return std::to_string(static_cast<const int32_t *>(values)[index]);
  case ElementType::boolean:
    return static_cast<const bool *>(values)[index] ? "1" : "0";
  }
  return "";
}

void predict(Model &model, const Dataset &rows, const std::string &path) {
  const PortDescription &output = model.description().output;
  const bool lead = is_lead(model.world());
  int64_t columns = 1;
  for (int64_t extent : output.shape)
    columns *= extent;
  std::optional<OutputFile> file;
  if (lead)
    file.emplace(path).write(prediction_header(output, columns));
  DataLoader loader(rows, model.largest_batch(), false);
  for (int64_t index = 0; index < loader.batches(); ++index) {
    Batch batch = loader.batch(index);
    const void *values = model.predict(batch);
    if (!lead)
      continue;
    std::string text;
    for (int64_t i = 0; i < batch.rows * columns; ++i) {
      text += value_text(output, values, i);
      text += (i + 1) % columns == 0 ? '\n' : ',';
    }
    file->write(text);
  }
  if (lead)
    file->commit();
}

// On a terminal, bytes that would be commands to it are shown as question marks.
void print_text(Model &model, const GenerationSettings &settings) {
  bool terminal = isatty(STDOUT_FILENO) == 1;
  const bool lead = is_lead(model.world());
  generate(model, settings, [&](std::string_view text) {
    if (!lead)
      return;
    for (char c : text)
      std::putchar(terminal && (c == '\x7f' || (c >= 0 && c < ' ' && c != '\n' && c != '\t')) ? '?'
                                                                                              : c);
    if (terminal)
      std::fflush(stdout);
  });
  if (lead)
    print_line("");
}

void write_losses(const std::string &path, const std::vector<float> &losses) {
  OutputFile file(path);
  for (float loss : losses)
    file.write(shortest(loss) + "\n");
  file.commit();
}

void train_and_report(Model &model, const Data &data, const TrainingSettings &settings,
                      const Options &options, TrainingState &state) {
  Progress progress(!options.quiet);
  std::vector<float> losses;
  std::optional<Trace> trace;
  if (!options.trace.empty())
    trace.emplace(model);
  bool gradients_due = !options.dump_gradients.empty();
  int64_t skipped_steps = model.loss_scaling().skipped_steps;
  TrainingHooks hooks;
  hooks.checkpoint = options.checkpoint;
  hooks.checkpoint_every = options.every;
  hooks.before_step = [&](int64_t rows) {
    if (trace)
      trace->begin_whole_step(rows);
  };
  hooks.on_step = [&](int64_t epoch, int64_t batch, int64_t batches, float loss) {
    if (trace)
      trace->end_whole_step();
    progress.update(epoch, settings.epochs, batch, batches, loss);
    if (!options.dump_losses.empty())
      losses.push_back(loss);
    const bool skipped = std::exchange(skipped_steps, model.loss_scaling().skipped_steps) !=
                         model.loss_scaling().skipped_steps;
    if (gradients_due && !skipped) {
      dump_gradients(options.dump_gradients, model);
      gradients_due = false;
    }
  };
  hooks.on_epoch = [&](int64_t epoch, const EpochResult &result) {
    progress.clear();
    if (!options.quiet)
      print_line(epoch_line(epoch, result));
  };
  train(model, data.train, data.test, settings, hooks, state);
  if (trace) {
    trace->write(options.trace);
    if (!options.quiet)
      print_line(summary_line(trace->summarize()));
  }
  if (!options.dump_losses.empty())
    write_losses(options.dump_losses, losses);
  if (!options.history.empty())
    write_history(options.history, state.history);
  if (!options.plot.empty())
    write_plot(options.plot, model.description().name, state.history);
}

// Turns are what workers carry out: where they are to be seen and the calling thread works all
// devices, it does so as their one worker.
std::string choose_devices(const ModelDescription &description, const Options &options) {
  const bool turns =
      !description.schedule.turns.empty() && !options.trace.empty() && !options.check;
  const bool alone =
      turns && map_devices(options.devices,
                           static_cast<int>(description.devices.size()) * description.replicas)
                   .is_plain();
  if (!alone || options.threads > 1)
    return options.devices;
  return "cpu:" + std::to_string(sched_getcpu());
}

// What a run needs, all of it checked before training begins.
struct Run {
  std::optional<Checkpoint> resumed;
  TrainingSettings settings;
  std::optional<GenerationSettings> generation;
  std::optional<Data> data;
  std::optional<Dataset> prediction_rows;
  std::unique_ptr<Model> model;
};

void prepare(const ModelDescription &description, ModelFactory make, const Options &options,
             World *world, Run &run) {
  // What cannot be written at the end of a run is said at its start.
  for (const std::string *path :
       {&options.save, &options.checkpoint, &options.output, &options.history, &options.plot,
        &options.trace, &options.dump_losses, &options.dump_gradients})
    if (!path->empty())
      check_writable(*path);
  if (world && !options.trace.empty())
    fail("--trace: this version follows runs of one process; this one has " +
         std::to_string(world->size()));

  if (!options.resume.empty())
    run.resumed.emplace(options.resume, description);
  const TrainingSettings &settings = run.settings =
      choose_settings(description, options, run.resumed);
  if (options.generate)
    run.generation = {read_prompt(description, *options.generate), options.tokens.value_or(256),
                      options.temperature.value_or(1), options.top_k.value_or(0), settings.seed};
  if (!trains_nothing(options))
    run.data = load_data(description, options);
  if (!options.predict.empty())
    run.prediction_rows =
        load_dataset(choose_source(description, description.training.data, options.predict, ""),
                     description, false);
  if (run.resumed && run.data && run.resumed->state().batch > 0 &&
      run.resumed->state().train_rows != run.data->train.rows())
    fail(options.resume + " stands inside an epoch of " +
         std::to_string(run.resumed->state().train_rows) + " rows; the data has " +
         std::to_string(run.data->train.rows()));

  int64_t most_rows = 1;
  if (run.data)
    most_rows = std::max(run.data->train.rows(), run.data->test ? run.data->test->rows() : 0);
  if (run.prediction_rows)
    most_rows = std::max(most_rows, run.prediction_rows->rows());
  Settings model_settings;
  model_settings.world = world;
  model_settings.devices = world ? options.devices : choose_devices(description, options);
  model_settings.threads = options.threads;
  model_settings.check = options.check;
  model_settings.timeout = options.timeout;
  model_settings.batch = std::min(settings.batch, most_rows);
  model_settings.seed = settings.seed;
  model_settings.optimizer = settings.optimizer;
  model_settings.schedule = settings.schedule;
  run.model = make(model_settings);
  if (!options.load.empty())
    run.model->load(options.load,
                    options.load_layout == "gpt2" ? WeightLayout::gpt2 : WeightLayout::plain);
  if (run.resumed)
    run.resumed->restore(*run.model);
  if (options.loss_scale)
    run.model->loss_scaling().scale = static_cast<float>(*options.loss_scale);
}

void carry_out(const ModelDescription &description, ModelFactory make, const Options &options,
               World *world) {
  Run run;
  together(world, [&] { prepare(description, make, options, world, run); });
  if (options.benchmark_steps > 0 && run.data) {
    run_benchmark(*run.model, run.data->train, run.settings, options.benchmark_steps);
    return;
  }
  if (run.data) {
    TrainingState state = run.resumed ? run.resumed->state() : TrainingState{};
    train_and_report(*run.model, *run.data, run.settings, options, state);
  }
  if (!options.save.empty())
    run.model->save(options.save);
  if (run.prediction_rows)
    predict(*run.model, *run.prediction_rows, options.output);
  if (run.generation)
    print_text(*run.model, *run.generation);
}

} // namespace

int run_program(int argc, char **argv, const ModelDescription &description, ModelFactory make) {
  // A file past a limit on its size is then an error of `write`, as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  flush_denormals();
  std::unique_ptr<World> world;
  std::string error;
  try {
    const Launch launch = find_launch();
    Options options;
    std::string wrong;
    const std::optional<int> status =
        parse_command_line(argc, argv, description, launch, options, wrong);
    if (status == 0)
      return 0;
    if (launch.size > 1) {
      world = open_world(launch, options.timeout);
      agree(*world, wrong, argc, argv);
    } else if (status) {
      throw WrongUse(wrong);
    }
    if (world && world->rank() > 0) { // who speaks is rank 0
      options.quiet = true;
      for (std::string *path : {&options.history, &options.plot, &options.dump_losses})
        path->clear();
    }
    carry_out(description, make, options, world.get());
    if (world)
      world->close();
    return 0;
  } catch (const Stopped &) {
    world->acknowledge();
    return 1;
  } catch (const WrongUse &use) {
    say(world.get(), use.what());
    return 2;
  } catch (const std::bad_alloc &) {
    say(world.get(), "not enough memory");
  } catch (const std::exception &failure) {
    say(world.get(), failure.what());
  }
  return 1;
}

} // namespace mpar
