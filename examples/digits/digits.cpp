// Digits on 3 devices, from digits.mp.
// Written by mparc 0.1.0: mparc digits.mp -o digits.cpp
//
// device 0: hidden1
//   arena 315,392 B at batch 16: 16,640 parameters with gradients and optimiser's state 266,240 B,
//     activations 0 B + 3,072 B a row
// device 1: hidden2
//   arena 575,488 B at batch 16: 32,896 parameters with gradients and optimiser's state 526,336 B,
//     activations 0 B + 3,072 B a row
// device 2: output
//   arena 89,088 B at batch 16: 1,290 parameters with gradients and optimiser's state 20,736 B,
//     activations 256 B + 1,064 B a row
// transfers a step: 2 forward, 2 backward
//   forward: 0 → 1 1,024 B a row, 1 → 2 512 B a row
//   backward: 2 → 1 512 B a row, 1 → 0 1,024 B a row

#include "mpar/mpar.h"

#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <vector>

using namespace mpar;

// What the loops compute of one element each.
namespace {

struct OneOverCount {
  float count;
  MPAR_HOST_DEVICE float operator()() const { return 1.0f / count; }
};

struct ReluGradient {
  MPAR_HOST_DEVICE float operator()(float a, float b) const { return a > 0.0f ? b : 0.0f; }
};

struct DivideByCount {
  float count;
  MPAR_HOST_DEVICE float operator()(float a) const { return a / count; }
};

} // namespace

class Digits final : public mpar::Model {
public:
  explicit Digits(const mpar::Settings &settings = {});

  /// Forward, backward and update on at most largest_batch() rows. Returns their loss.
  float train_step(const mpar::Batch &batch) override;
  /// The loss of the rows without training. `output` lives until the next call.
  float evaluate(const mpar::Batch &batch, const void *&output) override;
  /// The output, which lives until the next call.
  const void *predict(const mpar::Batch &batch) override;

  /// The same on image [rows, 64], target [rows], contiguous.
  float train_step(const float *image, const int32_t *target, int64_t rows);
  /// image [rows, 64] → [rows, out 10], which lives until the next call.
  const float *forward(const float *image, int64_t rows);

  /// Devices, parameters and training, as the runtime reads them.
  static mpar::ModelDescription describe();

private:
  /// Rows that are worked on together, and the values that one function computes of them and
  /// another reads.
  struct Part : mpar::BatchPart {
    using BatchPart::BatchPart;

    const float *image = nullptr;                  // [rows, 64]
    const int32_t *target = nullptr;               // [rows]
    float *hidden1_relu = nullptr;                 // [rows, out 256]
    const float *hidden1_relu_on_1 = nullptr;      // [rows, out 256]
    float *hidden2_relu = nullptr;                 // [rows, out 128]
    const float *hidden2_relu_on_2 = nullptr;      // [rows, out 128]
    float *output_out = nullptr;                   // [rows, out 10]
    float *output_out_grad = nullptr;              // [rows, out 10]
    float *hidden2_relu_grad = nullptr;            // [rows, out 128]
    const float *hidden2_relu_grad_on_1 = nullptr; // [rows, out 128]
    float *hidden2_out_grad = nullptr;             // [rows, out 128]
    float *hidden1_relu_grad = nullptr;            // [rows, out 256]
    const float *hidden1_relu_grad_on_0 = nullptr; // [rows, out 256]
  };

  void forward_on_0(Part &part);
  void transfer_0_to_1(Part &part);
  void forward_on_1(Part &part);
  void transfer_1_to_2(Part &part);
  void forward_on_2(Part &part);
  void backward_on_2(Part &part);
  void transfer_2_to_1(Part &part);
  void weights_on_2(Part &part);
  void backward_on_1(Part &part);
  void transfer_1_to_0(Part &part);
  void weights_on_1(Part &part);
  void weights_on_0(Part &part);
  void finish_on_2(Part &part);
  void update_on_0(Part &part);
  void update_on_1(Part &part);
  void update_on_2(Part &part);
  void evaluate_on_0(Part &part);
  void evaluate_on_1(Part &part);
  void evaluate_on_2(Part &part);
  void evaluate_loss_on_2(Part &part);
  static void describe_accesses(mpar::Schedule &schedule);

  // Parameters, in the arenas of their devices.
  float *const hidden1_weight_ = device(0).parameters();       // [out 256, in 64]
  float *const hidden1_bias_ = device(0).parameters() + 16384; // [out 256]
  float *const hidden2_weight_ = device(1).parameters();       // [out 128, in 256]
  float *const hidden2_bias_ = device(1).parameters() + 32768; // [out 128]
  float *const output_weight_ = device(2).parameters();        // [out 10, in 128]
  float *const output_bias_ = device(2).parameters() + 1280;   // [out 10]

  // Stages of a step by number, and parts of microbatches, where devices have workers.
  using Stage = void (Digits::*)(Part &);
  static const Stage stages_[];
  std::vector<Part> parts_;

  // Values of all rows together; they live for a call.
  float *loss_ = nullptr;           // []
  float *evaluated_loss_ = nullptr; // []
};

float Digits::train_step(const Batch &batch) {
  check(batch);
  ++step();
  Part whole(*this, batch.rows);
  const auto begin = [&](Part &part) {
    part.image = input_rows<float>(part, batch, 0, 64);
    part.target = target_rows<int32_t>(part, batch, 1);
  };
  if (workers()) {
    run_turns(whole, parts_, begin,
              [this](Part &part, int stage) { (this->*stages_[stage])(part); });
    return value_from(2, loss_);
  }

  // 64 rows at a time go through all layers and back: what one leaves in the cache the next finds
  // there. Sums over the batch are sums over these parts, in order.
  for_each_part(whole, 64, [&](Part &part) {
    begin(part);

    forward_on_0(part); // hidden1
    transfer_0_to_1(part);
    forward_on_1(part); // hidden2
    transfer_1_to_2(part);
    forward_on_2(part);  // output, loss
    backward_on_2(part); // loss, output
    transfer_2_to_1(part);
    weights_on_2(part);  // output
    backward_on_1(part); // hidden2
    transfer_1_to_0(part);
    weights_on_1(part); // hidden2
    weights_on_0(part); // hidden1
  });
  sum_over_threads<float>(whole, 2, 0, 1); // loss_sum
  finish_on_2(whole);                      // loss
  for_each_share(whole, [&](Part &part) {
    update_on_0(part);
    update_on_1(part);
    update_on_2(part);
  });

  return value_from(2, loss_);
}

void Digits::forward_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // hidden1 = Linear(64, 256)                                            digits.mp:3
  part.hidden1_relu = d0.rows<float>(0); // [rows, out 256]
  linear(d0, rows, 64, 256, part.image, hidden1_weight_, hidden1_bias_, Activation::relu,
         part.hidden1_relu);
}

void Digits::transfer_0_to_1(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // hidden1_relu: device 0 → 1, 1,024 B a row; hidden2 reads it        digits.mp:9
  part.hidden1_relu_on_1 = transfer(d0, part.hidden1_relu, d1, d1.rows<float>(0), rows * 256);
}

void Digits::forward_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // hidden2 = Linear(256, 128)                                           digits.mp:4
  part.hidden2_relu = d1.rows<float>(2048); // [rows, out 128]
  linear(d1, rows, 256, 128, part.hidden1_relu_on_1, hidden2_weight_, hidden2_bias_,
         Activation::relu, part.hidden2_relu);
}

void Digits::transfer_1_to_2(Part &part) {
  Device &d1 = part.device(1);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // hidden2_relu: device 1 → 2, 512 B a row; output reads it           digits.mp:9
  part.hidden2_relu_on_2 = transfer(d1, part.hidden2_relu, d2, d2.rows<float>(0), rows * 128);
}

void Digits::forward_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // output = Linear(128, 10)                                             digits.mp:5
  part.output_out = d2.rows<float>(512); // [rows, out 10]
  linear(d2, rows, 128, 10, part.hidden2_relu_on_2, output_weight_, output_bias_, Activation::none,
         part.output_out);

  // loss = cross_entropy                                                 digits.mp:13
  float *const loss_cross_entropy = d2.rows<float>(552); // [rows]
  cross_entropy(d2, rows, 10, part.output_out, part.target, loss_cross_entropy);
  float *const loss_sum = d2.fixed<float>(0); // []
  reduce(d2, Reduction::sum, Shape{rows}, 1u << 0, loss_cross_entropy, loss_sum, part.store);
}

void Digits::backward_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 digits.mp:13
  float *const loss_cross_entropy_grad = d2.rows<float>(552); // [rows]
  map(d2, rows, OneOverCount{float(part.batch_rows)}, loss_cross_entropy_grad);
  part.output_out_grad = d2.rows<float>(1024); // [rows, out 10]
  cross_entropy_gradient(d2, rows, 10, part.output_out, part.target, loss_cross_entropy_grad,
                         part.output_out_grad);

  // output = Linear(128, 10)                                             digits.mp:5
  part.hidden2_relu_grad = d2.rows<float>(512); // [rows, out 128]
  matmul(d2, 1, rows, 128, 10, Transpose::no, Transpose::no, part.output_out_grad, output_weight_,
         part.hidden2_relu_grad);
}

void Digits::transfer_2_to_1(Part &part) {
  Device &d1 = part.device(1);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // hidden2_relu_grad: device 2 → 1, 512 B a row                       digits.mp:9
  part.hidden2_relu_grad_on_1 =
      transfer(d2, part.hidden2_relu_grad, d1, d1.rows<float>(1024), rows * 128);
}

void Digits::weights_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // output = Linear(128, 10)                                             digits.mp:5
  float *const output_bias_grad = d2.gradients() + 1280; // [out 10]
  reduce(d2, Reduction::sum, Shape{rows, 10}, 1u << 0, part.output_out_grad, output_bias_grad,
         part.store);
  float *const output_weight_grad = d2.gradients(); // [out 10, in 128]
  matmul(d2, 1, 10, 128, rows, Transpose::yes, Transpose::no, part.output_out_grad,
         part.hidden2_relu_on_2, output_weight_grad, part.store);
}

void Digits::backward_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // relu gradient                                                        digits.mp:9
  part.hidden2_out_grad = d1.rows<float>(2560); // [rows, out 128]
  map(d1, rows * 128, ReluGradient{}, part.hidden2_out_grad, part.hidden2_relu,
      part.hidden2_relu_grad_on_1);

  // hidden2 = Linear(256, 128)                                           digits.mp:4
  part.hidden1_relu_grad = d1.rows<float>(1024); // [rows, out 256]
  matmul(d1, 1, rows, 256, 128, Transpose::no, Transpose::no, part.hidden2_out_grad,
         hidden2_weight_, part.hidden1_relu_grad);
}

void Digits::transfer_1_to_0(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // hidden1_relu_grad: device 1 → 0, 1,024 B a row                     digits.mp:9
  part.hidden1_relu_grad_on_0 =
      transfer(d1, part.hidden1_relu_grad, d0, d0.rows<float>(1024), rows * 256);
}

void Digits::weights_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // hidden2 = Linear(256, 128)                                           digits.mp:4
  float *const hidden2_bias_grad = d1.gradients() + 32768; // [out 128]
  reduce(d1, Reduction::sum, Shape{rows, 128}, 1u << 0, part.hidden2_out_grad, hidden2_bias_grad,
         part.store);
  float *const hidden2_weight_grad = d1.gradients(); // [out 128, in 256]
  matmul(d1, 1, 128, 256, rows, Transpose::yes, Transpose::no, part.hidden2_out_grad,
         part.hidden1_relu_on_1, hidden2_weight_grad, part.store);
}

void Digits::weights_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // relu gradient                                                        digits.mp:9
  float *const hidden1_out_grad = d0.rows<float>(2048); // [rows, out 256]
  map(d0, rows * 256, ReluGradient{}, hidden1_out_grad, part.hidden1_relu,
      part.hidden1_relu_grad_on_0);

  // hidden1 = Linear(64, 256)                                            digits.mp:3
  float *const hidden1_bias_grad = d0.gradients() + 16384; // [out 256]
  reduce(d0, Reduction::sum, Shape{rows, 256}, 1u << 0, hidden1_out_grad, hidden1_bias_grad,
         part.store);
  float *const hidden1_weight_grad = d0.gradients(); // [out 256, in 64]
  matmul(d0, 1, 256, 64, rows, Transpose::yes, Transpose::no, hidden1_out_grad, part.image,
         hidden1_weight_grad, part.store);
}

void Digits::finish_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 digits.mp:13
  float *const loss_sum = d2.fixed<float>(0); // []
  loss_ = d2.fixed<float>(0);                 // []
  map(d2, 1, DivideByCount{float(rows)}, loss_, loss_sum);
}

void Digits::update_on_0(Part &part) {
  Device &d0 = part.device(0);
  adamw(d0, optimizer(), step());
}

void Digits::update_on_1(Part &part) {
  Device &d1 = part.device(1);
  adamw(d1, optimizer(), step());
}

void Digits::update_on_2(Part &part) {
  Device &d2 = part.device(2);
  adamw(d2, optimizer(), step());
}

float Digits::evaluate(const Batch &batch, const void *&output) {
  check(batch);
  Part whole(*this, batch.rows);
  whole.image = input_rows<float>(whole, batch, 0, 64);
  whole.target = target_rows<int32_t>(whole, batch, 1);

  evaluate_on_0(whole); // hidden1
  transfer_0_to_1(whole);
  evaluate_on_1(whole); // hidden2
  transfer_1_to_2(whole);
  evaluate_on_2(whole);      // output
  evaluate_loss_on_2(whole); // loss

  output = output_for_target(2, whole.output_out, batch.rows);
  return value_from(2, evaluated_loss_);
}

void Digits::evaluate_on_0(Part &part) {
  if (!has_device(0))
    return; // another process has it
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // hidden1 = Linear(64, 256)                                            digits.mp:3
  part.hidden1_relu = d0.rows<float>(0); // [rows, out 256]
  linear(d0, rows, 64, 256, part.image, hidden1_weight_, hidden1_bias_, Activation::relu,
         part.hidden1_relu);
}

void Digits::evaluate_on_1(Part &part) {
  if (!has_device(1))
    return; // another process has it
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // hidden2 = Linear(256, 128)                                           digits.mp:4
  part.hidden2_relu = d1.rows<float>(1024); // [rows, out 128]
  linear(d1, rows, 256, 128, part.hidden1_relu_on_1, hidden2_weight_, hidden2_bias_,
         Activation::relu, part.hidden2_relu);
}

void Digits::evaluate_on_2(Part &part) {
  if (!has_device(2))
    return; // another process has it
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // output = Linear(128, 10)                                             digits.mp:5
  part.output_out = d2.rows<float>(512); // [rows, out 10]
  linear(d2, rows, 128, 10, part.hidden2_relu_on_2, output_weight_, output_bias_, Activation::none,
         part.output_out);
}

void Digits::evaluate_loss_on_2(Part &part) {
  if (!has_device(2))
    return; // another process has it
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 digits.mp:13
  float *const loss_cross_entropy = d2.rows<float>(0); // [rows]
  cross_entropy(d2, rows, 10, part.output_out, part.target, loss_cross_entropy);
  evaluated_loss_ = d2.fixed<float>(0); // []
  reduce(d2, Reduction::mean, Shape{rows}, 1u << 0, loss_cross_entropy, evaluated_loss_);
}

const void *Digits::predict(const Batch &batch) {
  check(batch);
  Part whole(*this, batch.rows);
  whole.image = input_rows<float>(whole, batch, 0, 64);

  evaluate_on_0(whole); // hidden1
  transfer_0_to_1(whole);
  evaluate_on_1(whole); // hidden2
  transfer_1_to_2(whole);
  evaluate_on_2(whole); // output

  return output_from(2, whole.output_out, batch.rows);
}

float Digits::train_step(const float *image, const int32_t *target, int64_t rows) {
  return train_step(Batch{rows, {image}, target});
}

const float *Digits::forward(const float *image, int64_t rows) {
  return static_cast<const float *>(predict(Batch{rows, {image}, nullptr}));
}

Digits::Digits(const Settings &settings) : Model(describe(), settings) {}

int main(int argc, char **argv) {
  return run_program(argc, argv, Digits::describe(),
                     [](const Settings &settings) -> std::unique_ptr<Model> {
                       return std::make_unique<Digits>(settings);
                     });
}

// In the order of the schedule below.
const Digits::Stage Digits::stages_[] = {
    &Digits::forward_on_0,    &Digits::transfer_0_to_1, &Digits::forward_on_1,
    &Digits::transfer_1_to_2, &Digits::forward_on_2,    &Digits::backward_on_2,
    &Digits::transfer_2_to_1, &Digits::weights_on_2,    &Digits::backward_on_1,
    &Digits::transfer_1_to_0, &Digits::weights_on_1,    &Digits::weights_on_0,
    &Digits::finish_on_2,     &Digits::update_on_0,     &Digits::update_on_1,
    &Digits::update_on_2};

ModelDescription Digits::describe() {
  ModelDescription description;
  description.name = "Digits";
  description.source = "digits.mp";

  // of each: floats of parameters, of those trained; bytes of activations, bytes a row,
  // and what rows are rounded up to a multiple of
  description.devices = {
      {16640, 16640, 0, 3072, 1},
      {32896, 32896, 0, 3072, 1},
      {1296, 1296, 256, 1064, 64},
  };

  using Initial = Initializer::Kind;
  const auto add = [&](const char *name, std::initializer_list<int64_t> shape, int device,
                       int64_t offset, Initializer initializer) {
    description.parameters.push_back({name, shape, device, offset, initializer});
  };
  // name, shape, device, place in its device's parameters, first values
  add("hidden1.weight", {256, 64}, 0, 0, {Initial::kaiming_uniform, 64.0, 0.0});
  add("hidden1.bias", {256}, 0, 16384, {Initial::uniform, -0.125, 0.125});
  add("hidden2.weight", {128, 256}, 1, 0, {Initial::kaiming_uniform, 256.0, 0.0});
  add("hidden2.bias", {128}, 1, 32768, {Initial::uniform, -0.0625, 0.0625});
  add("output.weight", {10, 128}, 2, 0, {Initial::kaiming_uniform, 128.0, 0.0});
  add("output.bias", {10}, 2, 1280, {Initial::uniform, -0.08838834764831843, 0.08838834764831843});

  description.inputs = {{"image", ElementType::f32, {64}, {0}}};
  description.row_multiplications = 134912;
  description.target = {"target", ElementType::i32, {}, {2}};
  description.output = {"output", ElementType::f32, {10}};
  description.classes = 10;

  TrainingDefaults &training = description.training;
  training.data.kind = DataSource::Kind::csv;
  training.data.path = "digits.csv";
  training.data.test = 0.2;
  training.epochs = 15;
  training.batch = 16;
  training.shuffle = true;
  training.seed = 0;
  training.optimizer.kind = OptimizerSettings::Kind::adamw;
  training.optimizer.beta1 = 0.9;
  training.optimizer.beta2 = 0.999;
  training.optimizer.eps = 1e-08;
  training.optimizer.lr = 0.001;
  training.optimizer.weight_decay = 0.01;

  Schedule &schedule = description.schedule;
  schedule.microbatches = 1;
  schedule.part_rows = 64;
  // Stages, in the order of train_step: device, how they stand towards the microbatches, function,
  // and where their first layer is declared; of transfers the sender, bytes a row, and bytes
  // besides.
  using When = StageDescription::When;
  schedule.stages = {
      {0, When::during, "forward_on_0", "digits.mp:3"},
      {1, When::during, "transfer_0_to_1", "digits.mp:4", 0, 1024, 0},
      {1, When::during, "forward_on_1", "digits.mp:4"},
      {2, When::during, "transfer_1_to_2", "digits.mp:5", 1, 512, 0},
      {2, When::during, "forward_on_2", "digits.mp:5"},
      {2, When::during, "backward_on_2", "digits.mp:13"},
      {1, When::during, "transfer_2_to_1", "digits.mp:9", 2, 512, 0},
      {2, When::during, "weights_on_2", "digits.mp:5"},
      {1, When::during, "backward_on_1", "digits.mp:9"},
      {0, When::during, "transfer_1_to_0", "digits.mp:9", 1, 1024, 0},
      {1, When::during, "weights_on_1", "digits.mp:4"},
      {0, When::during, "weights_on_0", "digits.mp:9"},
      {2, When::after, "finish_on_2", "digits.mp:13"},
      {0, When::after, "update_on_0", "digits.mp:13"},
      {1, When::after, "update_on_1", "digits.mp:13"},
      {2, When::after, "update_on_2", "digits.mp:13"},
  };
  // Their turns where devices have workers: stage, microbatch, and a device of which so many turns
  // must have finished first.
  static constexpr TurnEntry turns[] = {
      {0, 0}, {1, 0, 0, 1}, {2, 0},  {3, 0, 1, 2}, {4, 0},  {5, 0},  {6, 0, 2, 3}, {7, 0},
      {8, 0}, {9, 0, 1, 4}, {10, 0}, {11, 0},      {12, 0}, {13, 0}, {14, 0},      {15, 0}};
  schedule.turns = make_turns(std::begin(turns), std::end(turns));
  describe_accesses(schedule);
  return description;
}

// What stages read that others wrote, and what they write, which --check holds the turns to: stage,
// device, the first byte of a region, and the one after the last; of rows, a row.
void Digits::describe_accesses(Schedule &schedule) {
  using Region = MemoryAccess::Region;
  schedule.reads = {
      // forward_on_0
      {0, 0, Region::parameters, 0, 66560},
      // transfer_0_to_1
      {1, 0, Region::rows, 0, 1024},
      // forward_on_1
      {2, 1, Region::parameters, 0, 131584},
      {2, 1, Region::rows, 0, 1024},
      // transfer_1_to_2
      {3, 1, Region::rows, 2048, 2560},
      // forward_on_2
      {4, 2, Region::parameters, 0, 5160},
      {4, 2, Region::rows, 0, 512},
      // backward_on_2
      {5, 2, Region::parameters, 0, 5120},
      {5, 2, Region::rows, 512, 552},
      // transfer_2_to_1
      {6, 2, Region::rows, 512, 1024},
      // weights_on_2
      {7, 2, Region::rows, 0, 512},
      {7, 2, Region::rows, 1024, 1064},
      // backward_on_1
      {8, 1, Region::parameters, 0, 131072},
      {8, 1, Region::rows, 1024, 1536},
      {8, 1, Region::rows, 2048, 2560},
      // transfer_1_to_0
      {9, 1, Region::rows, 1024, 2048},
      // weights_on_1
      {10, 1, Region::rows, 0, 1024},
      {10, 1, Region::rows, 2560, 3072},
      // weights_on_0
      {11, 0, Region::rows, 0, 2048},
      // finish_on_2
      {12, 2, Region::fixed, 0, 4},
      // update_on_0
      {13, 0, Region::gradients, 0, 66560},
      // update_on_1
      {14, 1, Region::gradients, 0, 131584},
      // update_on_2
      {15, 2, Region::gradients, 0, 5184},
  };
  schedule.writes = {
      // forward_on_0
      {0, 0, Region::rows, 0, 1024},
      // transfer_0_to_1
      {1, 1, Region::rows, 0, 1024},
      // forward_on_1
      {2, 1, Region::rows, 2048, 2560},
      // transfer_1_to_2
      {3, 2, Region::rows, 0, 512},
      // forward_on_2
      {4, 2, Region::fixed, 0, 4},
      {4, 2, Region::rows, 512, 556},
      // backward_on_2
      {5, 2, Region::rows, 512, 1064},
      // transfer_2_to_1
      {6, 1, Region::rows, 1024, 1536},
      // weights_on_2
      {7, 2, Region::gradients, 0, 5160},
      // backward_on_1
      {8, 1, Region::rows, 1024, 2048},
      {8, 1, Region::rows, 2560, 3072},
      // transfer_1_to_0
      {9, 0, Region::rows, 1024, 2048},
      // weights_on_1
      {10, 1, Region::gradients, 0, 131584},
      // weights_on_0
      {11, 0, Region::gradients, 0, 66560},
      {11, 0, Region::rows, 2048, 3072},
      // finish_on_2
      {12, 2, Region::fixed, 0, 4},
      // update_on_0
      {13, 0, Region::parameters, 0, 66560},
      // update_on_1
      {14, 1, Region::parameters, 0, 131584},
      // update_on_2
      {15, 2, Region::parameters, 0, 5184},
  };
}
