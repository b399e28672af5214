// The main of an emitted program, from the command line to the files it leaves.
#include "mpar/program.h"

#include "benchmark.h"
#include "mpar/checkpoint.h"
#include "mpar/data_loader.h"
#include "mpar/errors.h"
#include "mpar/generate.h"
#include "mpar/history.h"
#include "mpar/progress.h"
#include "mpar/resident.h"
#include "mpar/safetensors.h"
#include "mpar/trace.h"
#include "mpar/train.h"
#include "mpar/world.h"
#include "prepare.h"
#include "ranks.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <new>
#include <unistd.h>
#include <utility>

namespace mpar {

namespace {

// What any rank may fail at, or all do: one says why.
void together(World *world, const std::function<void()> &work) {
  if (!world)
    return work();
  world->set_activity("to begin");
  world->together(work);
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
      std::vector<float> &values = unscaled.emplace_back();
      visit_piece(piece, [&](const void *data, int64_t bytes) {
        const auto *gradient = static_cast<const float *>(data);
        values.insert(values.end(), gradient, gradient + bytes / int64_t(sizeof(float)));
      });
      for (float &value : values)
        value /= scale;
      piece.data = values.data();
      piece.device = nullptr;
    }
    content.tensors.push_back({parameter.name, "F32", parameter.shape, nullptr, pieces});
  }
  write_safetensors(path, content, model.world());
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
  if (trace)
    trace->gather_ranks();
  if (trace && is_lead(model.world())) {
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

// What the GPUs that read rows have room for they are given once, not step by step.
void bring_data(const Options &options, Run &run) {
  if (!run.data || !run.model->has_gpus() || options.no_resident_data)
    return;
  Data &data = *run.data;
  make_resident(*run.model, data.train);
  if (data.test)
    make_resident(*run.model, *data.test, &data.train);
  std::vector<std::string> too_large = data.train.resident()->too_large();
  if (data.test && data.test->resident() != data.train.resident())
    for (const std::string &line : data.test->resident()->too_large())
      too_large.push_back(line);
  for (size_t i = 0; !options.quiet && i < too_large.size(); ++i)
    std::fprintf(stderr, "note: %s; each batch is sent there\n", too_large[i].c_str());
}

// One program runs wherever it is copied to: where there is no GPU, it says so.
void say_where(const Options &options) {
  std::string why;
  if (is_built_for_gpus() && options.devices == "auto" && count_gpus(why) == 0)
    std::fprintf(stderr, "note: no GPU: %s; the processor does the work\n", why.c_str());
}

void choose_for_ranks(World &world, Options &options) {
  std::string why;
  options.devices = choose_for_ranks(world, why);
  if (is_lead(&world) && !why.empty())
    std::fprintf(stderr, "note: %s; processors do the work\n", why.c_str());
}

void carry_out(const ModelDescription &description, ModelFactory make, const Options &options,
               World *world) {
  Run run;
  together(world, [&] { read_files(description, options, world, run); });
  if (world)
    share_rows(description, options, *world, run);
  together(world, [&] { make_model(description, make, options, world, run); });
  together(world, [&] { bring_data(options, run); });
  if (options.benchmark_steps > 0 && run.data) {
    const std::string line =
        run_benchmark(*run.model, run.data->train, run.settings, options.benchmark_steps);
    if (is_lead(world))
      print_line(line);
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
      let_speak(*world);
      agree(*world, wrong, argc, argv);
      if (launch.kind == Launch::Kind::mpi)
        say_when_ended(*world);
    } else if (status) {
      throw WrongUse(wrong);
    }
    if (world && options.devices == "auto")
      choose_for_ranks(*world, options);
    if (world && world->rank() > 0) { // who speaks is rank 0
      options.quiet = true;
      for (std::string *path : {&options.history, &options.plot, &options.dump_losses})
        path->clear();
    }
    if (!world)
      say_where(options);
    carry_out(description, make, options, world.get());
    if (world)
      world->close();
    return 0;
  } catch (const Stopped &) {
    end_without_last_words();
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
