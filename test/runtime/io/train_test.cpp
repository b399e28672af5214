// The training loop, models and checkpoints in process.
#include "linear_model.h"
#include "temporary.h"

#include "mpar/train.h"

#include <gtest/gtest.h>

#include <limits>

namespace {

using mpar::Dataset;
using mpar::ElementType;
using mpar::Table;
using mpar::TrainingSettings;
using mpar::TrainingState;

std::shared_ptr<const Table> make_table(int64_t rows, int64_t columns) {
  Table table{rows, columns, std::vector<uint32_t>(rows * columns)};
  for (int64_t i = 0; i < rows * columns; ++i) {
    float value = static_cast<float>((i * 37) % 101 - 50) / 50;
    std::memcpy(&table.cells[i], &value, 4);
  }
  return std::make_shared<const Table>(std::move(table));
}

Dataset make_dataset(int64_t rows) {
  auto table = make_table(rows, 5);
  return {{{table, 0, 3, ElementType::f32}}, {{table, 3, 2, ElementType::f32}}};
}

struct Training {
  explicit Training(mpar::OptimizerSettings optimizer = test::adam_settings(),
                    mpar::LearningRateSchedule schedule = {})
      : description(describe(optimizer, schedule)), model(description, {}) {
    settings.epochs = 3;
    settings.batch = 4;
    settings.optimizer = optimizer;
    settings.schedule = schedule;
  }
  static mpar::ModelDescription describe(mpar::OptimizerSettings optimizer,
                                         mpar::LearningRateSchedule schedule) {
    mpar::ModelDescription description = test::linear_description(3, 2, optimizer);
    description.training.schedule = schedule;
    return description;
  }
  std::vector<float> parameters() {
    mpar::Device &device = model.machine().device(0);
    return {device.parameters(), device.parameters() + device.description().parameter_floats};
  }

  mpar::ModelDescription description;
  test::LinearModel model;
  TrainingSettings settings;
  TrainingState state;
};

// Trains with a checkpoint every `every` steps and stops, as if killed, after `steps`.
void train_until(Training &run, const std::string &checkpoint, int64_t every, int64_t steps) {
  mpar::TrainingHooks hooks;
  hooks.checkpoint = checkpoint;
  hooks.checkpoint_every = every;
  hooks.on_step = [&](int64_t, int64_t, int64_t, float) {
    if (run.model.step() > steps)
      mpar::fail("stopped");
  };
  auto train = [&] {
    mpar::train(run.model, make_dataset(23), make_dataset(7), run.settings, hooks, run.state);
  };
  EXPECT_EQ("stopped", test::failure(train));
}

std::vector<mpar::OptimizerSettings> optimizers() {
  using Kind = mpar::OptimizerSettings::Kind;
  auto adagrad = test::settings_of(Kind::adagrad, 0.1);
  adagrad.lr_decay = 0.1;
  adagrad.initial_accumulator_value = 0.5;
  auto rmsprop = test::settings_of(Kind::rmsprop, 0.01);
  rmsprop.momentum = 0.5;
  rmsprop.centered = true;
  auto nesterov = test::sgd_settings(0.1, 0.9);
  nesterov.nesterov = true;
  return {test::adam_settings(),
          test::sgd_settings(0.1, 0.9),
          test::sgd_settings(0.1),
          adagrad,
          rmsprop,
          nesterov};
}

TEST(Checkpoint, ResumesExactlyFromEveryStep) {
  test::TemporaryDirectory directory;
  std::string path = directory.path("c");
  mpar::LearningRateSchedule cosine; // as long as the run
  cosine.kind = mpar::LearningRateSchedule::Kind::cosine;
  cosine.warmup = 5;
  for (const mpar::OptimizerSettings &optimizer : optimizers())
    for (bool shuffle : {true, false}) {
      const mpar::LearningRateSchedule schedule = shuffle ? cosine : mpar::LearningRateSchedule{};
      Training whole(optimizer, schedule);
      whole.settings.shuffle = shuffle;
      mpar::train(whole.model, make_dataset(23), make_dataset(7), whole.settings, {}, whole.state);
      for (int64_t steps = 1; steps < 18; ++steps) { // 6 batches an epoch
        Training killed(optimizer, schedule);
        killed.settings.shuffle = shuffle;
        train_until(killed, path, 1, steps);

        Training resumed(optimizer, schedule);
        mpar::Checkpoint checkpoint(path, resumed.description);
        checkpoint.restore(resumed.model);
        EXPECT_EQ(steps, resumed.model.step());
        resumed.state = checkpoint.state();
        mpar::train(resumed.model, make_dataset(23), make_dataset(7), checkpoint.settings(), {},
                    resumed.state);
        ASSERT_EQ(whole.parameters(), resumed.parameters()) << "after step " << steps;
        ASSERT_EQ(whole.state.history.size(), resumed.state.history.size());
        for (size_t i = 0; i < 3; ++i) {
          EXPECT_EQ(whole.state.history[i].train_loss, resumed.state.history[i].train_loss);
          EXPECT_EQ(whole.state.history[i].lr, resumed.state.history[i].lr);
          EXPECT_EQ(whole.state.history[i].test_loss, resumed.state.history[i].test_loss);
        }
      }
    }
}

TEST(Checkpoint, KeepsHyperparametersAndName) {
  test::TemporaryDirectory directory;
  Training run(test::adam_settings(0.1));
  run.settings.optimizer.beta2 = 0.98765;
  run.settings.optimizer.clip_norm = 0.75;
  run.settings.optimizer.nesterov = true;
  run.settings.schedule.kind = mpar::LearningRateSchedule::Kind::linear;
  run.settings.schedule.warmup = 17;
  run.settings.schedule.end_factor = 0.1;
  run.settings.seed = std::numeric_limits<uint64_t>::max();
  train_until(run, directory.path("c"), 2, 3);
  mpar::Checkpoint checkpoint(directory.path("c"), run.description);
  EXPECT_EQ(0.1, checkpoint.settings().optimizer.lr);
  EXPECT_EQ(0.98765, checkpoint.settings().optimizer.beta2);
  EXPECT_EQ(0.75, checkpoint.settings().optimizer.clip_norm);
  EXPECT_TRUE(checkpoint.settings().optimizer.nesterov);
  EXPECT_EQ(mpar::LearningRateSchedule::Kind::linear, checkpoint.settings().schedule.kind);
  EXPECT_EQ(17, checkpoint.settings().schedule.warmup);
  EXPECT_EQ(0.1, checkpoint.settings().schedule.end_factor);
  EXPECT_EQ(run.settings.seed, checkpoint.settings().seed);
  EXPECT_EQ(2, checkpoint.state().batch);
  mpar::ModelDescription other = run.description;
  other.name = "Curve";
  EXPECT_EQ(
      " is a checkpoint of the model Line; expected Curve",
      test::failure([&] { mpar::Checkpoint(directory.path("c"), other); }, directory.path("c")));
}

// Every text of a checkpoint broken in turn: each is an error, none is trusted.
TEST(Checkpoint, TrustsNoText) {
  test::TemporaryDirectory directory;
  Training run;
  train_until(run, directory.path("c"), 1, 8);
  mpar::SafetensorsReader reader(directory.path("c"));
  std::vector<std::vector<double>> storage; // wide enough for each tensor
  mpar::SafetensorsContent content;
  for (const auto &[name, entry] : reader.tensors()) {
    storage.emplace_back(entry.end - entry.begin);
    reader.read(entry, storage.back().data());
    content.tensors.push_back({name, entry.type, entry.shape, storage.back().data()});
  }
  auto failure = [&] {
    mpar::write_safetensors(directory.path("b"), content);
    return test::failure([&] {
      mpar::Checkpoint checkpoint(directory.path("b"), run.description);
      checkpoint.restore(run.model);
    });
  };
  for (const auto &text : reader.metadata())
    content.metadata.push_back(text);
  ASSERT_EQ("", failure());
  for (size_t i = 0; i < content.metadata.size(); ++i) {
    auto kept = content.metadata[i];
    if (kept.first == "mparc.generator_next")
      content.metadata[i].second = "625";
    else
      content.metadata[i].second = "x";
    EXPECT_NE("", failure()) << kept.first;
    content.metadata[i] = kept;
    content.metadata.erase(content.metadata.begin() + static_cast<long>(i));
    EXPECT_NE("", failure()) << kept.first;
    content.metadata.insert(content.metadata.begin() + static_cast<long>(i), kept);
  }
  for (size_t i = 0; i < content.tensors.size(); ++i) {
    auto kept = content.tensors[i];
    content.tensors.erase(content.tensors.begin() + static_cast<long>(i));
    EXPECT_NE("", failure()) << kept.name;
    content.tensors.insert(content.tensors.begin() + static_cast<long>(i), kept);
    content.tensors[i].type = "I32";
    EXPECT_NE("", failure()) << kept.name;
    content.tensors[i] = kept;
  }
  content.tensors.push_back({"another", "U8", {}, ""});
  EXPECT_NE(std::string::npos, failure().find("1 tensors that the model has not"));
}

TEST(Model, LoadsWhatItSavedAndNothingElse) {
  test::TemporaryDirectory directory;
  Training run;
  run.model.save(directory.path("m"));
  std::vector<float> saved = run.parameters();
  run.model.initialize(5);
  EXPECT_NE(saved, run.parameters());
  run.model.load(directory.path("m"));
  EXPECT_EQ(saved, run.parameters());

  float values[6] = {};
  mpar::write_safetensors(
      directory.path("other"),
      {{{"layer.weight", "F32", {3, 2}, values}, {"la\nyer.bia", "F32", {2}, values}}, {}});
  EXPECT_EQ(
      " does not fit Line: layer.weight is [3, 2], expected [2, 3]; layer.bias is missing; "
      "la?yer.bia is in none of its layers",
      test::failure([&] { run.model.load(directory.path("other")); }, directory.path("other")));
  mpar::write_safetensors(
      directory.path("other"),
      {{{"layer.weight", "I32", {2, 3}, values}, {"layer.bias", "F32", {2}, values}}, {}});
  EXPECT_EQ(
      " does not fit Line: layer.weight is of type I32, expected F32",
      test::failure([&] { run.model.load(directory.path("other")); }, directory.path("other")));
  EXPECT_EQ(saved, run.parameters());
}

TEST(Model, LoadsNumbersOfOtherSizes) {
  test::TemporaryDirectory directory;
  std::string path = directory.path("m");
  Training run;
  const double wide[] = {1, -2, 0.5, 1e-3, 4, 1e10};
  const uint16_t bias[] = {0x3f80, 0xc000}; // bf16: 1, -2
  mpar::write_safetensors(
      path, {{{"layer.weight", "F64", {2, 3}, wide}, {"layer.bias", "BF16", {2}, bias}}, {}});
  run.model.load(path);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(static_cast<float>(wide[i]), run.model.parameter(0)[i]);
  EXPECT_EQ(1, run.model.parameter(1)[0]);
  EXPECT_EQ(-2, run.model.parameter(1)[1]);
}

TEST(Model, LoadsWhatIsStoredAsGpt2Is) {
  test::TemporaryDirectory directory;
  std::string path = directory.path("m");
  mpar::ModelDescription description = test::linear_description(3, 2, test::adam_settings());
  description.parameters[0].name = "h.0.mlp.c_fc.weight";
  description.parameters[1].name = "h.0.mlp.c_fc.bias";
  test::LinearModel model(description, {});
  const std::vector<float> stored = {1, 2, 3, 4, 5, 6}, turned = {1, 3, 5, 2, 4, 6}, bias = {7, 8};
  mpar::write_safetensors(path, {{{"transformer.h.0.mlp.c_fc.weight", "F32", {3, 2}, stored.data()},
                                  {"transformer.h.0.mlp.c_fc.bias", "F32", {2}, bias.data()},
                                  {"transformer.h.0.attn.bias", "F32", {1, 1, 1, 2}, bias.data()},
                                  {"transformer.h.0.attn.masked_bias", "F32", {}, bias.data()}},
                                 {}});
  model.load(path, mpar::WeightLayout::gpt2);
  EXPECT_EQ(turned, std::vector<float>(model.parameter(0), model.parameter(0) + 6));
  EXPECT_EQ(bias, std::vector<float>(model.parameter(1), model.parameter(1) + 2));
  EXPECT_NE("", test::failure([&] { model.load(path); }, path));
  mpar::write_safetensors(path, {{{"h.0.mlp.c_fc.weight", "F32", {2, 3}, stored.data()},
                                  {"h.0.mlp.c_fc.bias", "F32", {2}, bias.data()}},
                                 {}});
  EXPECT_EQ(" does not fit Line: h.0.mlp.c_fc.weight is [2, 3], expected [3, 2]",
            test::failure([&] { model.load(path, mpar::WeightLayout::gpt2); }, path));
}

TEST(Model, LoadsGpt2IntoALayerOfTheModel) {
  test::TemporaryDirectory directory;
  std::string path = directory.path("m");
  const std::vector<float> words = {1, 2, 3, 4, 5, 6}, bias = {7, 8};
  // The path of the layer, and how the file names its tensors.
  const std::pair<std::string, std::string> names[] = {{"gpt.", ""},
                                                       {"gpt.", "transformer."},
                                                       {"transformer.", "transformer."},
                                                       {"", "transformer."}};
  for (const auto &[layer, prefix] : names) {
    mpar::ModelDescription description = test::linear_description(3, 2, test::adam_settings());
    description.parameters[0].name = layer + "wte.weight";
    description.parameters[0].also = {"lm_head.weight"};
    description.parameters[1].name = layer + "ln_f.bias";
    test::LinearModel model(description, {});
    mpar::write_safetensors(path, {{{prefix + "wte.weight", "F32", {2, 3}, words.data()},
                                    {"lm_head.weight", "F32", {2, 3}, words.data()},
                                    {prefix + "ln_f.bias", "F32", {2}, bias.data()}},
                                   {}});
    model.load(path, mpar::WeightLayout::gpt2);
    EXPECT_EQ(words, std::vector<float>(model.parameter(0), model.parameter(0) + 6));
    EXPECT_EQ(bias, std::vector<float>(model.parameter(1), model.parameter(1) + 2));
  }
}

TEST(Model, HasATiedParameterUnderEachOfItsNames) {
  test::TemporaryDirectory directory;
  std::string path = directory.path("m");
  mpar::ModelDescription description = test::linear_description(3, 2, test::adam_settings());
  description.parameters[0].also = {"head.weight", "again.weight"};
  test::LinearModel model(description, {});
  model.save(path);
  mpar::SafetensorsReader reader(path);
  EXPECT_EQ(4u, reader.tensors().size());

  // One of the names is enough; those that are there must agree.
  std::vector<float> values = {1, 2, 3, 4, 5, 6}, others = {1, 2, 3, 4, 5, 7}, bias = {7, 8};
  mpar::write_safetensors(path, {{{"layer.bias", "F32", {2}, bias.data()},
                                  {"again.weight", "F32", {2, 3}, values.data()}},
                                 {}});
  model.load(path);
  EXPECT_EQ(values, std::vector<float>(model.parameter(0), model.parameter(0) + 6));
  mpar::write_safetensors(path, {{{"layer.bias", "F32", {2}, bias.data()},
                                  {"again.weight", "F32", {2, 3}, others.data()},
                                  {"head.weight", "F32", {2, 3}, values.data()}},
                                 {}});
  EXPECT_EQ(" does not fit Line: again.weight differs from head.weight, which is tied to it",
            test::failure([&] { model.load(path); }, path));
  mpar::write_safetensors(path, {{{"layer.bias", "F32", {2}, bias.data()},
                                  {"again.weight", "F32", {3, 2}, values.data()}},
                                 {}});
  EXPECT_EQ(" does not fit Line: again.weight is [3, 2], expected [2, 3]",
            test::failure([&] { model.load(path); }, path));
  mpar::write_safetensors(path, {{{"layer.bias", "F32", {2}, bias.data()}}, {}});
  EXPECT_EQ(" does not fit Line: layer.weight is missing",
            test::failure([&] { model.load(path); }, path));
  EXPECT_EQ(values, std::vector<float>(model.parameter(0), model.parameter(0) + 6));
}

TEST(Model, InitializesFromTheSeedAndForgetsTheOptimizer) {
  Training run;
  std::vector<float> first = run.parameters();
  mpar::train(run.model, make_dataset(23), std::nullopt, run.settings, {}, run.state);
  EXPECT_NE(first, run.parameters());
  EXPECT_EQ(18, run.model.step());
  run.model.initialize(0);
  EXPECT_EQ(first, run.parameters());
  EXPECT_EQ(0, run.model.step());
  for (int slot = 0; slot < 2; ++slot)
    EXPECT_EQ(0, run.model.machine().device(0).state(slot)[0]);
}

TEST(Model, TakesTheProgramsSeedWhereNoneIsAsked) {
  mpar::ModelDescription description = test::linear_description(3, 2, test::adam_settings());
  description.training.seed = 9;
  test::LinearModel program(description, {});
  EXPECT_EQ(9u, program.seed());
  mpar::Settings settings;
  settings.seed = 4;
  EXPECT_EQ(4u, test::LinearModel(description, settings).seed());
}

TEST(Model, RefusesBatchesItHasNoRoomFor) {
  Training run;
  mpar::Batch batch;
  batch.inputs = {nullptr};
  EXPECT_EQ("a batch of 0 rows; this model takes 1 to 32",
            test::failure([&] { run.model.predict(batch); }));
  batch.rows = 33;
  EXPECT_EQ("a batch of 33 rows; this model takes 1 to 32",
            test::failure([&] { run.model.predict(batch); }));
}

TEST(DataLoader, BatchesAreTheRows) {
  mpar::Generator generator(1);
  mpar::DataLoader loader(make_dataset(23).slice(2, 10), 4, true);
  loader.start(generator);
  ASSERT_EQ(3, loader.batches());
  std::vector<int> seen(12);
  for (int64_t index = 0; index < 3; ++index) {
    mpar::Batch batch = loader.batch(index);
    ASSERT_EQ(index < 2 ? 4 : 2, batch.rows);
    for (int64_t row = 0; row < batch.rows; ++row)
      for (int64_t source = 2; source < 12; ++source) {
        auto table = make_table(23, 5);
        seen[source] += std::memcmp(static_cast<const float *>(batch.inputs[0]) + 3 * row,
                                    table->cells.data() + 5 * source, 12) == 0 &&
                        std::memcmp(static_cast<const float *>(batch.target) + 2 * row,
                                    table->cells.data() + 5 * source + 3, 8) == 0;
      }
  }
  EXPECT_EQ((std::vector<int>{0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}), seen);
}

TEST(Accuracy, CountsTheFirstLargest) {
  mpar::ModelDescription description = test::linear_description(1, 3, test::adam_settings(), 3);
  float output[] = {1, 2, 2, 0, 0, 0, NAN, 5, 6};
  int32_t target[] = {1, 0, 0};
  EXPECT_EQ(3, mpar::count_correct(description, 3, output, target));
  target[0] = 2;
  EXPECT_EQ(2, mpar::count_correct(description, 3, output, target));
}

} // namespace
