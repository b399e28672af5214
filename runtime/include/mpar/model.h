// What an emitted program is to the runtime: a description and three functions.
#pragma once

#include "mpar/check.h"
#include "mpar/description.h"
#include "mpar/device.h"
#include "mpar/learning_rate.h"
#include "mpar/loss_scaling.h"
#include "mpar/optimizer.h"
#include "mpar/pieces.h"
#include "mpar/random.h"
#include "mpar/schedule.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mpar {

class Backend;
class BatchPart;
class ResidentData;
class StagedPort;
class World;
struct Fetch;
struct TensorPiece;

/// Rows to work on. The pointers are read, not kept; each holds `rows` rows, contiguous.
struct Batch {
  int64_t rows = 0;
  std::vector<const void *> inputs; // as many as the model has, of their ports' types
  const void *target = nullptr;     // not read by `predict`
  /// The data set that GPUs have, or null, and the numbers of these rows in it: ports that it has
  /// are not read above, and may be null. See mpar/resident.h.
  const ResidentData *resident = nullptr;
  const int32_t *numbers = nullptr;
  int64_t ahead = 0; // see Model::bring_ahead
};

/// What the command line, or a program that embeds a model, decides.
struct Settings {
  std::string devices = "auto";
  int threads = 1;
  int64_t batch = 0;            // the most rows of one call; 0: what the program says
  std::optional<uint64_t> seed; // none: what the program says
  OptimizerSettings optimizer;  // kind none: what the program says
  std::optional<LearningRateSchedule> schedule; // none: what the program says
  double timeout = default_timeout;             // seconds a worker waits for another; see Workers
  bool check = false; // turns are held to what the schedule claims; see TurnChecker
  bool graph = true;  // on GPUs alone a step is recorded and then carried out as a whole
  bool tf32 = false;  // on GPUs products of f32 may round their operands to TF32
  /// The processes that share out the devices; null: there is one. Must outlive the model. All
  /// ranks make the same models and call the same functions of them in the same order.
  World *world = nullptr;
  int replica = 0; // set by `add_replicas` alone
};

/// The base of every emitted model: owns devices, parameters and the optimiser's state. Not
/// thread-safe.
class Model {
public:
  Model(ModelDescription description, const Settings &settings);
  virtual ~Model();

  /// One step on at most `largest_batch()` rows: forward, backward, update. Returns the loss of the
  /// rows.
  virtual float train_step(const Batch &batch) = 0;
  /// The loss of the rows in evaluation mode. `output` is set to the model's output, which lives
  /// until the next call; of several processes, in that which has the target. See count_correct.
  virtual float evaluate(const Batch &batch, const void *&output) = 0;
  /// The output in evaluation mode, which lives until the next call.
  virtual const void *predict(const Batch &batch) = 0;

  /// Fills the parameters as PyTorch would after `torch.manual_seed(seed)`, and resets the
  /// optimiser.
  void initialize(uint64_t seed);
  /// Writes parameters and buffers, one of several names under each, as safetensors, to a temporary
  /// file that is then renamed.
  void save(const std::string &path) const;
  /// Reads parameters and buffers by name, one of several under any of its names; refuses missing,
  /// extra and misshapen ones, and names of one tensor with different values, changing nothing.
  /// Integers may be I64, as PyTorch writes them, other numbers F64, F16 or BF16: they become F32.
  void load(const std::string &path, WeightLayout layout = WeightLayout::plain);

  const ModelDescription &description() const { return description_; }
  Machine &machine() { return machine_; }
  const Machine &machine() const { return machine_; }
  int64_t largest_batch() const { return largest_batch_; }
  /// The most rows that the memory of one replica has room for; all where there are no others.
  int64_t largest_share() const { return largest_share_; }
  /// Copies of the model that share out each batch: this one is number 0, unless it was made by
  /// another, `lead`.
  int replicas() const { return description_.replicas; }
  Model &replica(int index) const { return index == 0 ? *lead_ : *lead_->others_[index - 1]; }
  int replica_number() const { return number_; }
  /// How a step of all replicas goes where devices have workers; and each of their devices, those
  /// of one replica after those of the one before.
  const Schedule &schedule_of_all() const {
    return description_.replicas > 1 ? all_turns_ : description_.schedule;
  }
  int count_of_all() const { return machine_.count() * description_.replicas; }
  const Device &device_of_all(int number) const {
    return replica(number / machine_.count()).machine_.device(number % machine_.count());
  }
  /// Gives the others what they are to have in common with this one at the beginning of a step.
  void begin_step_of_replicas();
  /// Of these, the buffers: where each has set them for its own rows they are the first one's
  /// again.
  void copy_buffers_to_replicas();
  /// Gives a parameter or buffer of all replicas its values.
  void write_parameter(size_t index, const void *values);
  /// The optimiser's state number `slot` of a parameter, to the replicas that keep it.
  void write_state(size_t parameter, int slot, const float *values);
  /// What this process has of a parameter or buffer, of the optimiser's state, and of a gradient
  /// after a step: together, those of all processes have each byte once.
  std::vector<TensorPiece> parameter_pieces(size_t index) const;
  std::vector<TensorPiece> state_pieces(size_t parameter, int slot) const;
  std::vector<TensorPiece> gradient_pieces(size_t index) const;
  /// Of the positions of a batch that `evaluate` was called with, those at which the output is
  /// largest at the target's class, in all processes together.
  int64_t count_correct(const Batch &batch, const void *output) const;
  /// The processes of the run; null: there is one.
  World *world() const { return world_; }
  /// Whether this process has all of a parameter or buffer of this replica, in one piece.
  bool has_parameter(size_t index) const {
    const ParameterDescription &parameter = description_.parameters[index];
    return parameter.pieces.empty() && machine_.device(parameter.device).here();
  }
  /// Whether a device of any replica is a GPU.
  bool has_gpus() const { return has_gpus_; }
  /// Tells the GPUs of this replica what changes from step to step, where that has changed.
  void tell_gpus();
  /// Where this replica's devices can read its rows of a part of a batch; `port`: the number of the
  /// input, or that of inputs for the target. Brings all that the replica has of the batch there
  /// when it is first asked for. See find_input.
  const void *stage_rows(const BatchPart &part, const Batch &batch, size_t port, int64_t row_bytes);
  /// Has `work` done, once, when the next step has been issued and GPUs are at it; nothing where
  /// steps are not issued to GPUs.
  void do_meanwhile(const std::function<void()> &work);
  /// For such work: sends the rows of the batch that is to be trained on next where that step reads
  /// them, and notes in it that they are there. Another batch may come instead. To be called of
  /// replica 0.
  void bring_ahead(Batch &batch);
  /// An input, or, of the number of inputs, the target.
  const PortDescription &port(size_t number) const {
    return number < description_.inputs.size() ? description_.inputs[number] : description_.target;
  }
  /// What the GPUs of all replicas are to be brought as part of the step at hand; forgets it.
  std::vector<Fetch> take_fetches();
  /// The threads that work the devices, or what issues their turns where there are GPUs; null where
  /// the calling thread does it all, pinned to its core where a program of one device was given
  /// one.
  Workers *workers() { return description_.schedule.turns.empty() ? nullptr : workers_.get(); }
  /// Where a parameter or buffer lies that is in one piece, in its device's memory (see
  /// Device::read); a buffer of another type has its own elements there.
  float *parameter(size_t index);
  float *gradient(size_t index);
  /// The optimiser's hyper-parameters; the learning rate is the one that the schedule starts from.
  OptimizerSettings &hyperparameters() { return optimizer_; }
  LearningRateSchedule &schedule() { return schedule_; }
  /// The steps of the whole run, which a schedule may need to know; 0: not known.
  int64_t &run_steps() { return run_steps_; }
  /// The hyper-parameters of the step at hand, with the learning rate that the schedule gives it.
  OptimizerSettings optimizer() const;
  /// Steps taken: what dropout's key, the learning rate's schedule and checkpoints count.
  int64_t &step() { return step_; }
  int64_t step() const { return step_; }
  /// Of these, those that changed the parameters: what Adam's bias correction counts. The step at
  /// hand is one until it is known to be skipped.
  int64_t updates() const { return step_ - loss_scaling_.skipped_steps; }
  /// Where the program scales its loss: what by, and how many steps were skipped.
  LossScaling &loss_scaling() { return loss_scaling_; }
  const LossScaling &loss_scaling() const { return loss_scaling_; }
  /// Refuses a batch of so many rows whose cutting, among replicas and into microbatches, leaves a
  /// part fewer rows than each must have.
  void check_parts(int64_t rows) const;
  uint64_t seed() const { return seed_; }
  /// PyTorch's default generator: seeded by `initialize`, it goes on with what loaders draw.
  Generator &generator() { return generator_; }
  const Generator &generator() const { return generator_; }

protected:
  Device &device(int index) { return machine_.device(index); }
  /// Whether a device is this process's.
  bool has_device(int index) const { return machine_.device(index).here(); }
  /// One value that lies on a device, in all processes.
  float value_from(int device, const float *value);
  /// The output of so many rows, which lies on a device, in memory of the host in all processes.
  const void *output_from(int device, const void *output, int64_t rows);
  /// The same in the process that has the target, for what needs both; elsewhere null.
  const void *output_for_target(int device, const void *output, int64_t rows);
  /// Of a batch that is evaluated in parts: keeps a part's rows of the output, which lie on a
  /// device, in the process that has it.
  void keep_output(const BatchPart &part, int device, const void *output);
  /// Where they lie together until the next call; null in a process that does not have the device.
  const void *kept_output(int device) const {
    const Device &from = machine_.device(device);
    return from.here() ? from.output() : nullptr;
  }
  /// The scale of the loss and its counters as a device has left them, in all processes.
  void share_loss_scaling(int device);
  /// To be called first by each of the three functions: refuses a batch of fewer rows than `least`
  /// or too many.
  void check(const Batch &batch, int64_t least = 1) const;
  /// Makes the other replicas, where this is number 0. To be called by the constructor of a model
  /// that has some; `make` gets the settings of each.
  void add_replicas(const Settings &settings,
                    const std::function<std::unique_ptr<Model>(const Settings &)> &make);
  template <typename Derived> void add_replicas(const Settings &settings) {
    add_replicas(settings, [](const Settings &own) { return std::make_unique<Derived>(own); });
  }
  /// `evaluate` and `predict` of more rows than the memory of one replica has room for: each
  /// replica takes its rows, at once where they have workers or processes of their own. The loss is
  /// that of the parts, added up in double and rounded once.
  float evaluate_on_replicas(const Batch &batch, const void *&output);
  const void *predict_on_replicas(const Batch &batch);

private:
  void write_own_parameter(size_t index, const void *values);
  int64_t output_row_bytes() const;
  void start_workers(const Settings &settings);
  /// The same where there are GPUs, once there are all replicas.
  void start_streams(const Settings &settings);
  /// Lets the GPUs of this process speak with those of the others; all call it.
  void join_gpus();
  /// Has what lies on a device, of so many bytes, in `received_`; itself where it can be read.
  const void *fetch_output(int device, const void *output, int64_t bytes);
  /// Holds the turns of all replicas to what the schedule claims.
  void start_checking();
  /// The process of the first device of a port.
  int rank_of(const PortDescription &port) const;
  /// What this process has of a tensor that replicas may keep in shares.
  template <typename Place>
  std::vector<TensorPiece> pieces_of_replicas(size_t index, const Place &place) const;
  /// What a replica that has rows does of a batch.
  struct Share;
  std::vector<Share> divide_among_replicas(const Batch &batch);
  /// Calls work(share) for all, on the workers of their devices. What is said to other processes
  /// after that is left for the caller to say, for one replica after the other, so that none is
  /// kept waiting.
  void run_aside(std::vector<Share> &shares, void (*work)(Share &share));
  /// Has GPUs brought what they are to have: now, or as part of the step where it is one.
  void fetch(const BatchPart &part, const Fetch &fetch);
  /// Of the rows of a batch, those that this replica has room for and works on.
  RowRange own_rows(int64_t batch_rows) const;
  /// Where a GPU has the numbers of a replica's rows of a batch.
  const int32_t *stage_numbers(const BatchPart &part, Backend &gpu, const int32_t *numbers,
                               const RowRange &rows);
  /// The value that lies on a device, `value_from`'s last, to all processes.
  void share_value(float &value);
  const void *join_outputs(const Batch &batch, const std::vector<Share> &shares);

  ModelDescription description_;
  OptimizerSettings optimizer_;
  LearningRateSchedule schedule_;
  int64_t run_steps_ = 0;
  int64_t largest_batch_;
  uint64_t seed_ = 0;
  int64_t step_ = 0;
  LossScaling loss_scaling_;
  Generator generator_;
  int number_; // of this replica
  int64_t largest_share_;
  World *world_;
  bool has_gpus_;
  bool has_joined_ = false; // see join_gpus
  Machine machine_;
  std::unique_ptr<TurnChecker> checker_;
  Schedule all_turns_; // of all replicas, where there are several
  std::unique_ptr<Workers> workers_;
  Model *lead_ = this; // replica 0
  std::vector<std::unique_ptr<Model>> others_;
  std::vector<std::byte> output_;            // put together from those of replicas
  std::vector<std::byte> received_;          // from another process, or a GPU
  bool aside_ = false;                       // see run_aside
  int value_device_ = 0, output_device_ = 0; // of the last evaluation or prediction
  std::vector<StagedPort> staged_;           // by port, where there are GPUs
  std::vector<StagedPort> numbers_;          // of the rows of a batch, by GPU
  std::vector<Fetch> fetches_;               // that come with the step at hand
  int64_t calls_ = 0;                        // of the model, each with rows of its own
  int64_t brought_ahead_ = 0;                // batches
  OptimizerSettings told_;                   // to the GPUs
};

using ModelFactory = std::unique_ptr<Model> (*)(const Settings &);

/// The `main` of an emitted program: reads the command line (see docs/language.md), trains, prints.
/// Returns the exit status: 0 done, 1 a failure of the run, said in one line on standard error, 2
/// wrong use.
int run_program(int argc, char **argv, const ModelDescription &description, ModelFactory make);

} // namespace mpar
