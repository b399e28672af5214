// What an emitted program says of itself: parameters, ports, devices, training.
#pragma once

#include "mpar/device.h"
#include "mpar/learning_rate.h"
#include "mpar/optimizer.h"
#include "mpar/pieces.h"
#include "mpar/random.h"
#include "mpar/schedule.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mpar {

enum class ElementType { f32, i32, boolean };

/// The bytes of one element: 4, or 1 of a bool.
int64_t element_bytes(ElementType type);
/// What safetensors calls the type: "F32", "I32", "BOOL".
const char *element_type_name(ElementType type);

/// How a parameter is first filled, as PyTorch fills it from its default generator. `a`, `b`:
/// constant(a), uniform(a, b), normal(mean a, standard deviation b), kaiming_uniform(fan a),
/// xavier_uniform(fan-in a, fan-out b). zeros, ones and constant draw nothing. `zero_row`: a row of
/// the tensor that is zero whatever was drawn for it, as torch.nn.Embedding's padding_idx; -1:
/// none.
struct Initializer {
  enum class Kind { zeros, ones, constant, uniform, normal, kaiming_uniform, xavier_uniform };
  Kind kind;
  double a = 0;
  double b = 0;
  int64_t zero_row = -1;
};

/// How a file of parameters names and stores them.
enum class WeightLayout {
  plain, // under the parameters' own names, as `save` writes them
  /// As GPT-2's published files: names may begin with `transformer.`, and are below the layer that
  /// has `wte` where that is no layer of the model itself; the weights of `c_attn`, `c_proj` and
  /// `c_fc` are stored [in, out]; masks (`attn.bias`, `attn.masked_bias`) are no parameters.
  gpt2,
};

/// What one device has of a parameter: a box of it, the elements side by side.
struct ParameterPiece {
  int device;
  int64_t offset; // floats into the region, as of a whole parameter
  Box box;
};

/// A parameter or a buffer, in the order in which the program declares them: the order in which
/// they draw. Buffers lie behind what is trained, and may be of another type: an element takes the
/// room of a float at most.
struct ParameterDescription {
  std::string name; // PyTorch's path: "layer1.weight"
  std::vector<int64_t> shape;
  int device;     // logical
  int64_t offset; // floats into the parameter (and gradient, and state) region of its device
  Initializer initializer;
  ElementType type = ElementType::f32;
  std::vector<std::string> also = {}; // further names: what is tied to it has them
  /// Where a group of devices has it: what each has, which may be the same. `device` and `offset`
  /// are the first's. Empty: the whole lies there.
  std::vector<ParameterPiece> pieces = {};

  /// Where it lies: its pieces, or the whole as one.
  std::vector<ParameterPiece> places() const;

  /// The path that gives it its place, then the further names.
  std::vector<std::string> names() const;
};

/// An input, the target or the output: one row of it.
struct PortDescription {
  std::string name;
  ElementType type;
  std::vector<int64_t> shape; // without the batch
  /// The logical devices that read an input or the target, or have the output; empty: not said, as
  /// there is one.
  std::vector<int> devices = {};
};

/// Where training takes its rows from.
struct DataSource {
  enum class Kind { none, csv, npy, text, tokens };
  enum class Token { u8, u16, i32 };
  Kind kind = Kind::none;
  std::string path;           // the file; npy: the inputs, the first of several
  std::string targets;        // npy: the targets; empty: the inputs are their own
  int64_t input_columns = -1; // csv: -1, from the model's signature
  int64_t target_columns = -1;
  double test = 0;          // the last int(rows · test) rows are the test set
  int64_t context = 0;      // text, tokens: tokens of a row; 0, from the model's signature
  Token token = Token::u16; // tokens: what a file that is no .npy holds, little-endian
  std::vector<std::string> more_paths; // npy: the other inputs of a model of several
};

/// The entries of a `train` block that the command line may override, as the program was written.
struct TrainingDefaults {
  DataSource data;
  DataSource test_data;
  int64_t epochs = 10;
  int64_t batch = 32;
  bool shuffle = true;
  uint64_t seed = 0;
  OptimizerSettings optimizer;
  LearningRateSchedule schedule;
};

struct ModelDescription {
  std::string name;   // "Autoencoder"
  std::string source; // "autoencoder.mp"
  std::vector<DeviceDescription> devices;
  std::vector<ParameterDescription> parameters;
  std::vector<PortDescription> inputs;
  PortDescription target;
  PortDescription output;
  /// With cross_entropy: targets lie in [0, classes) and accuracy is printed. Else 0.
  int64_t classes = 0;
  /// The fewest rows a step can train on: 2 where the variance of one row would be asked for.
  int64_t least_rows = 1;
  /// The same of each part that has rows, where a batch that is cut has a variance of each.
  int64_t least_part_rows = 1;
  /// Multiplications in the matrix products of a training step, a row: what threads share out.
  int64_t row_multiplications = 0;
  /// How a step goes where devices have workers.
  Schedule schedule;
  /// Whole copies of the model, each on devices of its own, and whether they keep disjoint parts of
  /// the optimiser's state.
  int replicas = 1;
  bool shard_optimizer = false;
  /// Whether the loss of rows is the sum of their parts' losses, not the mean.
  bool loss_is_sum = false;
  /// Whether the loss is scaled, because gradients pass through f16; steps may be skipped then.
  bool scales_loss = false;
  TrainingDefaults training;
};

} // namespace mpar
