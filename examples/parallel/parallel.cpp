// Parallel on 3 devices, from parallel.mp.
// 2 replicas share out each batch: replica r is on devices r · 3 and the following.
// Written by mparc 0.1.0: mparc parallel.mp -o parallel.cpp
//
// device 0: wide, narrow
//   arena 841,728 B at batch 32: 49,536 parameters with gradients and optimiser's state 792,576 B,
//     activations 0 B + 3,072 B a row, of 4 of 4 microbatches at once
// device 1: wide, narrow
//   arena 823,296 B at batch 32: 49,536 parameters with gradients and optimiser's state 792,576 B,
//     activations 0 B + 2,560 B a row, of 3 of 4 microbatches at once
// device 2: hidden, digit
//   arena 771,584 B at batch 32: 35,594 parameters with gradients and optimiser's state 569,600 B,
//     activations 256 B + 3,112 B a row, of 2 of 4 microbatches at once, or of 1 and 40 B a row of
//     output
// collectives a step: 1 forward, 0 backward; the transfers carry them out
//   forward: all_reduce narrow.h over 0, 1 512 B a row
// transfers a step: 2 forward, 2 backward
//   forward: 1 → 0 512 B a row, 0 → 2 512 B a row
//   backward: 2 → 0 512 B a row, 0 → 1 512 B a row

#include "mpar/mpar.h"

#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <vector>

using namespace mpar;

// What the loops compute of one element each.
namespace {

struct AddAddRelu {
  MPAR_HOST_DEVICE float operator()(float a, float b, float c) const {
    return mpar::relu(a + b + c);
  }
};

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

class Parallel final : public mpar::Model {
public:
  explicit Parallel(const mpar::Settings &settings = {});

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

    const float *image = nullptr;                     // [rows, 64]
    const int32_t *target = nullptr;                  // [rows]
    float *wide_relu_at_0 = nullptr;                  // [rows, out 256]
    float *narrow_h_at_0 = nullptr;                   // [rows, out 128]
    float *wide_relu_at_1 = nullptr;                  // [rows, out 256]
    float *narrow_h_at_1 = nullptr;                   // [rows, out 128]
    const float *narrow_h_at_1_on_0 = nullptr;        // [rows, out 128]
    float *narrow_relu_at_0 = nullptr;                // [rows, out 128]
    const float *narrow_relu_at_0_on_2 = nullptr;     // [rows, out 128]
    float *hidden_relu = nullptr;                     // [rows, out 256]
    float *digit_out = nullptr;                       // [rows, out 10]
    float *digit_out_grad = nullptr;                  // [rows, out 10]
    float *hidden_out_grad = nullptr;                 // [rows, out 256]
    float *narrow_relu_grad = nullptr;                // [rows, out 128]
    const float *narrow_relu_grad_on_0 = nullptr;     // [rows, out 128]
    float *narrow_out_grad_at_0 = nullptr;            // [rows, out 128]
    const float *narrow_out_grad_at_0_on_1 = nullptr; // [rows, out 128]
  };

  void forward_on_0(Part &part);
  void forward_on_1(Part &part);
  void transfer_1_to_0(Part &part);
  void forward_on_0_part_2(Part &part);
  void transfer_0_to_2(Part &part);
  void forward_on_2(Part &part);
  void backward_on_2(Part &part);
  void transfer_2_to_0(Part &part);
  void weights_on_2(Part &part);
  void backward_on_0(Part &part);
  void transfer_0_to_1(Part &part);
  void weights_on_0(Part &part);
  void weights_on_1(Part &part);
  void reduce_scatter_on_2(Part &part);
  void reduce_scatter_on_0(Part &part);
  void reduce_scatter_on_1(Part &part);
  void all_gather_on_2(Part &part);
  void all_gather_on_0(Part &part);
  void all_gather_on_1(Part &part);
  void finish_on_2(Part &part);
  void update_on_0(Part &part);
  void update_on_1(Part &part);
  void update_on_2(Part &part);
  void evaluate_on_0(Part &part);
  void evaluate_on_1(Part &part);
  void evaluate_1_to_0(Part &part);
  void evaluate_on_0_part_2(Part &part);
  void evaluate_0_to_2(Part &part);
  void evaluate_on_2(Part &part);
  void evaluate_loss_on_2(Part &part);
  void finish_evaluate_on_2(Part &part);
  static void describe_accesses(mpar::Schedule &schedule);

  // Parameters, in the arenas of their devices.
  float *const wide_weight_at_0_ = device(0).parameters();           // [out 256, in 64]
  float *const wide_weight_at_1_ = device(1).parameters();           // [out 256, in 64]
  float *const wide_bias_at_0_ = device(0).parameters() + 16384;     // [out 256]
  float *const wide_bias_at_1_ = device(1).parameters() + 16384;     // [out 256]
  float *const narrow_weight_at_0_ = device(0).parameters() + 16640; // [out 128, in 256]
  float *const narrow_weight_at_1_ = device(1).parameters() + 16640; // [out 128, in 256]
  float *const narrow_bias_at_0_ = device(0).parameters() + 49408;   // [out 128]
  float *const narrow_bias_at_1_ = device(1).parameters() + 49408;   // [out 128]
  float *const hidden_weight_ = device(2).parameters();              // [out 256, in 128]
  float *const hidden_bias_ = device(2).parameters() + 32768;        // [out 256]
  float *const digit_weight_ = device(2).parameters() + 33024;       // [out 10, in 256]
  float *const digit_bias_ = device(2).parameters() + 35584;         // [out 10]

  // Stages of a step by number, and parts of microbatches, where devices have workers.
  using Stage = void (Parallel::*)(Part &);
  static const Stage stages_[];
  std::vector<Part> parts_;

  // Values of all rows together; they live for a call.
  float *loss_ = nullptr;           // []
  float *evaluated_loss_ = nullptr; // []
};

float Parallel::train_step(const Batch &batch) {
  check(batch);
  ++step();
  const auto begin = [&](Part &part) {
    part.image = input_rows<float>(part, batch, 0, 64);
    part.target = target_rows<int32_t>(part, batch, 1);
  };
  ReplicaStep<Parallel, Part> step_of_all(*this, batch.rows);
  if (workers()) {
    step_of_all.run_turns(parts_, begin, stages_);
    return value_from(2, loss_);
  }

  // One replica after the other takes its rows, 64 of them at a time through all layers and
  // back: what one leaves in the cache the next finds there.
  step_of_all.for_each_with_rows([&](Parallel &replica, Part &whole) {
    for_each_part(whole, 64, [&](Part &part) {
      begin(part);

      replica.forward_on_0(part); // wide, narrow
      replica.forward_on_1(part); // wide, narrow
      replica.transfer_1_to_0(part);
      replica.forward_on_0_part_2(part);
      replica.transfer_0_to_2(part);
      replica.forward_on_2(part);  // hidden, digit, loss
      replica.backward_on_2(part); // loss, digit, hidden
      replica.transfer_2_to_0(part);
      replica.weights_on_2(part); // digit, hidden
      replica.backward_on_0(part);
      replica.transfer_0_to_1(part);
      replica.weights_on_0(part); // narrow, wide
      replica.weights_on_1(part); // narrow, wide
    });
    sum_over_threads<float>(whole, 2, 0, 1); // loss_sum
    whole.add_gradients();
  });

  // What follows is carried out by all, stage by stage.
  step_of_all.run(&Parallel::reduce_scatter_on_2);
  step_of_all.run(&Parallel::reduce_scatter_on_0);
  step_of_all.run(&Parallel::reduce_scatter_on_1);
  step_of_all.run(&Parallel::all_gather_on_2);
  step_of_all.run(&Parallel::all_gather_on_0);
  step_of_all.run(&Parallel::all_gather_on_1);
  step_of_all.run(&Parallel::finish_on_2); // loss
  step_of_all.run_shared(&Parallel::update_on_0);
  step_of_all.run_shared(&Parallel::update_on_1);
  step_of_all.run_shared(&Parallel::update_on_2);

  return value_from(2, loss_);
}

void Parallel::forward_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // wide = Linear(64, 512)                                               parallel.mp:4
  part.wide_relu_at_0 = d0.rows<float>(0); // [rows, out 256]
  linear(d0, rows, 64, 256, part.image, wide_weight_at_0_, wide_bias_at_0_, Activation::relu,
         part.wide_relu_at_0);

  // narrow = Linear(512, 128)                                            parallel.mp:5
  part.narrow_h_at_0 = d0.rows<float>(2048); // [rows, out 128]
  matmul(d0, 1, rows, 128, 256, Transpose::no, Transpose::yes, part.wide_relu_at_0,
         narrow_weight_at_0_, part.narrow_h_at_0);
}

void Parallel::forward_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // wide = Linear(64, 512)                                               parallel.mp:4
  part.wide_relu_at_1 = d1.rows<float>(0); // [rows, out 256]
  linear(d1, rows, 64, 256, part.image, wide_weight_at_1_, wide_bias_at_1_, Activation::relu,
         part.wide_relu_at_1);

  // narrow = Linear(512, 128)                                            parallel.mp:5
  part.narrow_h_at_1 = d1.rows<float>(1024); // [rows, out 128]
  matmul(d1, 1, rows, 128, 256, Transpose::no, Transpose::yes, part.wide_relu_at_1,
         narrow_weight_at_1_, part.narrow_h_at_1);
}

void Parallel::transfer_1_to_0(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // narrow_h_at_1: device 1 → 0, 512 B a row                           parallel.mp:14
  part.narrow_h_at_1_on_0 = transfer(d1, part.narrow_h_at_1, d0, d0.rows<float>(1024), rows * 128);
}

void Parallel::forward_on_0_part_2(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // add add relu                                                         parallel.mp:14
  part.narrow_relu_at_0 = d0.rows<float>(2048); // [rows, out 128]
  map(d0, Shape{rows, 128}, AddAddRelu{}, part.narrow_relu_at_0,
      strided(part.narrow_h_at_0, {128, 1}), strided(part.narrow_h_at_1_on_0, {128, 1}),
      strided(narrow_bias_at_0_, {0, 1}));
}

void Parallel::transfer_0_to_2(Part &part) {
  Device &d0 = part.device(0);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // narrow_relu_at_0: device 0 → 2, 512 B a row; hidden reads it       parallel.mp:14
  part.narrow_relu_at_0_on_2 =
      transfer(d0, part.narrow_relu_at_0, d2, d2.rows<float>(2048), rows * 128);
}

void Parallel::forward_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // hidden = Linear(128, 256)                                            parallel.mp:8
  part.hidden_relu = d2.rows<float>(0); // [rows, out 256]
  linear(d2, rows, 128, 256, part.narrow_relu_at_0_on_2, hidden_weight_, hidden_bias_,
         Activation::relu, part.hidden_relu);

  // digit = Linear(256, 10)                                              parallel.mp:9
  part.digit_out = d2.rows<float>(1024); // [rows, out 10]
  linear(d2, rows, 256, 10, part.hidden_relu, digit_weight_, digit_bias_, Activation::none,
         part.digit_out);

  // loss = cross_entropy                                                 parallel.mp:18
  float *const loss_cross_entropy = d2.rows<float>(1064); // [rows]
  cross_entropy(d2, rows, 10, part.digit_out, part.target, loss_cross_entropy);
  float *const loss_sum = d2.fixed<float>(0); // []
  reduce(d2, Reduction::sum, Shape{rows}, 1u << 0, loss_cross_entropy, loss_sum, part.store);
}

void Parallel::backward_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 parallel.mp:18
  float *const loss_cross_entropy_grad = d2.rows<float>(1064); // [rows]
  map(d2, rows, OneOverCount{float(part.batch_rows)}, loss_cross_entropy_grad);
  part.digit_out_grad = d2.rows<float>(3072); // [rows, out 10]
  cross_entropy_gradient(d2, rows, 10, part.digit_out, part.target, loss_cross_entropy_grad,
                         part.digit_out_grad);

  // digit = Linear(256, 10)                                              parallel.mp:9
  float *const hidden_relu_grad = d2.rows<float>(1024); // [rows, out 256]
  matmul(d2, 1, rows, 256, 10, Transpose::no, Transpose::no, part.digit_out_grad, digit_weight_,
         hidden_relu_grad);

  // relu gradient                                                        parallel.mp:14
  part.hidden_out_grad = d2.rows<float>(1024); // [rows, out 256]
  map(d2, rows * 256, ReluGradient{}, part.hidden_out_grad, part.hidden_relu, hidden_relu_grad);

  // hidden = Linear(128, 256)                                            parallel.mp:8
  part.narrow_relu_grad = d2.rows<float>(2560); // [rows, out 128]
  matmul(d2, 1, rows, 128, 256, Transpose::no, Transpose::no, part.hidden_out_grad, hidden_weight_,
         part.narrow_relu_grad);
}

void Parallel::transfer_2_to_0(Part &part) {
  Device &d0 = part.device(0);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // narrow_relu_grad: device 2 → 0, 512 B a row                        parallel.mp:14
  part.narrow_relu_grad_on_0 =
      transfer(d2, part.narrow_relu_grad, d0, d0.rows<float>(1024), rows * 128);
}

void Parallel::weights_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // digit = Linear(256, 10)                                              parallel.mp:9
  float *const digit_bias_grad = d2.gradients() + 35584; // [out 10]
  reduce(d2, Reduction::sum, Shape{rows, 10}, 1u << 0, part.digit_out_grad, digit_bias_grad,
         part.store);
  float *const digit_weight_grad = d2.gradients() + 33024; // [out 10, in 256]
  matmul(d2, 1, 10, 256, rows, Transpose::yes, Transpose::no, part.digit_out_grad, part.hidden_relu,
         digit_weight_grad, part.store);

  // hidden = Linear(128, 256)                                            parallel.mp:8
  float *const hidden_bias_grad = d2.gradients() + 32768; // [out 256]
  reduce(d2, Reduction::sum, Shape{rows, 256}, 1u << 0, part.hidden_out_grad, hidden_bias_grad,
         part.store);
  float *const hidden_weight_grad = d2.gradients(); // [out 256, in 128]
  matmul(d2, 1, 256, 128, rows, Transpose::yes, Transpose::no, part.hidden_out_grad,
         part.narrow_relu_at_0_on_2, hidden_weight_grad, part.store);
}

void Parallel::backward_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // relu gradient                                                        parallel.mp:14
  part.narrow_out_grad_at_0 = d0.rows<float>(2560); // [rows, out 128]
  map(d0, rows * 128, ReluGradient{}, part.narrow_out_grad_at_0, part.narrow_relu_at_0,
      part.narrow_relu_grad_on_0);
}

void Parallel::transfer_0_to_1(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // narrow_out_grad_at_0: device 0 → 1, 512 B a row; narrow reads it   parallel.mp:14
  part.narrow_out_grad_at_0_on_1 =
      transfer(d0, part.narrow_out_grad_at_0, d1, d1.rows<float>(2048), rows * 128);
}

void Parallel::weights_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // narrow = Linear(512, 128)                                            parallel.mp:5
  float *const narrow_bias_at_0_grad = d0.gradients() + 49408; // [out 128]
  reduce(d0, Reduction::sum, Shape{rows, 128}, 1u << 0, part.narrow_out_grad_at_0,
         narrow_bias_at_0_grad, part.store);
  float *const wide_relu_grad_at_0 = d0.rows<float>(1024); // [rows, out 256]
  matmul(d0, 1, rows, 256, 128, Transpose::no, Transpose::no, part.narrow_out_grad_at_0,
         narrow_weight_at_0_, wide_relu_grad_at_0);
  float *const narrow_weight_at_0_grad = d0.gradients() + 16640; // [out 128, in 256]
  matmul(d0, 1, 128, 256, rows, Transpose::yes, Transpose::no, part.narrow_out_grad_at_0,
         part.wide_relu_at_0, narrow_weight_at_0_grad, part.store);

  // relu gradient                                                        parallel.mp:14
  float *const wide_out_grad_at_0 = d0.rows<float>(0); // [rows, out 256]
  map(d0, rows * 256, ReluGradient{}, wide_out_grad_at_0, part.wide_relu_at_0, wide_relu_grad_at_0);

  // wide = Linear(64, 512)                                               parallel.mp:4
  float *const wide_bias_at_0_grad = d0.gradients() + 16384; // [out 256]
  reduce(d0, Reduction::sum, Shape{rows, 256}, 1u << 0, wide_out_grad_at_0, wide_bias_at_0_grad,
         part.store);
  float *const wide_weight_at_0_grad = d0.gradients(); // [out 256, in 64]
  matmul(d0, 1, 256, 64, rows, Transpose::yes, Transpose::no, wide_out_grad_at_0, part.image,
         wide_weight_at_0_grad, part.store);
}

void Parallel::weights_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // narrow = Linear(512, 128)                                            parallel.mp:5
  float *const narrow_bias_at_1_grad = d1.gradients() + 49408; // [out 128]
  reduce(d1, Reduction::sum, Shape{rows, 128}, 1u << 0, part.narrow_out_grad_at_0_on_1,
         narrow_bias_at_1_grad, part.store);
  float *const wide_relu_grad_at_1 = d1.rows<float>(1024); // [rows, out 256]
  matmul(d1, 1, rows, 256, 128, Transpose::no, Transpose::no, part.narrow_out_grad_at_0_on_1,
         narrow_weight_at_1_, wide_relu_grad_at_1);
  float *const narrow_weight_at_1_grad = d1.gradients() + 16640; // [out 128, in 256]
  matmul(d1, 1, 128, 256, rows, Transpose::yes, Transpose::no, part.narrow_out_grad_at_0_on_1,
         part.wide_relu_at_1, narrow_weight_at_1_grad, part.store);

  // relu gradient                                                        parallel.mp:14
  float *const wide_out_grad_at_1 = d1.rows<float>(0); // [rows, out 256]
  map(d1, rows * 256, ReluGradient{}, wide_out_grad_at_1, part.wide_relu_at_1, wide_relu_grad_at_1);

  // wide = Linear(64, 512)                                               parallel.mp:4
  float *const wide_bias_at_1_grad = d1.gradients() + 16384; // [out 256]
  reduce(d1, Reduction::sum, Shape{rows, 256}, 1u << 0, wide_out_grad_at_1, wide_bias_at_1_grad,
         part.store);
  float *const wide_weight_at_1_grad = d1.gradients(); // [out 256, in 64]
  matmul(d1, 1, 256, 64, rows, Transpose::yes, Transpose::no, wide_out_grad_at_1, part.image,
         wide_weight_at_1_grad, part.store);
}

void Parallel::reduce_scatter_on_2(Part &part) {
  Device &d2 = part.device(2);

  // each replica adds up its share over all of them
  reduce_scatter_gradients(part, d2, 0, 35600);
  reduce_scatter(part, d2, d2.fixed<float>(0), 1);
}

void Parallel::reduce_scatter_on_0(Part &part) {
  Device &d0 = part.device(0);

  // each replica adds up its share over all of them
  reduce_scatter_gradients(part, d0, 0, 49536);
}

void Parallel::reduce_scatter_on_1(Part &part) {
  Device &d1 = part.device(1);

  // each replica adds up its share over all of them
  reduce_scatter_gradients(part, d1, 0, 49536);
}

void Parallel::all_gather_on_2(Part &part) {
  Device &d2 = part.device(2);

  // and fetches what the others have added up or updated
  all_gather_gradients(part, d2, 0, 35600);
  all_gather(part, d2, d2.fixed<float>(0), 1);
}

void Parallel::all_gather_on_0(Part &part) {
  Device &d0 = part.device(0);

  // and fetches what the others have added up or updated
  all_gather_gradients(part, d0, 0, 49536);
}

void Parallel::all_gather_on_1(Part &part) {
  Device &d1 = part.device(1);

  // and fetches what the others have added up or updated
  all_gather_gradients(part, d1, 0, 49536);
}

void Parallel::finish_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 parallel.mp:18
  float *const loss_sum = d2.fixed<float>(0); // []
  loss_ = d2.fixed<float>(0);                 // []
  map(d2, 1, DivideByCount{float(rows)}, loss_, loss_sum);
}

void Parallel::update_on_0(Part &part) {
  Device &d0 = part.device(0);
  adamw(d0, optimizer(), step());
}

void Parallel::update_on_1(Part &part) {
  Device &d1 = part.device(1);
  adamw(d1, optimizer(), step());
}

void Parallel::update_on_2(Part &part) {
  Device &d2 = part.device(2);
  adamw(d2, optimizer(), step());
}

float Parallel::evaluate(const Batch &batch, const void *&output) {
  check(batch);
  if (batch.rows > largest_share())
    return evaluate_on_replicas(batch, output);
  Part whole(*this, batch.rows);

  // 64 rows of a microbatch at a time go through all layers, in the memory of one; the output is
  // kept.
  for_each_part(whole, 64, [&](Part &part) {
    part.image = input_rows<float>(part, batch, 0, 64);
    part.target = target_rows<int32_t>(part, batch, 1);

    evaluate_on_0(part); // wide, narrow
    evaluate_on_1(part); // wide, narrow
    evaluate_1_to_0(part);
    evaluate_on_0_part_2(part);
    evaluate_0_to_2(part);
    evaluate_on_2(part);      // hidden, digit
    evaluate_loss_on_2(part); // loss
    keep_output(part, 2, part.digit_out);
  });
  sum_over_threads<float>(whole, 2, 0, 1); // loss_sum
  finish_evaluate_on_2(whole);             // loss

  output = output_for_target(2, kept_output(2), batch.rows);
  return value_from(2, evaluated_loss_);
}

void Parallel::evaluate_on_0(Part &part) {
  if (!has_device(0))
    return; // another process has it
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // wide = Linear(64, 512)                                               parallel.mp:4
  float *const wide_relu_at_0 = d0.rows<float>(0); // [rows, out 256]
  linear(d0, rows, 64, 256, part.image, wide_weight_at_0_, wide_bias_at_0_, Activation::relu,
         wide_relu_at_0);

  // narrow = Linear(512, 128)                                            parallel.mp:5
  part.narrow_h_at_0 = d0.rows<float>(1024); // [rows, out 128]
  matmul(d0, 1, rows, 128, 256, Transpose::no, Transpose::yes, wide_relu_at_0, narrow_weight_at_0_,
         part.narrow_h_at_0);
}

void Parallel::evaluate_on_1(Part &part) {
  if (!has_device(1))
    return; // another process has it
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // wide = Linear(64, 512)                                               parallel.mp:4
  float *const wide_relu_at_1 = d1.rows<float>(0); // [rows, out 256]
  linear(d1, rows, 64, 256, part.image, wide_weight_at_1_, wide_bias_at_1_, Activation::relu,
         wide_relu_at_1);

  // narrow = Linear(512, 128)                                            parallel.mp:5
  part.narrow_h_at_1 = d1.rows<float>(1024); // [rows, out 128]
  matmul(d1, 1, rows, 128, 256, Transpose::no, Transpose::yes, wide_relu_at_1, narrow_weight_at_1_,
         part.narrow_h_at_1);
}

void Parallel::evaluate_1_to_0(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // narrow_h_at_1: device 1 → 0, 512 B a row                           parallel.mp:14
  part.narrow_h_at_1_on_0 = transfer(d1, part.narrow_h_at_1, d0, d0.rows<float>(0), rows * 128);
}

void Parallel::evaluate_on_0_part_2(Part &part) {
  if (!has_device(0))
    return; // another process has it
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // add add relu                                                         parallel.mp:14
  part.narrow_relu_at_0 = d0.rows<float>(1024); // [rows, out 128]
  map(d0, Shape{rows, 128}, AddAddRelu{}, part.narrow_relu_at_0,
      strided(part.narrow_h_at_0, {128, 1}), strided(part.narrow_h_at_1_on_0, {128, 1}),
      strided(narrow_bias_at_0_, {0, 1}));
}

void Parallel::evaluate_0_to_2(Part &part) {
  Device &d0 = part.device(0);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // narrow_relu_at_0: device 0 → 2, 512 B a row; hidden reads it       parallel.mp:14
  part.narrow_relu_at_0_on_2 =
      transfer(d0, part.narrow_relu_at_0, d2, d2.rows<float>(1024), rows * 128);
}

void Parallel::evaluate_on_2(Part &part) {
  if (!has_device(2))
    return; // another process has it
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // hidden = Linear(128, 256)                                            parallel.mp:8
  float *const hidden_relu = d2.rows<float>(0); // [rows, out 256]
  linear(d2, rows, 128, 256, part.narrow_relu_at_0_on_2, hidden_weight_, hidden_bias_,
         Activation::relu, hidden_relu);

  // digit = Linear(256, 10)                                              parallel.mp:9
  part.digit_out = d2.rows<float>(1024); // [rows, out 10]
  linear(d2, rows, 256, 10, hidden_relu, digit_weight_, digit_bias_, Activation::none,
         part.digit_out);
}

void Parallel::evaluate_loss_on_2(Part &part) {
  if (!has_device(2))
    return; // another process has it
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 parallel.mp:18
  float *const loss_cross_entropy = d2.rows<float>(0); // [rows]
  cross_entropy(d2, rows, 10, part.digit_out, part.target, loss_cross_entropy);
  float *const loss_sum = d2.fixed<float>(0); // []
  reduce(d2, Reduction::sum, Shape{rows}, 1u << 0, loss_cross_entropy, loss_sum, part.store);
}

void Parallel::finish_evaluate_on_2(Part &part) {
  if (!has_device(2))
    return; // another process has it
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 parallel.mp:18
  float *const loss_sum = d2.fixed<float>(0); // []
  evaluated_loss_ = d2.fixed<float>(0);       // []
  map(d2, 1, DivideByCount{float(rows)}, evaluated_loss_, loss_sum);
}

const void *Parallel::predict(const Batch &batch) {
  check(batch);
  if (batch.rows > largest_share())
    return predict_on_replicas(batch);
  Part whole(*this, batch.rows);

  // 64 rows of a microbatch at a time go through all layers, in the memory of one; the output is
  // kept.
  for_each_part(whole, 64, [&](Part &part) {
    part.image = input_rows<float>(part, batch, 0, 64);

    evaluate_on_0(part); // wide, narrow
    evaluate_on_1(part); // wide, narrow
    evaluate_1_to_0(part);
    evaluate_on_0_part_2(part);
    evaluate_0_to_2(part);
    evaluate_on_2(part); // hidden, digit
    keep_output(part, 2, part.digit_out);
  });

  return output_from(2, kept_output(2), batch.rows);
}

float Parallel::train_step(const float *image, const int32_t *target, int64_t rows) {
  return train_step(Batch{rows, {image}, target});
}

const float *Parallel::forward(const float *image, int64_t rows) {
  return static_cast<const float *>(predict(Batch{rows, {image}, nullptr}));
}

Parallel::Parallel(const Settings &settings) : Model(describe(), settings) {
  add_replicas<Parallel>(settings);
}

int main(int argc, char **argv) {
  return run_program(argc, argv, Parallel::describe(),
                     [](const Settings &settings) -> std::unique_ptr<Model> {
                       return std::make_unique<Parallel>(settings);
                     });
}

// In the order of the schedule below.
const Parallel::Stage Parallel::stages_[] = {
    &Parallel::forward_on_0,        &Parallel::forward_on_1,        &Parallel::transfer_1_to_0,
    &Parallel::forward_on_0_part_2, &Parallel::transfer_0_to_2,     &Parallel::forward_on_2,
    &Parallel::backward_on_2,       &Parallel::transfer_2_to_0,     &Parallel::weights_on_2,
    &Parallel::backward_on_0,       &Parallel::transfer_0_to_1,     &Parallel::weights_on_0,
    &Parallel::weights_on_1,        &Parallel::reduce_scatter_on_2, &Parallel::reduce_scatter_on_0,
    &Parallel::reduce_scatter_on_1, &Parallel::all_gather_on_2,     &Parallel::all_gather_on_0,
    &Parallel::all_gather_on_1,     &Parallel::finish_on_2,         &Parallel::update_on_0,
    &Parallel::update_on_1,         &Parallel::update_on_2};

ModelDescription Parallel::describe() {
  ModelDescription description;
  description.name = "Parallel";
  description.source = "parallel.mp";

  // of each: floats of parameters, of those trained; bytes of activations, bytes a row,
  // and what rows are rounded up to a multiple of
  description.devices = {
      {49536, 49536, 0, 3072, 1},
      {49536, 49536, 0, 2560, 1},
      {35600, 35600, 256, 3112, 64},
  };
  description.devices[0].slots = 4; // microbatches that have values there at once
  description.devices[0].microbatches = 4;
  description.devices[1].slots = 3; // microbatches that have values there at once
  description.devices[1].microbatches = 4;
  description.devices[2].slots = 2; // microbatches that have values there at once
  description.devices[2].microbatches = 4;
  description.devices[2].output_row_bytes = 40;

  using Initial = Initializer::Kind;
  const auto add = [&](const char *name, std::initializer_list<int64_t> shape, int device,
                       int64_t offset, Initializer initializer) {
    description.parameters.push_back({name, shape, device, offset, initializer});
  };
  // name, shape, device, place in its device's parameters, first values
  add("wide.weight", {512, 64}, 0, 0, {Initial::kaiming_uniform, 64.0, 0.0});
  description.parameters.back().pieces.push_back({0, 0, {{512, 64}, {0, 0}, {256, 64}}});
  description.parameters.back().pieces.push_back({1, 0, {{512, 64}, {256, 0}, {512, 64}}});
  add("wide.bias", {512}, 0, 16384, {Initial::uniform, -0.125, 0.125});
  description.parameters.back().pieces.push_back({0, 16384, {{512}, {0}, {256}}});
  description.parameters.back().pieces.push_back({1, 16384, {{512}, {256}, {512}}});
  add("narrow.weight", {128, 512}, 0, 16640, {Initial::kaiming_uniform, 512.0, 0.0});
  description.parameters.back().pieces.push_back({0, 16640, {{128, 512}, {0, 0}, {128, 256}}});
  description.parameters.back().pieces.push_back({1, 16640, {{128, 512}, {0, 256}, {128, 512}}});
  add("narrow.bias", {128}, 0, 49408,
      {Initial::uniform, -0.044194173824159216, 0.044194173824159216});
  description.parameters.back().pieces.push_back({0, 49408, {{128}, {0}, {128}}});
  description.parameters.back().pieces.push_back({1, 49408, {{128}, {0}, {128}}});
  add("hidden.weight", {256, 128}, 2, 0, {Initial::kaiming_uniform, 128.0, 0.0});
  add("hidden.bias", {256}, 2, 32768,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("digit.weight", {10, 256}, 2, 33024, {Initial::kaiming_uniform, 256.0, 0.0});
  add("digit.bias", {10}, 2, 35584, {Initial::uniform, -0.0625, 0.0625});

  description.inputs = {{"image", ElementType::f32, {64}, {0, 1}}};
  description.row_multiplications = 368128;
  description.replicas = 2;
  description.target = {"target", ElementType::i32, {}, {2}};
  description.output = {"output", ElementType::f32, {10}};
  description.classes = 10;

  TrainingDefaults &training = description.training;
  training.data.kind = DataSource::Kind::csv;
  training.data.path = "../digits/digits.csv";
  training.data.test = 0.2;
  training.epochs = 10;
  training.batch = 32;
  training.shuffle = true;
  training.seed = 0;
  training.optimizer.kind = OptimizerSettings::Kind::adamw;
  training.optimizer.beta1 = 0.9;
  training.optimizer.beta2 = 0.999;
  training.optimizer.eps = 1e-08;
  training.optimizer.lr = 0.001;
  training.optimizer.weight_decay = 0.01;

  Schedule &schedule = description.schedule;
  schedule.microbatches = 4;
  schedule.part_rows = 64;
  // Stages, in the order of train_step: device, how they stand towards the microbatches, function,
  // and where their first layer is declared; of transfers the sender, bytes a row, and bytes
  // besides. Of collectives no sender, and the bytes that replicas sum or gather.
  using When = StageDescription::When;
  schedule.stages = {
      {0, When::during, "forward_on_0", "parallel.mp:4"},
      {1, When::during, "forward_on_1", "parallel.mp:4"},
      {0, When::during, "transfer_1_to_0", "parallel.mp:5", 1, 512, 0},
      {0, When::during, "forward_on_0_part_2", "parallel.mp:14"},
      {2, When::during, "transfer_0_to_2", "parallel.mp:8", 0, 512, 0},
      {2, When::during, "forward_on_2", "parallel.mp:8"},
      {2, When::during, "backward_on_2", "parallel.mp:18"},
      {0, When::during, "transfer_2_to_0", "parallel.mp:14", 2, 512, 0},
      {2, When::during, "weights_on_2", "parallel.mp:9"},
      {0, When::during, "backward_on_0", "parallel.mp:14"},
      {1, When::during, "transfer_0_to_1", "parallel.mp:5", 0, 512, 0},
      {0, When::during, "weights_on_0", "parallel.mp:5"},
      {1, When::during, "weights_on_1", "parallel.mp:5"},
      {2, When::after, "reduce_scatter_on_2", "parallel.mp:18", -1, 0, 142404},
      {0, When::after, "reduce_scatter_on_0", "parallel.mp:18", -1, 0, 198144},
      {1, When::after, "reduce_scatter_on_1", "parallel.mp:18", -1, 0, 198144},
      {2, When::after, "all_gather_on_2", "parallel.mp:18", -1, 0, 142404},
      {0, When::after, "all_gather_on_0", "parallel.mp:18", -1, 0, 198144},
      {1, When::after, "all_gather_on_1", "parallel.mp:18", -1, 0, 198144},
      {2, When::after, "finish_on_2", "parallel.mp:18"},
      {0, When::after, "update_on_0", "parallel.mp:18"},
      {1, When::after, "update_on_1", "parallel.mp:18"},
      {2, When::after, "update_on_2", "parallel.mp:18"},
  };
  // Their turns where devices have workers: stage, microbatch, and a device of which so many turns
  // must have finished first.
  static constexpr TurnEntry turns[] = {
      {0, 0},  {1, 0},         {2, 0, 1, 1}, {3, 0},         {1, 1},         {4, 0, 0, 3},
      {5, 0},  {0, 1},         {6, 0},       {1, 2},         {2, 1, 1, 2},   {3, 1},
      {0, 2},  {8, 0},         {7, 0, 2, 3}, {9, 0},         {10, 0, 0, 9},  {11, 0},
      {12, 0}, {4, 1, 0, 6},   {5, 1},       {6, 1},         {8, 1},         {7, 1, 2, 7},
      {9, 1},  {1, 3},         {11, 1},      {10, 1, 0, 12}, {12, 1},        {2, 2, 1, 3},
      {3, 2},  {4, 2, 0, 15},  {5, 2},       {0, 3},         {6, 2},         {2, 3, 1, 6},
      {3, 3},  {7, 2, 2, 11},  {8, 2},       {9, 2},         {10, 2, 0, 20}, {11, 2},
      {12, 2}, {4, 3, 0, 18},  {5, 3},       {6, 3},         {7, 3, 2, 15},  {8, 3},
      {9, 3},  {10, 3, 0, 23}, {11, 3},      {12, 3},        {13, 0},        {14, 0},
      {15, 0}, {16, 0},        {17, 0},      {18, 0},        {19, 0},        {20, 0},
      {21, 0}, {22, 0}};
  schedule.turns = make_turns(std::begin(turns), std::end(turns));
  // What stages wait for in all other replicas: a device there, and so many of its turns.
  schedule.peer_waits = {{13, 2, 16}, {14, 0, 24}, {15, 1, 12}, {16, 2, 17},
                         {17, 0, 25}, {18, 1, 13}, {19, 2, 18}};
  describe_accesses(schedule);
  return description;
}

// What stages read that others wrote, and what they write, which --check holds the turns to: stage,
// device, the first byte of a region, and the one after the last; of rows, a row.
void Parallel::describe_accesses(Schedule &schedule) {
  using Region = MemoryAccess::Region;
  schedule.reads = {
      // forward_on_0
      {0, 0, Region::parameters, 0, 197632},
      // forward_on_1
      {1, 1, Region::parameters, 0, 197632},
      // transfer_1_to_0
      {2, 1, Region::rows, 1024, 1536},
      // forward_on_0_part_2
      {3, 0, Region::parameters, 197632, 198144},
      {3, 0, Region::rows, 1024, 1536},
      {3, 0, Region::rows, 2048, 2560},
      // transfer_0_to_2
      {4, 0, Region::rows, 2048, 2560},
      // forward_on_2
      {5, 2, Region::parameters, 0, 142376},
      {5, 2, Region::rows, 2048, 2560},
      // backward_on_2
      {6, 2, Region::parameters, 0, 131072},
      {6, 2, Region::parameters, 132096, 142336},
      {6, 2, Region::rows, 0, 1064},
      // transfer_2_to_0
      {7, 2, Region::rows, 2560, 3072},
      // weights_on_2
      {8, 2, Region::rows, 0, 2560},
      {8, 2, Region::rows, 3072, 3112},
      // backward_on_0
      {9, 0, Region::rows, 1024, 1536},
      {9, 0, Region::rows, 2048, 2560},
      // transfer_0_to_1
      {10, 0, Region::rows, 2560, 3072},
      // weights_on_0
      {11, 0, Region::parameters, 66560, 197632},
      {11, 0, Region::rows, 0, 1024},
      {11, 0, Region::rows, 2560, 3072},
      // weights_on_1
      {12, 1, Region::parameters, 66560, 197632},
      {12, 1, Region::rows, 0, 1024},
      {12, 1, Region::rows, 2048, 2560},
      // finish_on_2
      {19, 2, Region::fixed, 0, 4},
      // update_on_0
      {20, 0, Region::gradients, 0, 198144},
      // update_on_1
      {21, 1, Region::gradients, 0, 198144},
      // update_on_2
      {22, 2, Region::gradients, 0, 142400},
  };
  schedule.writes = {
      // forward_on_0
      {0, 0, Region::rows, 0, 1024},
      {0, 0, Region::rows, 2048, 2560},
      // forward_on_1
      {1, 1, Region::rows, 0, 1536},
      // transfer_1_to_0
      {2, 0, Region::rows, 1024, 1536},
      // forward_on_0_part_2
      {3, 0, Region::rows, 2048, 2560},
      // transfer_0_to_2
      {4, 2, Region::rows, 2048, 2560},
      // forward_on_2
      {5, 2, Region::fixed, 0, 4},
      {5, 2, Region::rows, 0, 1068},
      // backward_on_2
      {6, 2, Region::rows, 1024, 2048},
      {6, 2, Region::rows, 2560, 3112},
      // transfer_2_to_0
      {7, 0, Region::rows, 1024, 1536},
      // weights_on_2
      {8, 2, Region::gradients, 0, 142376},
      // backward_on_0
      {9, 0, Region::rows, 2560, 3072},
      // transfer_0_to_1
      {10, 1, Region::rows, 2048, 2560},
      // weights_on_0
      {11, 0, Region::gradients, 0, 198144},
      {11, 0, Region::rows, 0, 2048},
      // weights_on_1
      {12, 1, Region::gradients, 0, 198144},
      {12, 1, Region::rows, 0, 2048},
      // finish_on_2
      {19, 2, Region::fixed, 0, 4},
      // update_on_0
      {20, 0, Region::parameters, 0, 198144},
      // update_on_1
      {21, 1, Region::parameters, 0, 198144},
      // update_on_2
      {22, 2, Region::parameters, 0, 142400},
  };
  // The same of what replicas add up (false) or gather (true), a share each.
  schedule.collectives = {
      {13, 2, Region::gradients, 0, 142400, false}, {13, 2, Region::fixed, 0, 4, false},
      {14, 0, Region::gradients, 0, 198144, false}, {15, 1, Region::gradients, 0, 198144, false},
      {16, 2, Region::gradients, 0, 142400, true},  {16, 2, Region::fixed, 0, 4, true},
      {17, 0, Region::gradients, 0, 198144, true},  {18, 1, Region::gradients, 0, 198144, true}};
}
