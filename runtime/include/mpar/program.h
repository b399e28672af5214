// The command line of an emitted program.
#pragma once

#include "mpar/model.h"
#include "mpar/world.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace mpar {

/// What the command line says; what it leaves open is empty and comes from the program or from a
/// checkpoint.
struct Options {
  std::string data, targets, test_data, test_targets;
  std::optional<int64_t> epochs, batch;
  std::optional<bool> shuffle;
  std::optional<uint64_t> seed;
  std::optional<double> lr, momentum, eps, weight_decay, alpha, lr_decay, clip_norm, loss_scale;
  std::optional<int64_t> warmup, schedule_steps;
  std::optional<std::pair<double, double>> betas;
  std::string devices = "auto";
  int threads = 1;
  double timeout = default_timeout;
  std::string save, load, checkpoint, resume;
  std::string load_layout = "plain";
  int64_t every = 0;
  std::string predict, output;
  std::optional<std::string> generate;
  std::optional<int64_t> tokens, top_k;
  std::optional<double> temperature;
  std::string history, plot;
  std::string trace, dump_losses, dump_gradients;
  int64_t benchmark_steps = 0;
  bool check = false;
  bool no_graph = false;
  bool tf32 = false;
  bool no_resident_data = false;
  bool quiet = false;
};

/// Whether the command line asks only for what a model does that is there already: given
/// parameters, or no epochs to train before a text is generated, nothing is trained and no data is
/// read.
bool trains_nothing(const Options &options);

/// Reads the command line of one of several ranks. Returns no value where the program is to run,
/// else its exit status: 0 after --help and --version, which rank 0 prints, 2 after wrong use.
/// `wrong` is then the line that says what.
std::optional<int> parse_command_line(int argc, char **argv, const ModelDescription &model,
                                      const Launch &launch, Options &options, std::string &wrong);
/// The same where there is one process: what is wrong has been said on standard error.
std::optional<int> parse_command_line(int argc, char **argv, const ModelDescription &model,
                                      Options &options);

} // namespace mpar
