// What a program does before it trains: files are read, and the model is made.
#pragma once

#include "mpar/checkpoint.h"
#include "mpar/data_loader.h"
#include "mpar/generate.h"
#include "mpar/program.h"

#include <memory>
#include <optional>

namespace mpar {

/// The rows to train on and to test on. A test file of its own leaves all rows of the first to
/// training.
struct Data {
  Dataset train;
  std::optional<Dataset> test;
};

/// What a run needs, all of it checked before training begins.
struct Run {
  std::optional<Checkpoint> resumed;
  TrainingSettings settings;
  std::optional<GenerationSettings> generation;
  std::optional<Data> data;
  std::optional<Dataset> prediction_rows;
  std::unique_ptr<Model> model;
};

/// Whether this process is the one to speak.
bool is_lead(const World *world);

/// Reads what the command line and the program name, as far as this process needs it. What could
/// not be written at the end of the run is said here.
void read_files(const ModelDescription &description, const Options &options, World *world,
                Run &run);

/// Tells processes that read no data how many rows there are, and holds the others to one another.
void share_rows(const ModelDescription &description, const Options &options, World &world,
                Run &run);

/// Makes the model and gives it the parameters it is to begin with. Talks to no other process.
void make_model(const ModelDescription &description, ModelFactory make, const Options &options,
                World *world, Run &run);

} // namespace mpar
