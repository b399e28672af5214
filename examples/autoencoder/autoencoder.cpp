// Autoencoder on 4 devices, from autoencoder.mp.
// Written by mparc 0.1.0: mparc autoencoder.mp -o autoencoder.cpp
//
// device 0: layer1, layer2
//   arena 677,888 B at batch 32: 36,224 parameters with gradients and optimiser's state 579,584 B,
//     activations 0 B + 3,072 B a row
// device 1: layer3, layer4
//   arena 191,744 B at batch 32: 8,776 parameters with gradients and optimiser's state 140,544 B,
//     activations 0 B + 1,600 B a row
// device 2: layer5, layer6
//   arena 200,704 B at batch 32: 8,896 parameters with gradients and optimiser's state 142,336 B,
//     activations 0 B + 1,824 B a row
// device 3: layer7, layer8
//   arena 677,888 B at batch 32: 36,108 parameters with gradients and optimiser's state 577,792 B,
//     activations 256 B + 3,120 B a row
// transfers a step: 3 forward, 3 backward
//   forward: 0 → 1 512 B a row, 1 → 2 32 B a row, 2 → 3 512 B a row
//   backward: 3 → 2 512 B a row, 2 → 1 32 B a row, 1 → 0 512 B a row

#include "mpar/mpar.h"

#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <vector>

using namespace mpar;

// What the loops compute of one element each.
namespace {

struct Sub {
  MPAR_HOST_DEVICE float operator()(float a, float b) const { return a - b; }
};

struct Square {
  MPAR_HOST_DEVICE float operator()(float a) const { return a * a; }
};

struct MeanSquareGradient {
  float count;
  MPAR_HOST_DEVICE float operator()(float a) const {
    const float product = 1.0f / count * a;
    return product + product;
  }
};

struct ReluGradient {
  MPAR_HOST_DEVICE float operator()(float a, float b) const { return a > 0.0f ? b : 0.0f; }
};

struct DivideByCount {
  float count;
  MPAR_HOST_DEVICE float operator()(float a) const { return a / count; }
};

struct SquaredDifference {
  MPAR_HOST_DEVICE float operator()(float a, float b) const {
    const float difference = a - b;
    return difference * difference;
  }
};

} // namespace

class Autoencoder final : public mpar::Model {
public:
  explicit Autoencoder(const mpar::Settings &settings = {});

  /// Forward, backward and update on at most largest_batch() rows. Returns their loss.
  float train_step(const mpar::Batch &batch) override;
  /// The loss of the rows without training. `output` lives until the next call.
  float evaluate(const mpar::Batch &batch, const void *&output) override;
  /// The output, which lives until the next call.
  const void *predict(const mpar::Batch &batch) override;

  /// The same on x [rows, 12], target [rows, out 12], contiguous.
  float train_step(const float *x, const float *target, int64_t rows);
  /// x [rows, 12] → [rows, out 12], which lives until the next call.
  const float *forward(const float *x, int64_t rows);

  /// Devices, parameters and training, as the runtime reads them.
  static mpar::ModelDescription describe();

private:
  /// Rows that are worked on together, and the values that one function computes of them and
  /// another reads.
  struct Part : mpar::BatchPart {
    using BatchPart::BatchPart;

    const float *x = nullptr;                     // [rows, 12]
    const float *target = nullptr;                // [rows, out 12]
    float *layer1_relu = nullptr;                 // [rows, out 256]
    float *layer2_relu = nullptr;                 // [rows, out 128]
    const float *layer2_relu_on_1 = nullptr;      // [rows, out 128]
    float *layer3_relu = nullptr;                 // [rows, out 64]
    float *h = nullptr;                           // [rows, out 8]
    const float *h_on_2 = nullptr;                // [rows, out 8]
    float *layer5_relu = nullptr;                 // [rows, out 64]
    float *layer6_relu = nullptr;                 // [rows, out 128]
    const float *layer6_relu_on_3 = nullptr;      // [rows, out 128]
    float *layer7_relu = nullptr;                 // [rows, out 256]
    float *loss_difference = nullptr;             // [rows, out 12]
    float *loss_difference_grad = nullptr;        // [rows, out 12]
    float *layer7_out_grad = nullptr;             // [rows, out 256]
    float *layer6_relu_grad = nullptr;            // [rows, out 128]
    const float *layer6_relu_grad_on_2 = nullptr; // [rows, out 128]
    float *layer6_out_grad = nullptr;             // [rows, out 128]
    float *layer5_out_grad = nullptr;             // [rows, out 64]
    float *h_grad = nullptr;                      // [rows, out 8]
    const float *h_grad_on_1 = nullptr;           // [rows, out 8]
    float *layer4_out_grad = nullptr;             // [rows, out 8]
    float *layer3_out_grad = nullptr;             // [rows, out 64]
    float *layer2_relu_grad = nullptr;            // [rows, out 128]
    const float *layer2_relu_grad_on_0 = nullptr; // [rows, out 128]
    float *layer8_out = nullptr;                  // [rows, out 12]
  };

  void forward_on_0(Part &part);
  void transfer_0_to_1(Part &part);
  void forward_on_1(Part &part);
  void transfer_1_to_2(Part &part);
  void forward_on_2(Part &part);
  void transfer_2_to_3(Part &part);
  void forward_on_3(Part &part);
  void backward_on_3(Part &part);
  void transfer_3_to_2(Part &part);
  void weights_on_3(Part &part);
  void backward_on_2(Part &part);
  void transfer_2_to_1(Part &part);
  void weights_on_2(Part &part);
  void backward_on_1(Part &part);
  void transfer_1_to_0(Part &part);
  void weights_on_1(Part &part);
  void weights_on_0(Part &part);
  void finish_on_3(Part &part);
  void update_on_0(Part &part);
  void update_on_1(Part &part);
  void update_on_2(Part &part);
  void update_on_3(Part &part);
  void evaluate_on_0(Part &part);
  void evaluate_on_1(Part &part);
  void evaluate_1_to_2(Part &part);
  void evaluate_on_2(Part &part);
  void evaluate_2_to_3(Part &part);
  void evaluate_on_3(Part &part);
  void evaluate_loss_on_3(Part &part);
  static void describe_accesses(mpar::Schedule &schedule);

  // Parameters, in the arenas of their devices.
  float *const layer1_weight_ = device(0).parameters();         // [out 256, in 12]
  float *const layer1_bias_ = device(0).parameters() + 3072;    // [out 256]
  float *const layer2_weight_ = device(0).parameters() + 3328;  // [out 128, in 256]
  float *const layer2_bias_ = device(0).parameters() + 36096;   // [out 128]
  float *const layer3_weight_ = device(1).parameters();         // [out 64, in 128]
  float *const layer3_bias_ = device(1).parameters() + 8192;    // [out 64]
  float *const layer4_weight_ = device(1).parameters() + 8256;  // [out 8, in 64]
  float *const layer4_bias_ = device(1).parameters() + 8768;    // [out 8]
  float *const layer5_weight_ = device(2).parameters();         // [out 64, in 8]
  float *const layer5_bias_ = device(2).parameters() + 512;     // [out 64]
  float *const layer6_weight_ = device(2).parameters() + 576;   // [out 128, in 64]
  float *const layer6_bias_ = device(2).parameters() + 8768;    // [out 128]
  float *const layer7_weight_ = device(3).parameters();         // [out 256, in 128]
  float *const layer7_bias_ = device(3).parameters() + 32768;   // [out 256]
  float *const layer8_weight_ = device(3).parameters() + 33024; // [out 12, in 256]
  float *const layer8_bias_ = device(3).parameters() + 36096;   // [out 12]

  // Stages of a step by number, and parts of microbatches, where devices have workers.
  using Stage = void (Autoencoder::*)(Part &);
  static const Stage stages_[];
  std::vector<Part> parts_;

  // Values of all rows together; they live for a call.
  float *loss_ = nullptr;           // []
  float *evaluated_loss_ = nullptr; // []
};

float Autoencoder::train_step(const Batch &batch) {
  check(batch);
  ++step();
  Part whole(*this, batch.rows);
  const auto begin = [&](Part &part) {
    part.x = input_rows<float>(part, batch, 0, 12);
    part.target = target_rows<float>(part, batch, 12);
  };
  if (workers()) {
    run_turns(whole, parts_, begin,
              [this](Part &part, int stage) { (this->*stages_[stage])(part); });
    return value_from(3, loss_);
  }

  // 64 rows at a time go through all layers and back: what one leaves in the cache the next finds
  // there. Sums over the batch are sums over these parts, in order.
  for_each_part(whole, 64, [&](Part &part) {
    begin(part);

    forward_on_0(part); // layer1, layer2
    transfer_0_to_1(part);
    forward_on_1(part); // layer3, layer4
    transfer_1_to_2(part);
    forward_on_2(part); // layer5, layer6
    transfer_2_to_3(part);
    forward_on_3(part);  // layer7, layer8, loss
    backward_on_3(part); // loss, layer8, layer7
    transfer_3_to_2(part);
    weights_on_3(part);  // layer8, layer7
    backward_on_2(part); // layer6, layer5
    transfer_2_to_1(part);
    weights_on_2(part);  // layer6, layer5
    backward_on_1(part); // layer4, layer3
    transfer_1_to_0(part);
    weights_on_1(part); // layer4, layer3
    weights_on_0(part); // layer2, layer1
  });
  sum_over_threads<float>(whole, 3, 0, 1); // loss_sum
  finish_on_3(whole);                      // loss
  for_each_share(whole, [&](Part &part) {
    update_on_0(part);
    update_on_1(part);
    update_on_2(part);
    update_on_3(part);
  });

  return value_from(3, loss_);
}

void Autoencoder::forward_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // layer1 = Linear(12, 256)                                             autoencoder.mp:3
  part.layer1_relu = d0.rows<float>(0); // [rows, out 256]
  linear(d0, rows, 12, 256, part.x, layer1_weight_, layer1_bias_, Activation::relu,
         part.layer1_relu);

  // layer2 = Linear(256, 128)                                            autoencoder.mp:4
  part.layer2_relu = d0.rows<float>(2048); // [rows, out 128]
  linear(d0, rows, 256, 128, part.layer1_relu, layer2_weight_, layer2_bias_, Activation::relu,
         part.layer2_relu);
}

void Autoencoder::transfer_0_to_1(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // layer2_relu: device 0 → 1, 512 B a row; layer3 reads it            autoencoder.mp:13
  part.layer2_relu_on_1 = transfer(d0, part.layer2_relu, d1, d1.rows<float>(0), rows * 128);
}

void Autoencoder::forward_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // layer3 = Linear(128, 64)                                             autoencoder.mp:5
  part.layer3_relu = d1.rows<float>(1024); // [rows, out 64]
  linear(d1, rows, 128, 64, part.layer2_relu_on_1, layer3_weight_, layer3_bias_, Activation::relu,
         part.layer3_relu);

  // layer4 = Linear(64, 8)                                               autoencoder.mp:6
  part.h = d1.rows<float>(1536); // [rows, out 8]
  linear(d1, rows, 64, 8, part.layer3_relu, layer4_weight_, layer4_bias_, Activation::relu, part.h);
}

void Autoencoder::transfer_1_to_2(Part &part) {
  Device &d1 = part.device(1);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // h: device 1 → 2, 32 B a row; layer5 reads it                       autoencoder.mp:13
  part.h_on_2 = transfer(d1, part.h, d2, d2.rows<float>(1792), rows * 8);
}

void Autoencoder::forward_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // layer5 = Linear(8, 64)                                               autoencoder.mp:7
  part.layer5_relu = d2.rows<float>(1536); // [rows, out 64]
  linear(d2, rows, 8, 64, part.h_on_2, layer5_weight_, layer5_bias_, Activation::relu,
         part.layer5_relu);

  // layer6 = Linear(64, 128)                                             autoencoder.mp:8
  part.layer6_relu = d2.rows<float>(0); // [rows, out 128]
  linear(d2, rows, 64, 128, part.layer5_relu, layer6_weight_, layer6_bias_, Activation::relu,
         part.layer6_relu);
}

void Autoencoder::transfer_2_to_3(Part &part) {
  Device &d2 = part.device(2);
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // layer6_relu: device 2 → 3, 512 B a row; layer7 reads it            autoencoder.mp:14
  part.layer6_relu_on_3 = transfer(d2, part.layer6_relu, d3, d3.rows<float>(2048), rows * 128);
}

void Autoencoder::forward_on_3(Part &part) {
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // layer7 = Linear(128, 256)                                            autoencoder.mp:9
  part.layer7_relu = d3.rows<float>(0); // [rows, out 256]
  linear(d3, rows, 128, 256, part.layer6_relu_on_3, layer7_weight_, layer7_bias_, Activation::relu,
         part.layer7_relu);

  // layer8 = Linear(256, 12)                                             autoencoder.mp:10
  float *const layer8_out = d3.rows<float>(3072); // [rows, out 12]
  linear(d3, rows, 256, 12, part.layer7_relu, layer8_weight_, layer8_bias_, Activation::none,
         layer8_out);

  // loss = mse                                                           autoencoder.mp:18
  part.loss_difference = d3.rows<float>(3072); // [rows, out 12]
  map(d3, rows * 12, Sub{}, part.loss_difference, layer8_out, part.target);
  float *const loss_square = d3.rows<float>(1024); // [rows, out 12]
  map(d3, rows * 12, Square{}, loss_square, part.loss_difference);
  float *const loss_sum = d3.fixed<float>(0); // []
  reduce(d3, Reduction::sum, Shape{rows, 12}, 1u << 0 | 1u << 1, loss_square, loss_sum, part.store);
}

void Autoencoder::backward_on_3(Part &part) {
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // loss = mse                                                           autoencoder.mp:18
  part.loss_difference_grad = d3.rows<float>(3072); // [rows, out 12]
  map(d3, rows * 12, MeanSquareGradient{float(part.batch_rows * 12)}, part.loss_difference_grad,
      part.loss_difference);

  // layer8 = Linear(256, 12)                                             autoencoder.mp:10
  float *const layer7_relu_grad = d3.rows<float>(1024); // [rows, out 256]
  matmul(d3, 1, rows, 256, 12, Transpose::no, Transpose::no, part.loss_difference_grad,
         layer8_weight_, layer7_relu_grad);

  // relu gradient                                                        autoencoder.mp:14
  part.layer7_out_grad = d3.rows<float>(1024); // [rows, out 256]
  map(d3, rows * 256, ReluGradient{}, part.layer7_out_grad, part.layer7_relu, layer7_relu_grad);

  // layer7 = Linear(128, 256)                                            autoencoder.mp:9
  part.layer6_relu_grad = d3.rows<float>(2560); // [rows, out 128]
  matmul(d3, 1, rows, 128, 256, Transpose::no, Transpose::no, part.layer7_out_grad, layer7_weight_,
         part.layer6_relu_grad);
}

void Autoencoder::transfer_3_to_2(Part &part) {
  Device &d2 = part.device(2);
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // layer6_relu_grad: device 3 → 2, 512 B a row                        autoencoder.mp:14
  part.layer6_relu_grad_on_2 =
      transfer(d3, part.layer6_relu_grad, d2, d2.rows<float>(512), rows * 128);
}

void Autoencoder::weights_on_3(Part &part) {
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // layer8 = Linear(256, 12)                                             autoencoder.mp:10
  float *const layer8_bias_grad = d3.gradients() + 36096; // [out 12]
  reduce(d3, Reduction::sum, Shape{rows, 12}, 1u << 0, part.loss_difference_grad, layer8_bias_grad,
         part.store);
  float *const layer8_weight_grad = d3.gradients() + 33024; // [out 12, in 256]
  matmul(d3, 1, 12, 256, rows, Transpose::yes, Transpose::no, part.loss_difference_grad,
         part.layer7_relu, layer8_weight_grad, part.store);

  // layer7 = Linear(128, 256)                                            autoencoder.mp:9
  float *const layer7_bias_grad = d3.gradients() + 32768; // [out 256]
  reduce(d3, Reduction::sum, Shape{rows, 256}, 1u << 0, part.layer7_out_grad, layer7_bias_grad,
         part.store);
  float *const layer7_weight_grad = d3.gradients(); // [out 256, in 128]
  matmul(d3, 1, 256, 128, rows, Transpose::yes, Transpose::no, part.layer7_out_grad,
         part.layer6_relu_on_3, layer7_weight_grad, part.store);
}

void Autoencoder::backward_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // relu gradient                                                        autoencoder.mp:14
  part.layer6_out_grad = d2.rows<float>(1024); // [rows, out 128]
  map(d2, rows * 128, ReluGradient{}, part.layer6_out_grad, part.layer6_relu,
      part.layer6_relu_grad_on_2);

  // layer6 = Linear(64, 128)                                             autoencoder.mp:8
  float *const layer5_relu_grad = d2.rows<float>(512); // [rows, out 64]
  matmul(d2, 1, rows, 64, 128, Transpose::no, Transpose::no, part.layer6_out_grad, layer6_weight_,
         layer5_relu_grad);

  // relu gradient                                                        autoencoder.mp:14
  part.layer5_out_grad = d2.rows<float>(512); // [rows, out 64]
  map(d2, rows * 64, ReluGradient{}, part.layer5_out_grad, part.layer5_relu, layer5_relu_grad);

  // layer5 = Linear(8, 64)                                               autoencoder.mp:7
  part.h_grad = d2.rows<float>(768); // [rows, out 8]
  matmul(d2, 1, rows, 8, 64, Transpose::no, Transpose::no, part.layer5_out_grad, layer5_weight_,
         part.h_grad);
}

void Autoencoder::transfer_2_to_1(Part &part) {
  Device &d1 = part.device(1);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // h_grad: device 2 → 1, 32 B a row                                   autoencoder.mp:14
  part.h_grad_on_1 = transfer(d2, part.h_grad, d1, d1.rows<float>(512), rows * 8);
}

void Autoencoder::weights_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // layer6 = Linear(64, 128)                                             autoencoder.mp:8
  float *const layer6_bias_grad = d2.gradients() + 8768; // [out 128]
  reduce(d2, Reduction::sum, Shape{rows, 128}, 1u << 0, part.layer6_out_grad, layer6_bias_grad,
         part.store);
  float *const layer6_weight_grad = d2.gradients() + 576; // [out 128, in 64]
  matmul(d2, 1, 128, 64, rows, Transpose::yes, Transpose::no, part.layer6_out_grad,
         part.layer5_relu, layer6_weight_grad, part.store);

  // layer5 = Linear(8, 64)                                               autoencoder.mp:7
  float *const layer5_bias_grad = d2.gradients() + 512; // [out 64]
  reduce(d2, Reduction::sum, Shape{rows, 64}, 1u << 0, part.layer5_out_grad, layer5_bias_grad,
         part.store);
  float *const layer5_weight_grad = d2.gradients(); // [out 64, in 8]
  matmul(d2, 1, 64, 8, rows, Transpose::yes, Transpose::no, part.layer5_out_grad, part.h_on_2,
         layer5_weight_grad, part.store);
}

void Autoencoder::backward_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // relu gradient                                                        autoencoder.mp:13
  part.layer4_out_grad = d1.rows<float>(1568); // [rows, out 8]
  map(d1, rows * 8, ReluGradient{}, part.layer4_out_grad, part.h, part.h_grad_on_1);

  // layer4 = Linear(64, 8)                                               autoencoder.mp:6
  float *const layer3_relu_grad = d1.rows<float>(1280); // [rows, out 64]
  matmul(d1, 1, rows, 64, 8, Transpose::no, Transpose::no, part.layer4_out_grad, layer4_weight_,
         layer3_relu_grad);

  // relu gradient                                                        autoencoder.mp:13
  part.layer3_out_grad = d1.rows<float>(1280); // [rows, out 64]
  map(d1, rows * 64, ReluGradient{}, part.layer3_out_grad, part.layer3_relu, layer3_relu_grad);

  // layer3 = Linear(128, 64)                                             autoencoder.mp:5
  part.layer2_relu_grad = d1.rows<float>(512); // [rows, out 128]
  matmul(d1, 1, rows, 128, 64, Transpose::no, Transpose::no, part.layer3_out_grad, layer3_weight_,
         part.layer2_relu_grad);
}

void Autoencoder::transfer_1_to_0(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // layer2_relu_grad: device 1 → 0, 512 B a row                        autoencoder.mp:13
  part.layer2_relu_grad_on_0 =
      transfer(d1, part.layer2_relu_grad, d0, d0.rows<float>(1024), rows * 128);
}

void Autoencoder::weights_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // layer4 = Linear(64, 8)                                               autoencoder.mp:6
  float *const layer4_bias_grad = d1.gradients() + 8768; // [out 8]
  reduce(d1, Reduction::sum, Shape{rows, 8}, 1u << 0, part.layer4_out_grad, layer4_bias_grad,
         part.store);
  float *const layer4_weight_grad = d1.gradients() + 8256; // [out 8, in 64]
  matmul(d1, 1, 8, 64, rows, Transpose::yes, Transpose::no, part.layer4_out_grad, part.layer3_relu,
         layer4_weight_grad, part.store);

  // layer3 = Linear(128, 64)                                             autoencoder.mp:5
  float *const layer3_bias_grad = d1.gradients() + 8192; // [out 64]
  reduce(d1, Reduction::sum, Shape{rows, 64}, 1u << 0, part.layer3_out_grad, layer3_bias_grad,
         part.store);
  float *const layer3_weight_grad = d1.gradients(); // [out 64, in 128]
  matmul(d1, 1, 64, 128, rows, Transpose::yes, Transpose::no, part.layer3_out_grad,
         part.layer2_relu_on_1, layer3_weight_grad, part.store);
}

void Autoencoder::weights_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // relu gradient                                                        autoencoder.mp:13
  float *const layer2_out_grad = d0.rows<float>(2560); // [rows, out 128]
  map(d0, rows * 128, ReluGradient{}, layer2_out_grad, part.layer2_relu,
      part.layer2_relu_grad_on_0);

  // layer2 = Linear(256, 128)                                            autoencoder.mp:4
  float *const layer2_bias_grad = d0.gradients() + 36096; // [out 128]
  reduce(d0, Reduction::sum, Shape{rows, 128}, 1u << 0, layer2_out_grad, layer2_bias_grad,
         part.store);
  float *const layer1_relu_grad = d0.rows<float>(1024); // [rows, out 256]
  matmul(d0, 1, rows, 256, 128, Transpose::no, Transpose::no, layer2_out_grad, layer2_weight_,
         layer1_relu_grad);
  float *const layer2_weight_grad = d0.gradients() + 3328; // [out 128, in 256]
  matmul(d0, 1, 128, 256, rows, Transpose::yes, Transpose::no, layer2_out_grad, part.layer1_relu,
         layer2_weight_grad, part.store);

  // relu gradient                                                        autoencoder.mp:13
  float *const layer1_out_grad = d0.rows<float>(0); // [rows, out 256]
  map(d0, rows * 256, ReluGradient{}, layer1_out_grad, part.layer1_relu, layer1_relu_grad);

  // layer1 = Linear(12, 256)                                             autoencoder.mp:3
  float *const layer1_bias_grad = d0.gradients() + 3072; // [out 256]
  reduce(d0, Reduction::sum, Shape{rows, 256}, 1u << 0, layer1_out_grad, layer1_bias_grad,
         part.store);
  float *const layer1_weight_grad = d0.gradients(); // [out 256, in 12]
  matmul(d0, 1, 256, 12, rows, Transpose::yes, Transpose::no, layer1_out_grad, part.x,
         layer1_weight_grad, part.store);
}

void Autoencoder::finish_on_3(Part &part) {
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // loss = mse                                                           autoencoder.mp:18
  float *const loss_sum = d3.fixed<float>(0); // []
  loss_ = d3.fixed<float>(0);                 // []
  map(d3, 1, DivideByCount{float(rows * 12)}, loss_, loss_sum);
}

void Autoencoder::update_on_0(Part &part) {
  Device &d0 = part.device(0);
  adam(d0, optimizer(), step());
}

void Autoencoder::update_on_1(Part &part) {
  Device &d1 = part.device(1);
  adam(d1, optimizer(), step());
}

void Autoencoder::update_on_2(Part &part) {
  Device &d2 = part.device(2);
  adam(d2, optimizer(), step());
}

void Autoencoder::update_on_3(Part &part) {
  Device &d3 = part.device(3);
  adam(d3, optimizer(), step());
}

float Autoencoder::evaluate(const Batch &batch, const void *&output) {
  check(batch);
  Part whole(*this, batch.rows);
  whole.x = input_rows<float>(whole, batch, 0, 12);
  whole.target = target_rows<float>(whole, batch, 12);

  evaluate_on_0(whole); // layer1, layer2
  transfer_0_to_1(whole);
  evaluate_on_1(whole); // layer3, layer4
  evaluate_1_to_2(whole);
  evaluate_on_2(whole); // layer5, layer6
  evaluate_2_to_3(whole);
  evaluate_on_3(whole);      // layer7, layer8
  evaluate_loss_on_3(whole); // loss

  output = output_for_target(3, whole.layer8_out, batch.rows);
  return value_from(3, evaluated_loss_);
}

void Autoencoder::evaluate_on_0(Part &part) {
  if (!has_device(0))
    return; // another process has it
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // layer1 = Linear(12, 256)                                             autoencoder.mp:3
  float *const layer1_relu = d0.rows<float>(0); // [rows, out 256]
  linear(d0, rows, 12, 256, part.x, layer1_weight_, layer1_bias_, Activation::relu, layer1_relu);

  // layer2 = Linear(256, 128)                                            autoencoder.mp:4
  part.layer2_relu = d0.rows<float>(1024); // [rows, out 128]
  linear(d0, rows, 256, 128, layer1_relu, layer2_weight_, layer2_bias_, Activation::relu,
         part.layer2_relu);
}

void Autoencoder::evaluate_on_1(Part &part) {
  if (!has_device(1))
    return; // another process has it
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // layer3 = Linear(128, 64)                                             autoencoder.mp:5
  float *const layer3_relu = d1.rows<float>(512); // [rows, out 64]
  linear(d1, rows, 128, 64, part.layer2_relu_on_1, layer3_weight_, layer3_bias_, Activation::relu,
         layer3_relu);

  // layer4 = Linear(64, 8)                                               autoencoder.mp:6
  part.h = d1.rows<float>(0); // [rows, out 8]
  linear(d1, rows, 64, 8, layer3_relu, layer4_weight_, layer4_bias_, Activation::relu, part.h);
}

void Autoencoder::evaluate_1_to_2(Part &part) {
  Device &d1 = part.device(1);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // h: device 1 → 2, 32 B a row; layer5 reads it                       autoencoder.mp:13
  part.h_on_2 = transfer(d1, part.h, d2, d2.rows<float>(0), rows * 8);
}

void Autoencoder::evaluate_on_2(Part &part) {
  if (!has_device(2))
    return; // another process has it
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // layer5 = Linear(8, 64)                                               autoencoder.mp:7
  float *const layer5_relu = d2.rows<float>(512); // [rows, out 64]
  linear(d2, rows, 8, 64, part.h_on_2, layer5_weight_, layer5_bias_, Activation::relu, layer5_relu);

  // layer6 = Linear(64, 128)                                             autoencoder.mp:8
  part.layer6_relu = d2.rows<float>(0); // [rows, out 128]
  linear(d2, rows, 64, 128, layer5_relu, layer6_weight_, layer6_bias_, Activation::relu,
         part.layer6_relu);
}

void Autoencoder::evaluate_2_to_3(Part &part) {
  Device &d2 = part.device(2);
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // layer6_relu: device 2 → 3, 512 B a row; layer7 reads it            autoencoder.mp:14
  part.layer6_relu_on_3 = transfer(d2, part.layer6_relu, d3, d3.rows<float>(1024), rows * 128);
}

void Autoencoder::evaluate_on_3(Part &part) {
  if (!has_device(3))
    return; // another process has it
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // layer7 = Linear(128, 256)                                            autoencoder.mp:9
  float *const layer7_relu = d3.rows<float>(0); // [rows, out 256]
  linear(d3, rows, 128, 256, part.layer6_relu_on_3, layer7_weight_, layer7_bias_, Activation::relu,
         layer7_relu);

  // layer8 = Linear(256, 12)                                             autoencoder.mp:10
  part.layer8_out = d3.rows<float>(1024); // [rows, out 12]
  linear(d3, rows, 256, 12, layer7_relu, layer8_weight_, layer8_bias_, Activation::none,
         part.layer8_out);
}

void Autoencoder::evaluate_loss_on_3(Part &part) {
  if (!has_device(3))
    return; // another process has it
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // loss = mse                                                           autoencoder.mp:18
  float *const loss_square = d3.rows<float>(0); // [rows, out 12]
  map(d3, rows * 12, SquaredDifference{}, loss_square, part.layer8_out, part.target);
  evaluated_loss_ = d3.fixed<float>(0); // []
  reduce(d3, Reduction::mean, Shape{rows, 12}, 1u << 0 | 1u << 1, loss_square, evaluated_loss_);
}

const void *Autoencoder::predict(const Batch &batch) {
  check(batch);
  Part whole(*this, batch.rows);
  whole.x = input_rows<float>(whole, batch, 0, 12);

  evaluate_on_0(whole); // layer1, layer2
  transfer_0_to_1(whole);
  evaluate_on_1(whole); // layer3, layer4
  evaluate_1_to_2(whole);
  evaluate_on_2(whole); // layer5, layer6
  evaluate_2_to_3(whole);
  evaluate_on_3(whole); // layer7, layer8

  return output_from(3, whole.layer8_out, batch.rows);
}

float Autoencoder::train_step(const float *x, const float *target, int64_t rows) {
  return train_step(Batch{rows, {x}, target});
}

const float *Autoencoder::forward(const float *x, int64_t rows) {
  return static_cast<const float *>(predict(Batch{rows, {x}, nullptr}));
}

Autoencoder::Autoencoder(const Settings &settings) : Model(describe(), settings) {}

int main(int argc, char **argv) {
  return run_program(argc, argv, Autoencoder::describe(),
                     [](const Settings &settings) -> std::unique_ptr<Model> {
                       return std::make_unique<Autoencoder>(settings);
                     });
}

// In the order of the schedule below.
const Autoencoder::Stage Autoencoder::stages_[] = {
    &Autoencoder::forward_on_0,    &Autoencoder::transfer_0_to_1, &Autoencoder::forward_on_1,
    &Autoencoder::transfer_1_to_2, &Autoencoder::forward_on_2,    &Autoencoder::transfer_2_to_3,
    &Autoencoder::forward_on_3,    &Autoencoder::backward_on_3,   &Autoencoder::transfer_3_to_2,
    &Autoencoder::weights_on_3,    &Autoencoder::backward_on_2,   &Autoencoder::transfer_2_to_1,
    &Autoencoder::weights_on_2,    &Autoencoder::backward_on_1,   &Autoencoder::transfer_1_to_0,
    &Autoencoder::weights_on_1,    &Autoencoder::weights_on_0,    &Autoencoder::finish_on_3,
    &Autoencoder::update_on_0,     &Autoencoder::update_on_1,     &Autoencoder::update_on_2,
    &Autoencoder::update_on_3};

ModelDescription Autoencoder::describe() {
  ModelDescription description;
  description.name = "Autoencoder";
  description.source = "autoencoder.mp";

  // of each: floats of parameters, of those trained; bytes of activations, bytes a row,
  // and what rows are rounded up to a multiple of
  description.devices = {
      {36224, 36224, 0, 3072, 1},
      {8784, 8784, 0, 1600, 8},
      {8896, 8896, 0, 1824, 8},
      {36112, 36112, 256, 3120, 16},
  };

  using Initial = Initializer::Kind;
  const auto add = [&](const char *name, std::initializer_list<int64_t> shape, int device,
                       int64_t offset, Initializer initializer) {
    description.parameters.push_back({name, shape, device, offset, initializer});
  };
  // name, shape, device, place in its device's parameters, first values
  add("layer1.weight", {256, 12}, 0, 0, {Initial::kaiming_uniform, 12.0, 0.0});
  add("layer1.bias", {256}, 0, 3072, {Initial::uniform, -0.2886751345948129, 0.2886751345948129});
  add("layer2.weight", {128, 256}, 0, 3328, {Initial::kaiming_uniform, 256.0, 0.0});
  add("layer2.bias", {128}, 0, 36096, {Initial::uniform, -0.0625, 0.0625});
  add("layer3.weight", {64, 128}, 1, 0, {Initial::kaiming_uniform, 128.0, 0.0});
  add("layer3.bias", {64}, 1, 8192, {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("layer4.weight", {8, 64}, 1, 8256, {Initial::kaiming_uniform, 64.0, 0.0});
  add("layer4.bias", {8}, 1, 8768, {Initial::uniform, -0.125, 0.125});
  add("layer5.weight", {64, 8}, 2, 0, {Initial::kaiming_uniform, 8.0, 0.0});
  add("layer5.bias", {64}, 2, 512, {Initial::uniform, -0.35355339059327373, 0.35355339059327373});
  add("layer6.weight", {128, 64}, 2, 576, {Initial::kaiming_uniform, 64.0, 0.0});
  add("layer6.bias", {128}, 2, 8768, {Initial::uniform, -0.125, 0.125});
  add("layer7.weight", {256, 128}, 3, 0, {Initial::kaiming_uniform, 128.0, 0.0});
  add("layer7.bias", {256}, 3, 32768,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("layer8.weight", {12, 256}, 3, 33024, {Initial::kaiming_uniform, 256.0, 0.0});
  add("layer8.bias", {12}, 3, 36096, {Initial::uniform, -0.0625, 0.0625});

  description.inputs = {{"x", ElementType::f32, {12}, {0}}};
  description.row_multiplications = 264192;
  description.target = {"target", ElementType::f32, {12}, {3}};
  description.output = {"output", ElementType::f32, {12}};

  TrainingDefaults &training = description.training;
  training.data.kind = DataSource::Kind::csv;
  training.data.path = "sunspots.csv";
  training.data.test = 0.2;
  training.epochs = 10;
  training.batch = 32;
  training.shuffle = true;
  training.seed = 0;
  training.optimizer.kind = OptimizerSettings::Kind::adam;
  training.optimizer.beta1 = 0.9;
  training.optimizer.beta2 = 0.999;
  training.optimizer.eps = 1e-08;
  training.optimizer.lr = 0.001;
  training.optimizer.weight_decay = 0.0;

  Schedule &schedule = description.schedule;
  schedule.microbatches = 1;
  schedule.part_rows = 64;
  // Stages, in the order of train_step: device, how they stand towards the microbatches, function,
  // and where their first layer is declared; of transfers the sender, bytes a row, and bytes
  // besides.
  using When = StageDescription::When;
  schedule.stages = {
      {0, When::during, "forward_on_0", "autoencoder.mp:3"},
      {1, When::during, "transfer_0_to_1", "autoencoder.mp:5", 0, 512, 0},
      {1, When::during, "forward_on_1", "autoencoder.mp:5"},
      {2, When::during, "transfer_1_to_2", "autoencoder.mp:7", 1, 32, 0},
      {2, When::during, "forward_on_2", "autoencoder.mp:7"},
      {3, When::during, "transfer_2_to_3", "autoencoder.mp:9", 2, 512, 0},
      {3, When::during, "forward_on_3", "autoencoder.mp:9"},
      {3, When::during, "backward_on_3", "autoencoder.mp:18"},
      {2, When::during, "transfer_3_to_2", "autoencoder.mp:14", 3, 512, 0},
      {3, When::during, "weights_on_3", "autoencoder.mp:10"},
      {2, When::during, "backward_on_2", "autoencoder.mp:14"},
      {1, When::during, "transfer_2_to_1", "autoencoder.mp:14", 2, 32, 0},
      {2, When::during, "weights_on_2", "autoencoder.mp:8"},
      {1, When::during, "backward_on_1", "autoencoder.mp:13"},
      {0, When::during, "transfer_1_to_0", "autoencoder.mp:13", 1, 512, 0},
      {1, When::during, "weights_on_1", "autoencoder.mp:6"},
      {0, When::during, "weights_on_0", "autoencoder.mp:13"},
      {3, When::after, "finish_on_3", "autoencoder.mp:18"},
      {0, When::after, "update_on_0", "autoencoder.mp:18"},
      {1, When::after, "update_on_1", "autoencoder.mp:18"},
      {2, When::after, "update_on_2", "autoencoder.mp:18"},
      {3, When::after, "update_on_3", "autoencoder.mp:18"},
  };
  // Their turns where devices have workers: stage, microbatch, and a device of which so many turns
  // must have finished first.
  static constexpr TurnEntry turns[] = {
      {0, 0},  {1, 0, 0, 1}, {2, 0},        {3, 0, 1, 2}, {4, 0},  {5, 0, 2, 2},
      {6, 0},  {7, 0},       {8, 0, 3, 3},  {9, 0},       {10, 0}, {11, 0, 2, 4},
      {12, 0}, {13, 0},      {14, 0, 1, 4}, {15, 0},      {16, 0}, {17, 0},
      {18, 0}, {19, 0},      {20, 0},       {21, 0}};
  schedule.turns = make_turns(std::begin(turns), std::end(turns));
  describe_accesses(schedule);
  return description;
}

// What stages read that others wrote, and what they write, which --check holds the turns to: stage,
// device, the first byte of a region, and the one after the last; of rows, a row.
void Autoencoder::describe_accesses(Schedule &schedule) {
  using Region = MemoryAccess::Region;
  schedule.reads = {
      // forward_on_0
      {0, 0, Region::parameters, 0, 144896},
      // transfer_0_to_1
      {1, 0, Region::rows, 2048, 2560},
      // forward_on_1
      {2, 1, Region::parameters, 0, 35104},
      {2, 1, Region::rows, 0, 512},
      // transfer_1_to_2
      {3, 1, Region::rows, 1536, 1568},
      // forward_on_2
      {4, 2, Region::parameters, 0, 35584},
      {4, 2, Region::rows, 1792, 1824},
      // transfer_2_to_3
      {5, 2, Region::rows, 0, 512},
      // forward_on_3
      {6, 3, Region::parameters, 0, 144432},
      {6, 3, Region::rows, 2048, 2560},
      // backward_on_3
      {7, 3, Region::parameters, 0, 131072},
      {7, 3, Region::parameters, 132096, 144384},
      {7, 3, Region::rows, 0, 1024},
      {7, 3, Region::rows, 3072, 3120},
      // transfer_3_to_2
      {8, 3, Region::rows, 2560, 3072},
      // weights_on_3
      {9, 3, Region::rows, 0, 2560},
      {9, 3, Region::rows, 3072, 3120},
      // backward_on_2
      {10, 2, Region::parameters, 0, 2048},
      {10, 2, Region::parameters, 2304, 35072},
      {10, 2, Region::rows, 0, 1024},
      {10, 2, Region::rows, 1536, 1792},
      // transfer_2_to_1
      {11, 2, Region::rows, 768, 800},
      // weights_on_2
      {12, 2, Region::rows, 512, 768},
      {12, 2, Region::rows, 1024, 1824},
      // backward_on_1
      {13, 1, Region::parameters, 0, 32768},
      {13, 1, Region::parameters, 33024, 35072},
      {13, 1, Region::rows, 512, 544},
      {13, 1, Region::rows, 1024, 1280},
      {13, 1, Region::rows, 1536, 1568},
      // transfer_1_to_0
      {14, 1, Region::rows, 512, 1024},
      // weights_on_1
      {15, 1, Region::rows, 0, 512},
      {15, 1, Region::rows, 1024, 1536},
      {15, 1, Region::rows, 1568, 1600},
      // weights_on_0
      {16, 0, Region::parameters, 13312, 144384},
      {16, 0, Region::rows, 0, 1536},
      {16, 0, Region::rows, 2048, 2560},
      // finish_on_3
      {17, 3, Region::fixed, 0, 4},
      // update_on_0
      {18, 0, Region::gradients, 0, 144896},
      // update_on_1
      {19, 1, Region::gradients, 0, 35136},
      // update_on_2
      {20, 2, Region::gradients, 0, 35584},
      // update_on_3
      {21, 3, Region::gradients, 0, 144448},
  };
  schedule.writes = {
      // forward_on_0
      {0, 0, Region::rows, 0, 1024},
      {0, 0, Region::rows, 2048, 2560},
      // transfer_0_to_1
      {1, 1, Region::rows, 0, 512},
      // forward_on_1
      {2, 1, Region::rows, 1024, 1280},
      {2, 1, Region::rows, 1536, 1568},
      // transfer_1_to_2
      {3, 2, Region::rows, 1792, 1824},
      // forward_on_2
      {4, 2, Region::rows, 0, 512},
      {4, 2, Region::rows, 1536, 1792},
      // transfer_2_to_3
      {5, 3, Region::rows, 2048, 2560},
      // forward_on_3
      {6, 3, Region::fixed, 0, 4},
      {6, 3, Region::rows, 0, 1072},
      {6, 3, Region::rows, 3072, 3120},
      // backward_on_3
      {7, 3, Region::rows, 1024, 2048},
      {7, 3, Region::rows, 2560, 3120},
      // transfer_3_to_2
      {8, 2, Region::rows, 512, 1024},
      // weights_on_3
      {9, 3, Region::gradients, 0, 144432},
      // backward_on_2
      {10, 2, Region::rows, 512, 800},
      {10, 2, Region::rows, 1024, 1536},
      // transfer_2_to_1
      {11, 1, Region::rows, 512, 544},
      // weights_on_2
      {12, 2, Region::gradients, 0, 35584},
      // backward_on_1
      {13, 1, Region::rows, 512, 1024},
      {13, 1, Region::rows, 1280, 1536},
      {13, 1, Region::rows, 1568, 1600},
      // transfer_1_to_0
      {14, 0, Region::rows, 1024, 1536},
      // weights_on_1
      {15, 1, Region::gradients, 0, 35104},
      // weights_on_0
      {16, 0, Region::gradients, 0, 144896},
      {16, 0, Region::rows, 0, 2048},
      {16, 0, Region::rows, 2560, 3072},
      // finish_on_3
      {17, 3, Region::fixed, 0, 4},
      // update_on_0
      {18, 0, Region::parameters, 0, 144896},
      // update_on_1
      {19, 1, Region::parameters, 0, 35136},
      // update_on_2
      {20, 2, Region::parameters, 0, 35584},
      // update_on_3
      {21, 3, Region::parameters, 0, 144448},
  };
}
