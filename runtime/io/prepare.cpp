#include "prepare.h"

#include "mpar/errors.h"
#include "mpar/world.h"

#include <algorithm>
#include <cstring>
#include <sched.h>
#include <set>
#include <tuple>

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
  if (!npy && !targets.empty())
    fail(path + " is read as CSV, with the targets in its own columns: " + targets +
         " would not be read");
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

Data load_data(const ModelDescription &model, const Options &options, const Reads &reads) {
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
  Dataset rows = load_dataset(train, model, true, reads);
  if (test.kind != DataSource::Kind::none)
    return {rows, load_dataset(test, model, true, reads)};
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

// Whether this process reads a port: one of its devices does, in any replica.
Reads ports_of(const World *world, const ModelDescription &description, const Options &options) {
  std::set<int> devices;
  const auto each = static_cast<int>(description.devices.size());
  const DeviceMap map = map_devices(options.devices, each * description.replicas,
                                    world ? world->process() : Process());
  for (size_t device = 0; device < map.ranks.size(); ++device)
    if (!world || map.ranks[device] == world->rank())
      devices.insert(static_cast<int>(device) % each);
  return [devices](const PortDescription &port) {
    return port.devices.empty() ||
           std::any_of(port.devices.begin(), port.devices.end(),
                       [&](int device) { return devices.count(device) > 0; });
  };
}

} // namespace

bool is_lead(const World *world) { return !world || world->rank() == 0; }

void read_files(const ModelDescription &description, const Options &options, World *world,
                Run &run) {
  // What cannot be written at the end of a run is said at its start.
  for (const std::string *path :
       {&options.save, &options.checkpoint, &options.output, &options.history, &options.plot,
        &options.trace, &options.dump_losses, &options.dump_gradients})
    if (!path->empty())
      check_writable(*path);
  if (!options.resume.empty())
    run.resumed.emplace(options.resume, description);
  run.settings = choose_settings(description, options, run.resumed);
  if (options.generate)
    run.generation = {read_prompt(description, *options.generate), options.tokens.value_or(256),
                      options.temperature.value_or(1), options.top_k.value_or(0),
                      run.settings.seed};

  const Reads reads = ports_of(world, description, options);
  const bool reads_inputs =
      std::any_of(description.inputs.begin(), description.inputs.end(), reads);
  if (!trains_nothing(options) && (reads_inputs || reads(description.target)))
    run.data = load_data(description, options, reads);
  if (!options.predict.empty() && reads_inputs)
    run.prediction_rows =
        load_dataset(choose_source(description, description.training.data, options.predict, ""),
                     description, false, reads);
}

void share_rows(const ModelDescription &description, const Options &options, World &world,
                Run &run) {
  constexpr int count = 3;
  constexpr int64_t not_read = -2, none = -1;
  int64_t rows[count] = {not_read, not_read, not_read};
  if (run.data) {
    rows[0] = run.data->train.rows();
    rows[1] = run.data->test ? run.data->test->rows() : none;
  }
  if (run.prediction_rows)
    rows[2] = run.prediction_rows->rows();
  world.set_activity("to begin");
  const std::vector<std::string> all =
      world.gather({reinterpret_cast<const char *>(rows), sizeof rows});
  int64_t agreed[count + 1] = {not_read, not_read, not_read, none};
  for (size_t rank = 0; rank < all.size(); ++rank) {
    int64_t theirs[count];
    std::memcpy(theirs, all[rank].data(), sizeof theirs);
    for (int i = 0; i < count; ++i)
      if (theirs[i] != not_read && agreed[i] != not_read && agreed[i] != theirs[i])
        agreed[count] = static_cast<int64_t>(rank);
      else if (theirs[i] != not_read)
        agreed[i] = theirs[i];
  }
  world.broadcast(0, agreed, sizeof agreed);
  if (agreed[count] != none && is_lead(&world))
    fail("rank " + std::to_string(agreed[count]) + " has read other numbers of rows than others");
  if (agreed[count] != none)
    throw Stopped();
  if (!run.data && !trains_nothing(options)) {
    run.data.emplace(Data{{description, agreed[0]}, std::nullopt});
    if (agreed[1] != none)
      run.data->test.emplace(description, agreed[1]);
  }
  if (!run.prediction_rows && !options.predict.empty())
    run.prediction_rows.emplace(description, agreed[2]);
}

void make_model(const ModelDescription &description, ModelFactory make, const Options &options,
                World *world, Run &run) {
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
  Settings settings;
  settings.world = world;
  settings.devices = world ? options.devices : choose_devices(description, options);
  settings.threads = options.threads;
  settings.check = options.check;
  settings.graph = !options.no_graph;
  settings.tf32 = options.tf32;
  settings.timeout = options.timeout;
  settings.batch = std::min(run.settings.batch, most_rows);
  settings.seed = run.settings.seed;
  settings.optimizer = run.settings.optimizer;
  settings.schedule = run.settings.schedule;
  run.model = make(settings);
  if (!options.load.empty())
    run.model->load(options.load,
                    options.load_layout == "gpt2" ? WeightLayout::gpt2 : WeightLayout::plain);
  if (run.resumed)
    run.resumed->restore(*run.model);
  if (options.loss_scale)
    run.model->loss_scaling().scale = static_cast<float>(*options.loss_scale);
}

} // namespace mpar
