// Gpt on 4 devices, from gpt.mp.
// Written by mparc 0.1.0: mparc gpt.mp -o gpt.cpp
//
// device 0: wte … h.0.mlp.drop (15)
//   arena 26,307,072 B at batch 16: 247,424 parameters with gradients and optimiser's state
//     3,958,784 B, activations 262,656 B + 1,380,352 B a row
// device 1: h.1 … h.1.mlp.drop (13)
//   arena 25,257,984 B at batch 16: 198,272 parameters with gradients and optimiser's state
//     3,172,352 B, activations 0 B + 1,380,352 B a row
// device 2: h.2 … h.2.mlp.drop (13)
//   arena 25,257,984 B at batch 16: 198,272 parameters with gradients and optimiser's state
//     3,172,352 B, activations 0 B + 1,380,352 B a row
// device 3: h.3 … lm_head (15)
//   arena 28,670,208 B at batch 16: 198,528 parameters with gradients and optimiser's state
//     3,176,448 B, activations 262,400 B + 1,576,960 B a row
// transfers a step: 4 forward, 4 backward
//   forward: 0 → 3 131,072 B, 0 → 1 65,536 B a row, 1 → 2 65,536 B a row, 2 → 3 65,536 B a
//     row
//   backward: 3 → 2 65,536 B a row, 2 → 1 65,536 B a row, 1 → 0 65,536 B a row, 3 → 0
//     131,072 B

#include "mpar/mpar.h"

#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <vector>

using namespace mpar;

// What the loops compute of one element each.
namespace {

struct Copy {
  MPAR_HOST_DEVICE int32_t operator()(int32_t i) const { return i; }
};

struct Add {
  MPAR_HOST_DEVICE float operator()(float a, float b) const { return a + b; }
};

struct Gelu {
  MPAR_HOST_DEVICE float operator()(float a) const { return mpar::gelu(a); }
};

struct OneOverCount {
  float count;
  MPAR_HOST_DEVICE float operator()() const { return 1.0f / count; }
};

struct GeluGradient {
  MPAR_HOST_DEVICE float operator()(float a, float b) const { return b * mpar::gelu_derivative(a); }
};

struct DivideByCount {
  float count;
  MPAR_HOST_DEVICE float operator()(float a) const { return a / count; }
};

} // namespace

class Gpt final : public mpar::Model {
public:
  explicit Gpt(const mpar::Settings &settings = {});

  /// Forward, backward and update on at most largest_batch() rows. Returns their loss.
  float train_step(const mpar::Batch &batch) override;
  /// The loss of the rows without training. `output` lives until the next call.
  float evaluate(const mpar::Batch &batch, const void *&output) override;
  /// The output, which lives until the next call.
  const void *predict(const mpar::Batch &batch) override;

  /// The same on text [rows, time 128], target [rows, time 128], contiguous.
  float train_step(const int32_t *text, const int32_t *target, int64_t rows);
  /// text [rows, time 128] → [rows, time 128, out 256], which lives until the next call.
  const float *forward(const int32_t *text, int64_t rows);

  /// Devices, parameters and training, as the runtime reads them.
  static mpar::ModelDescription describe();

private:
  /// Rows that are worked on together, and the values that one function computes of them and
  /// another reads.
  struct Part : mpar::BatchPart {
    using BatchPart::BatchPart;

    const int32_t *text = nullptr;             // [rows, time 128]
    const int32_t *target = nullptr;           // [rows, time 128]
    float *x = nullptr;                        // [rows, time 128, embedding_dim 128]
    float *h_0_ln_1_out = nullptr;             // [rows, time 128, normalized_shape 128]
    float *h_0_ln_1_out_mean = nullptr;        // [rows, time 128]
    float *h_0_ln_1_out_scale = nullptr;       // [rows, time 128]
    float *h_0_attn_c_attn_out = nullptr;      // [rows * 128, out 384]
    float *h_0_attn_y = nullptr;               // [rows, time 128, heads 4, dim 32]
    float *h_0_attn_y_log_sums = nullptr;      // [rows, heads 4, time 128]
    float *h_0_out = nullptr;                  // [rows, time 128, width 128]
    float *h_0_ln_2_out = nullptr;             // [rows, time 128, normalized_shape 128]
    float *h_0_ln_2_out_mean = nullptr;        // [rows, time 128]
    float *h_0_ln_2_out_scale = nullptr;       // [rows, time 128]
    float *h_0_mlp_c_fc_out = nullptr;         // [rows * 128, out 512]
    float *h_0_mlp_out = nullptr;              // [rows, time 128, out 512]
    float *x_2 = nullptr;                      // [rows, time 128, width 128]
    const float *x_on_1 = nullptr;             // [rows, time 128, width 128]
    float *h_1_ln_1_out = nullptr;             // [rows, time 128, normalized_shape 128]
    float *h_1_ln_1_out_mean = nullptr;        // [rows, time 128]
    float *h_1_ln_1_out_scale = nullptr;       // [rows, time 128]
    float *h_1_attn_c_attn_out = nullptr;      // [rows * 128, out 384]
    float *h_1_attn_y = nullptr;               // [rows, time 128, heads 4, dim 32]
    float *h_1_attn_y_log_sums = nullptr;      // [rows, heads 4, time 128]
    float *h_1_out = nullptr;                  // [rows, time 128, width 128]
    float *h_1_ln_2_out = nullptr;             // [rows, time 128, normalized_shape 128]
    float *h_1_ln_2_out_mean = nullptr;        // [rows, time 128]
    float *h_1_ln_2_out_scale = nullptr;       // [rows, time 128]
    float *h_1_mlp_c_fc_out = nullptr;         // [rows * 128, out 512]
    float *h_1_mlp_out = nullptr;              // [rows, time 128, out 512]
    float *x_3 = nullptr;                      // [rows, time 128, width 128]
    const float *x_on_2 = nullptr;             // [rows, time 128, width 128]
    float *h_2_ln_1_out = nullptr;             // [rows, time 128, normalized_shape 128]
    float *h_2_ln_1_out_mean = nullptr;        // [rows, time 128]
    float *h_2_ln_1_out_scale = nullptr;       // [rows, time 128]
    float *h_2_attn_c_attn_out = nullptr;      // [rows * 128, out 384]
    float *h_2_attn_y = nullptr;               // [rows, time 128, heads 4, dim 32]
    float *h_2_attn_y_log_sums = nullptr;      // [rows, heads 4, time 128]
    float *h_2_out = nullptr;                  // [rows, time 128, width 128]
    float *h_2_ln_2_out = nullptr;             // [rows, time 128, normalized_shape 128]
    float *h_2_ln_2_out_mean = nullptr;        // [rows, time 128]
    float *h_2_ln_2_out_scale = nullptr;       // [rows, time 128]
    float *h_2_mlp_c_fc_out = nullptr;         // [rows * 128, out 512]
    float *h_2_mlp_out = nullptr;              // [rows, time 128, out 512]
    float *x_4 = nullptr;                      // [rows, time 128, width 128]
    const float *x_on_3 = nullptr;             // [rows, time 128, width 128]
    float *h_3_ln_1_out = nullptr;             // [rows, time 128, normalized_shape 128]
    float *h_3_ln_1_out_mean = nullptr;        // [rows, time 128]
    float *h_3_ln_1_out_scale = nullptr;       // [rows, time 128]
    float *h_3_attn_c_attn_out = nullptr;      // [rows * 128, out 384]
    float *h_3_attn_y = nullptr;               // [rows, time 128, heads 4, dim 32]
    float *h_3_attn_y_log_sums = nullptr;      // [rows, heads 4, time 128]
    float *h_3_out = nullptr;                  // [rows, time 128, width 128]
    float *h_3_ln_2_out = nullptr;             // [rows, time 128, normalized_shape 128]
    float *h_3_ln_2_out_mean = nullptr;        // [rows, time 128]
    float *h_3_ln_2_out_scale = nullptr;       // [rows, time 128]
    float *h_3_mlp_c_fc_out = nullptr;         // [rows * 128, out 512]
    float *h_3_mlp_out = nullptr;              // [rows, time 128, out 512]
    float *x_5 = nullptr;                      // [rows, time 128, width 128]
    float *ln_f_out = nullptr;                 // [rows, time 128, normalized_shape 128]
    float *ln_f_out_mean = nullptr;            // [rows, time 128]
    float *ln_f_out_scale = nullptr;           // [rows, time 128]
    float *lm_head_matmul = nullptr;           // [rows * 128, out 256]
    float *lm_head_out_grad = nullptr;         // [rows, time 128, out 256]
    float *x_grad = nullptr;                   // [rows, time 128, width 128]
    float *h_3_mlp_c_fc_out_grad = nullptr;    // [rows, time 128, out 512]
    float *h_3_out_grad = nullptr;             // [rows, time 128, width 128]
    float *h_3_attn_c_attn_out_grad = nullptr; // [rows, time 128, out 384]
    float *x_grad_2 = nullptr;                 // [rows, time 128, width 128]
    const float *x_grad_on_2 = nullptr;        // [rows, time 128, width 128]
    float *h_2_mlp_c_fc_out_grad = nullptr;    // [rows, time 128, out 512]
    float *h_2_out_grad = nullptr;             // [rows, time 128, width 128]
    float *h_2_attn_c_attn_out_grad = nullptr; // [rows, time 128, out 384]
    float *x_grad_3 = nullptr;                 // [rows, time 128, width 128]
    const float *x_grad_on_1 = nullptr;        // [rows, time 128, width 128]
    float *h_1_mlp_c_fc_out_grad = nullptr;    // [rows, time 128, out 512]
    float *h_1_out_grad = nullptr;             // [rows, time 128, width 128]
    float *h_1_attn_c_attn_out_grad = nullptr; // [rows, time 128, out 384]
    float *x_grad_4 = nullptr;                 // [rows, time 128, width 128]
    const float *x_grad_on_0 = nullptr;        // [rows, time 128, width 128]
  };

  void prepare_on_0(Part &part);
  void transfer_0_to_3(Part &part);
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
  void finish_on_0(Part &part);
  void transfer_3_to_0(Part &part);
  void finish_on_0_part_2(Part &part);
  void update_on_0(Part &part);
  void update_on_1(Part &part);
  void update_on_2(Part &part);
  void update_on_3(Part &part);
  void evaluate_on_0(Part &part);
  void evaluate_0_to_1(Part &part);
  void evaluate_on_1(Part &part);
  void evaluate_1_to_2(Part &part);
  void evaluate_on_2(Part &part);
  void evaluate_2_to_3(Part &part);
  void evaluate_on_3(Part &part);
  void evaluate_on_3_part_2(Part &part);
  void evaluate_loss_on_3(Part &part);
  static void describe_accesses(mpar::Schedule &schedule);

  // Parameters, in the arenas of their devices.
  float *const wte_weight_ =
      device(0).parameters(); // [num_embeddings 256, embedding_dim 128], also lm_head.weight
  float *const wpe_weight_ =
      device(0).parameters() + 32768; // [num_embeddings 128, embedding_dim 128]
  float *const h_0_ln_1_weight_ = device(0).parameters() + 49152;        // [normalized_shape 128]
  float *const h_0_ln_1_bias_ = device(0).parameters() + 49280;          // [normalized_shape 128]
  float *const h_0_attn_c_attn_weight_ = device(0).parameters() + 49408; // [out 384, in 128]
  float *const h_0_attn_c_attn_bias_ = device(0).parameters() + 98560;   // [out 384]
  float *const h_0_attn_c_proj_weight_ = device(0).parameters() + 98944; // [out 128, in 128]
  float *const h_0_attn_c_proj_bias_ = device(0).parameters() + 115328;  // [out 128]
  float *const h_0_ln_2_weight_ = device(0).parameters() + 115456;       // [normalized_shape 128]
  float *const h_0_ln_2_bias_ = device(0).parameters() + 115584;         // [normalized_shape 128]
  float *const h_0_mlp_c_fc_weight_ = device(0).parameters() + 115712;   // [out 512, in 128]
  float *const h_0_mlp_c_fc_bias_ = device(0).parameters() + 181248;     // [out 512]
  float *const h_0_mlp_c_proj_weight_ = device(0).parameters() + 181760; // [out 128, in 512]
  float *const h_0_mlp_c_proj_bias_ = device(0).parameters() + 247296;   // [out 128]
  float *const h_1_ln_1_weight_ = device(1).parameters();                // [normalized_shape 128]
  float *const h_1_ln_1_bias_ = device(1).parameters() + 128;            // [normalized_shape 128]
  float *const h_1_attn_c_attn_weight_ = device(1).parameters() + 256;   // [out 384, in 128]
  float *const h_1_attn_c_attn_bias_ = device(1).parameters() + 49408;   // [out 384]
  float *const h_1_attn_c_proj_weight_ = device(1).parameters() + 49792; // [out 128, in 128]
  float *const h_1_attn_c_proj_bias_ = device(1).parameters() + 66176;   // [out 128]
  float *const h_1_ln_2_weight_ = device(1).parameters() + 66304;        // [normalized_shape 128]
  float *const h_1_ln_2_bias_ = device(1).parameters() + 66432;          // [normalized_shape 128]
  float *const h_1_mlp_c_fc_weight_ = device(1).parameters() + 66560;    // [out 512, in 128]
  float *const h_1_mlp_c_fc_bias_ = device(1).parameters() + 132096;     // [out 512]
  float *const h_1_mlp_c_proj_weight_ = device(1).parameters() + 132608; // [out 128, in 512]
  float *const h_1_mlp_c_proj_bias_ = device(1).parameters() + 198144;   // [out 128]
  float *const h_2_ln_1_weight_ = device(2).parameters();                // [normalized_shape 128]
  float *const h_2_ln_1_bias_ = device(2).parameters() + 128;            // [normalized_shape 128]
  float *const h_2_attn_c_attn_weight_ = device(2).parameters() + 256;   // [out 384, in 128]
  float *const h_2_attn_c_attn_bias_ = device(2).parameters() + 49408;   // [out 384]
  float *const h_2_attn_c_proj_weight_ = device(2).parameters() + 49792; // [out 128, in 128]
  float *const h_2_attn_c_proj_bias_ = device(2).parameters() + 66176;   // [out 128]
  float *const h_2_ln_2_weight_ = device(2).parameters() + 66304;        // [normalized_shape 128]
  float *const h_2_ln_2_bias_ = device(2).parameters() + 66432;          // [normalized_shape 128]
  float *const h_2_mlp_c_fc_weight_ = device(2).parameters() + 66560;    // [out 512, in 128]
  float *const h_2_mlp_c_fc_bias_ = device(2).parameters() + 132096;     // [out 512]
  float *const h_2_mlp_c_proj_weight_ = device(2).parameters() + 132608; // [out 128, in 512]
  float *const h_2_mlp_c_proj_bias_ = device(2).parameters() + 198144;   // [out 128]
  float *const h_3_ln_1_weight_ = device(3).parameters();                // [normalized_shape 128]
  float *const h_3_ln_1_bias_ = device(3).parameters() + 128;            // [normalized_shape 128]
  float *const h_3_attn_c_attn_weight_ = device(3).parameters() + 256;   // [out 384, in 128]
  float *const h_3_attn_c_attn_bias_ = device(3).parameters() + 49408;   // [out 384]
  float *const h_3_attn_c_proj_weight_ = device(3).parameters() + 49792; // [out 128, in 128]
  float *const h_3_attn_c_proj_bias_ = device(3).parameters() + 66176;   // [out 128]
  float *const h_3_ln_2_weight_ = device(3).parameters() + 66304;        // [normalized_shape 128]
  float *const h_3_ln_2_bias_ = device(3).parameters() + 66432;          // [normalized_shape 128]
  float *const h_3_mlp_c_fc_weight_ = device(3).parameters() + 66560;    // [out 512, in 128]
  float *const h_3_mlp_c_fc_bias_ = device(3).parameters() + 132096;     // [out 512]
  float *const h_3_mlp_c_proj_weight_ = device(3).parameters() + 132608; // [out 128, in 512]
  float *const h_3_mlp_c_proj_bias_ = device(3).parameters() + 198144;   // [out 128]
  float *const ln_f_weight_ = device(3).parameters() + 198272;           // [normalized_shape 128]
  float *const ln_f_bias_ = device(3).parameters() + 198400;             // [normalized_shape 128]

  // Stages of a step by number, and parts of microbatches, where devices have workers.
  using Stage = void (Gpt::*)(Part &);
  static const Stage stages_[];
  std::vector<Part> parts_;

  // Values of all rows together; they live for a call.
  int32_t *wpe_out_ = nullptr;                  // [time 128]
  float *wpe_out_2_ = nullptr;                  // [time 128, embedding_dim 128]
  const float *wte_weight_on_3_ = nullptr;      // [num_embeddings 256, embedding_dim 128]
  float *loss_ = nullptr;                       // []
  const float *wte_weight_grad_on_0_ = nullptr; // [num_embeddings 256, embedding_dim 128]
  float *evaluated_loss_ = nullptr;             // []
};

float Gpt::train_step(const Batch &batch) {
  check(batch);
  ++step();
  Part whole(*this, batch.rows);
  const auto begin = [&](Part &part) {
    part.text = input_rows<int32_t>(part, batch, 0, 128);
    part.target = target_rows<int32_t>(part, batch, 128);
  };
  if (workers()) {
    run_turns(whole, parts_, begin,
              [this](Part &part, int stage) { (this->*stages_[stage])(part); });
    return value_from(3, loss_);
  }
  prepare_on_0(whole); // wpe
  transfer_0_to_3(whole);

  // 64 rows at a time go through all layers and back: what one leaves in the cache the next finds
  // there. Sums over the batch are sums over these parts, in order.
  for_each_part(whole, 64, [&](Part &part) {
    begin(part);

    forward_on_0(part); // wte, h.0.ln_1, h.0.attn.c_attn, h.0.attn, h.0.attn.c_proj, h.0, h.0.ln_2,
                        // h.0.mlp.c_fc, h.0.mlp, h.0.mlp.c_proj
    transfer_0_to_1(part);
    forward_on_1(part); // h.1.ln_1, h.1.attn.c_attn, h.1.attn, h.1.attn.c_proj, h.1, h.1.ln_2,
                        // h.1.mlp.c_fc, h.1.mlp, h.1.mlp.c_proj
    transfer_1_to_2(part);
    forward_on_2(part); // h.2.ln_1, h.2.attn.c_attn, h.2.attn, h.2.attn.c_proj, h.2, h.2.ln_2,
                        // h.2.mlp.c_fc, h.2.mlp, h.2.mlp.c_proj
    transfer_2_to_3(part);
    forward_on_3(part);  // h.3.ln_1, h.3.attn.c_attn, h.3.attn, h.3.attn.c_proj, h.3, h.3.ln_2,
                         // h.3.mlp.c_fc, h.3.mlp, h.3.mlp.c_proj, ln_f, lm_head, loss
    backward_on_3(part); // loss, lm_head, ln_f, h.3.mlp.c_proj, h.3.mlp, h.3.mlp.c_fc, h.3.ln_2,
                         // h.3, h.3.attn.c_proj, h.3.attn, h.3.attn.c_attn, h.3.ln_1, h.2
    transfer_3_to_2(part);
    weights_on_3(part);  // lm_head, h.3.mlp.c_proj, h.3.mlp.c_fc, h.3.attn.c_proj, h.3.attn.c_attn
    backward_on_2(part); // h.2.mlp.c_proj, h.2.mlp, h.2.mlp.c_fc, h.2.ln_2, h.2, h.2.attn.c_proj,
                         // h.2.attn, h.2.attn.c_attn, h.2.ln_1, h.1
    transfer_2_to_1(part);
    weights_on_2(part);  // h.2.mlp.c_proj, h.2.mlp.c_fc, h.2.attn.c_proj, h.2.attn.c_attn
    backward_on_1(part); // h.1.mlp.c_proj, h.1.mlp, h.1.mlp.c_fc, h.1.ln_2, h.1, h.1.attn.c_proj,
                         // h.1.attn, h.1.attn.c_attn, h.1.ln_1, h.0
    transfer_1_to_0(part);
    weights_on_1(part); // h.1.mlp.c_proj, h.1.mlp.c_fc, h.1.attn.c_proj, h.1.attn.c_attn
    weights_on_0(part); // h.0.mlp.c_proj, h.0.mlp, h.0.mlp.c_fc, h.0.ln_2, h.0, h.0.attn.c_proj,
                        // h.0.attn, h.0.attn.c_attn, h.0.ln_1, wte
  });
  sum_over_threads<float>(whole, 3, 262144, 1);     // loss_sum
  sum_over_threads<float>(whole, 3, 131072, 32768); // wte_weight_grad
  sum_over_threads<float>(whole, 0, 196608, 16384); // wpe_broadcast
  sum_over_threads<float>(whole, 0, 0, 32768);      // wte_out
  whole.add_gradients();
  finish_on_3(whole); // loss
  finish_on_0(whole); // wpe
  transfer_3_to_0(whole);
  finish_on_0_part_2(whole); // wte
  for_each_share(whole, [&](Part &part) {
    update_on_0(part);
    update_on_1(part);
    update_on_2(part);
    update_on_3(part);
  });

  return value_from(3, loss_);
}

void Gpt::prepare_on_0(Part &part) {
  Device &d0 = part.device(0);

  // wpe = Embedding(context, width, std: 0.02)                           gpt.mp:5
  wpe_out_ = d0.fixed<int32_t>(262144); // [time 128]
  map(d0, Shape{128}, Copy{}, wpe_out_, Index{{1}});
  wpe_out_2_ = d0.fixed<float>(131072); // [time 128, embedding_dim 128]
  gather(d0, 128, 128, 128, "wpe.weight", wpe_weight_, wpe_out_, wpe_out_2_);
}

void Gpt::transfer_0_to_3(Part &part) {
  Device &d0 = part.device(0);
  Device &d3 = part.device(3);

  // wte_weight: device 0 → 3, 131,072 B; lm_head reads it              gpt.mp:14
  wte_weight_on_3_ = transfer(d0, wte_weight_, d3, d3.fixed<float>(0), 32768);
}

void Gpt::forward_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // wte = Embedding(256, width, std: 0.02)                               gpt.mp:4
  float *const wte_out = d0.rows<float>(983040); // [rows, time 128, embedding_dim 128]
  gather(d0, 256, 128, rows * 128, "wte.weight", wte_weight_, part.text, wte_out);

  // add                                                                  gpt.mp:14
  part.x = d0.rows<float>(983040); // [rows, time 128, embedding_dim 128]
  map(d0, Shape{rows, 128, 128}, Add{}, part.x, strided(wte_out, {16384, 128, 1}),
      strided(wpe_out_2_, {0, 128, 1}));

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  part.h_0_ln_1_out = d0.rows<float>(1048576);       // [rows, time 128, normalized_shape 128]
  part.h_0_ln_1_out_mean = d0.rows<float>(1378304);  // [rows, time 128]
  part.h_0_ln_1_out_scale = d0.rows<float>(1378816); // [rows, time 128]
  layer_norm(d0, rows * 128, 128, float(1e-05), part.x, h_0_ln_1_weight_, h_0_ln_1_bias_,
             part.h_0_ln_1_out, part.h_0_ln_1_out_mean, part.h_0_ln_1_out_scale);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  part.h_0_attn_c_attn_out = d0.rows<float>(786432); // [rows * 128, out 384]
  linear(d0, rows * 128, 128, 384, part.h_0_ln_1_out, h_0_attn_c_attn_weight_,
         h_0_attn_c_attn_bias_, Activation::none, part.h_0_attn_c_attn_out);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  part.h_0_attn_y = d0.rows<float>(1114112);          // [rows, time 128, heads 4, dim 32]
  part.h_0_attn_y_log_sums = d0.rows<float>(1376256); // [rows, heads 4, time 128]
  attention(d0, {rows, 4, 4, 128, 128, 32, 32, Causal::yes},
            {part.h_0_attn_c_attn_out, 49152, 32, 384},
            {part.h_0_attn_c_attn_out + 128, 49152, 32, 384},
            {part.h_0_attn_c_attn_out + 256, 49152, 32, 384}, {part.h_0_attn_y, 16384, 32, 128},
            part.h_0_attn_y_log_sums);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_0_attn_c_proj_out = d0.rows<float>(1179648); // [rows * 128, out 128]
  linear(d0, rows * 128, 128, 128, part.h_0_attn_y, h_0_attn_c_proj_weight_, h_0_attn_c_proj_bias_,
         Activation::none, h_0_attn_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.h_0_out = d0.rows<float>(1179648); // [rows, time 128, width 128]
  map(d0, rows * 16384, Add{}, part.h_0_out, part.x, h_0_attn_c_proj_out);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  part.h_0_ln_2_out = d0.rows<float>(1245184);       // [rows, time 128, normalized_shape 128]
  part.h_0_ln_2_out_mean = d0.rows<float>(1379328);  // [rows, time 128]
  part.h_0_ln_2_out_scale = d0.rows<float>(1379840); // [rows, time 128]
  layer_norm(d0, rows * 128, 128, float(1e-05), part.h_0_out, h_0_ln_2_weight_, h_0_ln_2_bias_,
             part.h_0_ln_2_out, part.h_0_ln_2_out_mean, part.h_0_ln_2_out_scale);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  part.h_0_mlp_c_fc_out = d0.rows<float>(0); // [rows * 128, out 512]
  linear(d0, rows * 128, 128, 512, part.h_0_ln_2_out, h_0_mlp_c_fc_weight_, h_0_mlp_c_fc_bias_,
         Activation::none, part.h_0_mlp_c_fc_out);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  part.h_0_mlp_out = d0.rows<float>(262144); // [rows, time 128, out 512]
  map(d0, rows * 65536, Gelu{}, part.h_0_mlp_out, part.h_0_mlp_c_fc_out);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_0_mlp_c_proj_out = d0.rows<float>(524288); // [rows * 128, out 128]
  linear(d0, rows * 128, 512, 128, part.h_0_mlp_out, h_0_mlp_c_proj_weight_, h_0_mlp_c_proj_bias_,
         Activation::none, h_0_mlp_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_2 = d0.rows<float>(524288); // [rows, time 128, width 128]
  map(d0, rows * 16384, Add{}, part.x_2, part.h_0_out, h_0_mlp_c_proj_out);
}

void Gpt::transfer_0_to_1(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // x: device 0 → 1, 65,536 B a row; h.1, h.1.ln_1 read it             gpt.mp:15
  part.x_on_1 = transfer(d0, part.x_2, d1, d1.rows<float>(983040), rows * 16384);
}

void Gpt::forward_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  part.h_1_ln_1_out = d1.rows<float>(1048576);       // [rows, time 128, normalized_shape 128]
  part.h_1_ln_1_out_mean = d1.rows<float>(1378304);  // [rows, time 128]
  part.h_1_ln_1_out_scale = d1.rows<float>(1378816); // [rows, time 128]
  layer_norm(d1, rows * 128, 128, float(1e-05), part.x_on_1, h_1_ln_1_weight_, h_1_ln_1_bias_,
             part.h_1_ln_1_out, part.h_1_ln_1_out_mean, part.h_1_ln_1_out_scale);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  part.h_1_attn_c_attn_out = d1.rows<float>(786432); // [rows * 128, out 384]
  linear(d1, rows * 128, 128, 384, part.h_1_ln_1_out, h_1_attn_c_attn_weight_,
         h_1_attn_c_attn_bias_, Activation::none, part.h_1_attn_c_attn_out);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  part.h_1_attn_y = d1.rows<float>(1114112);          // [rows, time 128, heads 4, dim 32]
  part.h_1_attn_y_log_sums = d1.rows<float>(1376256); // [rows, heads 4, time 128]
  attention(d1, {rows, 4, 4, 128, 128, 32, 32, Causal::yes},
            {part.h_1_attn_c_attn_out, 49152, 32, 384},
            {part.h_1_attn_c_attn_out + 128, 49152, 32, 384},
            {part.h_1_attn_c_attn_out + 256, 49152, 32, 384}, {part.h_1_attn_y, 16384, 32, 128},
            part.h_1_attn_y_log_sums);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_1_attn_c_proj_out = d1.rows<float>(1179648); // [rows * 128, out 128]
  linear(d1, rows * 128, 128, 128, part.h_1_attn_y, h_1_attn_c_proj_weight_, h_1_attn_c_proj_bias_,
         Activation::none, h_1_attn_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.h_1_out = d1.rows<float>(1179648); // [rows, time 128, width 128]
  map(d1, rows * 16384, Add{}, part.h_1_out, part.x_on_1, h_1_attn_c_proj_out);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  part.h_1_ln_2_out = d1.rows<float>(1245184);       // [rows, time 128, normalized_shape 128]
  part.h_1_ln_2_out_mean = d1.rows<float>(1379328);  // [rows, time 128]
  part.h_1_ln_2_out_scale = d1.rows<float>(1379840); // [rows, time 128]
  layer_norm(d1, rows * 128, 128, float(1e-05), part.h_1_out, h_1_ln_2_weight_, h_1_ln_2_bias_,
             part.h_1_ln_2_out, part.h_1_ln_2_out_mean, part.h_1_ln_2_out_scale);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  part.h_1_mlp_c_fc_out = d1.rows<float>(0); // [rows * 128, out 512]
  linear(d1, rows * 128, 128, 512, part.h_1_ln_2_out, h_1_mlp_c_fc_weight_, h_1_mlp_c_fc_bias_,
         Activation::none, part.h_1_mlp_c_fc_out);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  part.h_1_mlp_out = d1.rows<float>(262144); // [rows, time 128, out 512]
  map(d1, rows * 65536, Gelu{}, part.h_1_mlp_out, part.h_1_mlp_c_fc_out);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_1_mlp_c_proj_out = d1.rows<float>(524288); // [rows * 128, out 128]
  linear(d1, rows * 128, 512, 128, part.h_1_mlp_out, h_1_mlp_c_proj_weight_, h_1_mlp_c_proj_bias_,
         Activation::none, h_1_mlp_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_3 = d1.rows<float>(524288); // [rows, time 128, width 128]
  map(d1, rows * 16384, Add{}, part.x_3, part.h_1_out, h_1_mlp_c_proj_out);
}

void Gpt::transfer_1_to_2(Part &part) {
  Device &d1 = part.device(1);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // x: device 1 → 2, 65,536 B a row; h.2, h.2.ln_1 read it             gpt.mp:15
  part.x_on_2 = transfer(d1, part.x_3, d2, d2.rows<float>(983040), rows * 16384);
}

void Gpt::forward_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  part.h_2_ln_1_out = d2.rows<float>(1048576);       // [rows, time 128, normalized_shape 128]
  part.h_2_ln_1_out_mean = d2.rows<float>(1378304);  // [rows, time 128]
  part.h_2_ln_1_out_scale = d2.rows<float>(1378816); // [rows, time 128]
  layer_norm(d2, rows * 128, 128, float(1e-05), part.x_on_2, h_2_ln_1_weight_, h_2_ln_1_bias_,
             part.h_2_ln_1_out, part.h_2_ln_1_out_mean, part.h_2_ln_1_out_scale);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  part.h_2_attn_c_attn_out = d2.rows<float>(786432); // [rows * 128, out 384]
  linear(d2, rows * 128, 128, 384, part.h_2_ln_1_out, h_2_attn_c_attn_weight_,
         h_2_attn_c_attn_bias_, Activation::none, part.h_2_attn_c_attn_out);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  part.h_2_attn_y = d2.rows<float>(1114112);          // [rows, time 128, heads 4, dim 32]
  part.h_2_attn_y_log_sums = d2.rows<float>(1376256); // [rows, heads 4, time 128]
  attention(d2, {rows, 4, 4, 128, 128, 32, 32, Causal::yes},
            {part.h_2_attn_c_attn_out, 49152, 32, 384},
            {part.h_2_attn_c_attn_out + 128, 49152, 32, 384},
            {part.h_2_attn_c_attn_out + 256, 49152, 32, 384}, {part.h_2_attn_y, 16384, 32, 128},
            part.h_2_attn_y_log_sums);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_2_attn_c_proj_out = d2.rows<float>(1179648); // [rows * 128, out 128]
  linear(d2, rows * 128, 128, 128, part.h_2_attn_y, h_2_attn_c_proj_weight_, h_2_attn_c_proj_bias_,
         Activation::none, h_2_attn_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.h_2_out = d2.rows<float>(1179648); // [rows, time 128, width 128]
  map(d2, rows * 16384, Add{}, part.h_2_out, part.x_on_2, h_2_attn_c_proj_out);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  part.h_2_ln_2_out = d2.rows<float>(1245184);       // [rows, time 128, normalized_shape 128]
  part.h_2_ln_2_out_mean = d2.rows<float>(1379328);  // [rows, time 128]
  part.h_2_ln_2_out_scale = d2.rows<float>(1379840); // [rows, time 128]
  layer_norm(d2, rows * 128, 128, float(1e-05), part.h_2_out, h_2_ln_2_weight_, h_2_ln_2_bias_,
             part.h_2_ln_2_out, part.h_2_ln_2_out_mean, part.h_2_ln_2_out_scale);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  part.h_2_mlp_c_fc_out = d2.rows<float>(0); // [rows * 128, out 512]
  linear(d2, rows * 128, 128, 512, part.h_2_ln_2_out, h_2_mlp_c_fc_weight_, h_2_mlp_c_fc_bias_,
         Activation::none, part.h_2_mlp_c_fc_out);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  part.h_2_mlp_out = d2.rows<float>(262144); // [rows, time 128, out 512]
  map(d2, rows * 65536, Gelu{}, part.h_2_mlp_out, part.h_2_mlp_c_fc_out);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_2_mlp_c_proj_out = d2.rows<float>(524288); // [rows * 128, out 128]
  linear(d2, rows * 128, 512, 128, part.h_2_mlp_out, h_2_mlp_c_proj_weight_, h_2_mlp_c_proj_bias_,
         Activation::none, h_2_mlp_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_4 = d2.rows<float>(524288); // [rows, time 128, width 128]
  map(d2, rows * 16384, Add{}, part.x_4, part.h_2_out, h_2_mlp_c_proj_out);
}

void Gpt::transfer_2_to_3(Part &part) {
  Device &d2 = part.device(2);
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // x: device 2 → 3, 65,536 B a row; h.3, h.3.ln_1 read it             gpt.mp:15
  part.x_on_3 = transfer(d2, part.x_4, d3, d3.rows<float>(1114112), rows * 16384);
}

void Gpt::forward_on_3(Part &part) {
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  part.h_3_ln_1_out = d3.rows<float>(1179648);       // [rows, time 128, normalized_shape 128]
  part.h_3_ln_1_out_mean = d3.rows<float>(1574912);  // [rows, time 128]
  part.h_3_ln_1_out_scale = d3.rows<float>(1575424); // [rows, time 128]
  layer_norm(d3, rows * 128, 128, float(1e-05), part.x_on_3, h_3_ln_1_weight_, h_3_ln_1_bias_,
             part.h_3_ln_1_out, part.h_3_ln_1_out_mean, part.h_3_ln_1_out_scale);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  part.h_3_attn_c_attn_out = d3.rows<float>(786432); // [rows * 128, out 384]
  linear(d3, rows * 128, 128, 384, part.h_3_ln_1_out, h_3_attn_c_attn_weight_,
         h_3_attn_c_attn_bias_, Activation::none, part.h_3_attn_c_attn_out);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  part.h_3_attn_y = d3.rows<float>(1245184);          // [rows, time 128, heads 4, dim 32]
  part.h_3_attn_y_log_sums = d3.rows<float>(1572864); // [rows, heads 4, time 128]
  attention(d3, {rows, 4, 4, 128, 128, 32, 32, Causal::yes},
            {part.h_3_attn_c_attn_out, 49152, 32, 384},
            {part.h_3_attn_c_attn_out + 128, 49152, 32, 384},
            {part.h_3_attn_c_attn_out + 256, 49152, 32, 384}, {part.h_3_attn_y, 16384, 32, 128},
            part.h_3_attn_y_log_sums);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_3_attn_c_proj_out = d3.rows<float>(1310720); // [rows * 128, out 128]
  linear(d3, rows * 128, 128, 128, part.h_3_attn_y, h_3_attn_c_proj_weight_, h_3_attn_c_proj_bias_,
         Activation::none, h_3_attn_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.h_3_out = d3.rows<float>(1310720); // [rows, time 128, width 128]
  map(d3, rows * 16384, Add{}, part.h_3_out, part.x_on_3, h_3_attn_c_proj_out);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  part.h_3_ln_2_out = d3.rows<float>(1376256);       // [rows, time 128, normalized_shape 128]
  part.h_3_ln_2_out_mean = d3.rows<float>(1575936);  // [rows, time 128]
  part.h_3_ln_2_out_scale = d3.rows<float>(1576448); // [rows, time 128]
  layer_norm(d3, rows * 128, 128, float(1e-05), part.h_3_out, h_3_ln_2_weight_, h_3_ln_2_bias_,
             part.h_3_ln_2_out, part.h_3_ln_2_out_mean, part.h_3_ln_2_out_scale);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  part.h_3_mlp_c_fc_out = d3.rows<float>(0); // [rows * 128, out 512]
  linear(d3, rows * 128, 128, 512, part.h_3_ln_2_out, h_3_mlp_c_fc_weight_, h_3_mlp_c_fc_bias_,
         Activation::none, part.h_3_mlp_c_fc_out);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  part.h_3_mlp_out = d3.rows<float>(262144); // [rows, time 128, out 512]
  map(d3, rows * 65536, Gelu{}, part.h_3_mlp_out, part.h_3_mlp_c_fc_out);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_3_mlp_c_proj_out = d3.rows<float>(655360); // [rows * 128, out 128]
  linear(d3, rows * 128, 512, 128, part.h_3_mlp_out, h_3_mlp_c_proj_weight_, h_3_mlp_c_proj_bias_,
         Activation::none, h_3_mlp_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_5 = d3.rows<float>(655360); // [rows, time 128, width 128]
  map(d3, rows * 16384, Add{}, part.x_5, part.h_3_out, h_3_mlp_c_proj_out);

  // ln_f = LayerNorm(width)                                              gpt.mp:9
  part.ln_f_out = d3.rows<float>(1441792);      // [rows, time 128, normalized_shape 128]
  part.ln_f_out_mean = d3.rows<float>(720896);  // [rows, time 128]
  part.ln_f_out_scale = d3.rows<float>(721408); // [rows, time 128]
  layer_norm(d3, rows * 128, 128, float(1e-05), part.x_5, ln_f_weight_, ln_f_bias_, part.ln_f_out,
             part.ln_f_out_mean, part.ln_f_out_scale);

  // lm_head = Linear(width, 256, bias: false, weight: wte.weight)        gpt.mp:10
  part.lm_head_matmul = d3.rows<float>(524288); // [rows * 128, out 256]
  matmul(d3, 1, rows * 128, 256, 128, Transpose::no, Transpose::yes, part.ln_f_out,
         wte_weight_on_3_, part.lm_head_matmul);

  // loss = cross_entropy                                                 gpt.mp:20
  float *const loss_cross_entropy = d3.rows<float>(721920); // [rows, time 128]
  cross_entropy(d3, rows * 128, 256, part.lm_head_matmul, part.target, loss_cross_entropy);
  float *const loss_sum = d3.fixed<float>(262144); // []
  reduce(d3, Reduction::sum, Shape{rows, 128}, 1u << 0 | 1u << 1, loss_cross_entropy, loss_sum,
         part.store);
}

void Gpt::backward_on_3(Part &part) {
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 gpt.mp:20
  float *const loss_cross_entropy_grad = d3.rows<float>(721920); // [rows, time 128]
  map(d3, rows * 128, OneOverCount{float(part.batch_rows * 128)}, loss_cross_entropy_grad);
  part.lm_head_out_grad = d3.rows<float>(983040); // [rows, time 128, out 256]
  cross_entropy_gradient(d3, rows * 128, 256, part.lm_head_matmul, part.target,
                         loss_cross_entropy_grad, part.lm_head_out_grad);

  // lm_head = Linear(width, 256, bias: false, weight: wte.weight)        gpt.mp:10
  float *const lm_head_reshape_grad = d3.rows<float>(524288); // [rows * 128, in 128]
  matmul(d3, 1, rows * 128, 128, 256, Transpose::no, Transpose::no, part.lm_head_out_grad,
         wte_weight_on_3_, lm_head_reshape_grad);

  // ln_f = LayerNorm(width)                                              gpt.mp:9
  part.x_grad = d3.rows<float>(1507328);                   // [rows, time 128, width 128]
  float *const ln_f_weight_grad = d3.gradients() + 198272; // [normalized_shape 128]
  float *const ln_f_bias_grad = d3.gradients() + 198400;   // [normalized_shape 128]
  layer_norm_gradient(d3, rows * 128, 128, lm_head_reshape_grad, part.x_5, part.ln_f_out_mean,
                      part.ln_f_out_scale, ln_f_weight_, part.x_grad, ln_f_weight_grad,
                      ln_f_bias_grad, part.store);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_3_mlp_c_proj_reshape_grad = d3.rows<float>(524288); // [rows * 128, in 512]
  matmul(d3, 1, rows * 128, 512, 128, Transpose::no, Transpose::no, part.x_grad,
         h_3_mlp_c_proj_weight_, h_3_mlp_c_proj_reshape_grad);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  part.h_3_mlp_c_fc_out_grad = d3.rows<float>(0); // [rows, time 128, out 512]
  map(d3, rows * 65536, GeluGradient{}, part.h_3_mlp_c_fc_out_grad, part.h_3_mlp_c_fc_out,
      h_3_mlp_c_proj_reshape_grad);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_3_mlp_c_fc_reshape_grad = d3.rows<float>(524288); // [rows * 128, in 128]
  matmul(d3, 1, rows * 128, 128, 512, Transpose::no, Transpose::no, part.h_3_mlp_c_fc_out_grad,
         h_3_mlp_c_fc_weight_, h_3_mlp_c_fc_reshape_grad);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  float *const h_3_out_grad = d3.rows<float>(720896);         // [rows, time 128, width 128]
  float *const h_3_ln_2_weight_grad = d3.gradients() + 66304; // [normalized_shape 128]
  float *const h_3_ln_2_bias_grad = d3.gradients() + 66432;   // [normalized_shape 128]
  layer_norm_gradient(d3, rows * 128, 128, h_3_mlp_c_fc_reshape_grad, part.h_3_out,
                      part.h_3_ln_2_out_mean, part.h_3_ln_2_out_scale, h_3_ln_2_weight_,
                      h_3_out_grad, h_3_ln_2_weight_grad, h_3_ln_2_bias_grad, part.store);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.h_3_out_grad = d3.rows<float>(720896); // [rows, time 128, width 128]
  map(d3, rows * 16384, Add{}, part.h_3_out_grad, part.x_grad, h_3_out_grad);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_3_attn_c_proj_reshape_grad = d3.rows<float>(1310720); // [rows * 128, in 128]
  matmul(d3, 1, rows * 128, 128, 128, Transpose::no, Transpose::no, part.h_3_out_grad,
         h_3_attn_c_proj_weight_, h_3_attn_c_proj_reshape_grad);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  part.h_3_attn_c_attn_out_grad = d3.rows<float>(524288); // [rows, time 128, out 384]
  attention_gradient(
      d3, {rows, 4, 4, 128, 128, 32, 32, Causal::yes},
      {h_3_attn_c_proj_reshape_grad, 16384, 32, 128}, {part.h_3_attn_c_attn_out, 49152, 32, 384},
      {part.h_3_attn_c_attn_out + 128, 49152, 32, 384},
      {part.h_3_attn_c_attn_out + 256, 49152, 32, 384}, {part.h_3_attn_y, 16384, 32, 128},
      part.h_3_attn_y_log_sums, {part.h_3_attn_c_attn_out_grad, 49152, 32, 384},
      {part.h_3_attn_c_attn_out_grad + 128, 49152, 32, 384},
      {part.h_3_attn_c_attn_out_grad + 256, 49152, 32, 384});

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_3_attn_c_attn_reshape_grad = d3.rows<float>(786432); // [rows * 128, in 128]
  matmul(d3, 1, rows * 128, 128, 384, Transpose::no, Transpose::no, part.h_3_attn_c_attn_out_grad,
         h_3_attn_c_attn_weight_, h_3_attn_c_attn_reshape_grad);

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  float *const x_grad = d3.rows<float>(851968);           // [rows, time 128, width 128]
  float *const h_3_ln_1_weight_grad = d3.gradients();     // [normalized_shape 128]
  float *const h_3_ln_1_bias_grad = d3.gradients() + 128; // [normalized_shape 128]
  layer_norm_gradient(d3, rows * 128, 128, h_3_attn_c_attn_reshape_grad, part.x_on_3,
                      part.h_3_ln_1_out_mean, part.h_3_ln_1_out_scale, h_3_ln_1_weight_, x_grad,
                      h_3_ln_1_weight_grad, h_3_ln_1_bias_grad, part.store);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_grad_2 = d3.rows<float>(851968); // [rows, time 128, width 128]
  map(d3, rows * 16384, Add{}, part.x_grad_2, part.h_3_out_grad, x_grad);
}

void Gpt::transfer_3_to_2(Part &part) {
  Device &d2 = part.device(2);
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // x_grad: device 3 → 2, 65,536 B a row; h.2, h.2.mlp.c_proj read it  gpt.mp:15
  part.x_grad_on_2 = transfer(d3, part.x_grad_2, d2, d2.rows<float>(1310720), rows * 16384);
}

void Gpt::weights_on_3(Part &part) {
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // lm_head = Linear(width, 256, bias: false, weight: wte.weight)        gpt.mp:10
  float *const wte_weight_grad = d3.fixed<float>(131072); // [num_embeddings 256, embedding_dim 128]
  matmul(d3, 1, 256, 128, rows * 128, Transpose::yes, Transpose::no, part.lm_head_out_grad,
         part.ln_f_out, wte_weight_grad, part.store);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_3_mlp_c_proj_bias_grad = d3.gradients() + 198144; // [width 128]
  reduce(d3, Reduction::sum, Shape{rows, 128, 128}, 1u << 0 | 1u << 1, part.x_grad,
         h_3_mlp_c_proj_bias_grad, part.store);
  float *const h_3_mlp_c_proj_weight_grad = d3.gradients() + 132608; // [out 128, in 512]
  matmul(d3, 1, 128, 512, rows * 128, Transpose::yes, Transpose::no, part.x_grad, part.h_3_mlp_out,
         h_3_mlp_c_proj_weight_grad, part.store);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_3_mlp_c_fc_bias_grad = d3.gradients() + 132096; // [out 512]
  reduce(d3, Reduction::sum, Shape{rows, 128, 512}, 1u << 0 | 1u << 1, part.h_3_mlp_c_fc_out_grad,
         h_3_mlp_c_fc_bias_grad, part.store);
  float *const h_3_mlp_c_fc_weight_grad = d3.gradients() + 66560; // [out 512, in 128]
  matmul(d3, 1, 512, 128, rows * 128, Transpose::yes, Transpose::no, part.h_3_mlp_c_fc_out_grad,
         part.h_3_ln_2_out, h_3_mlp_c_fc_weight_grad, part.store);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_3_attn_c_proj_bias_grad = d3.gradients() + 66176; // [width 128]
  reduce(d3, Reduction::sum, Shape{rows, 128, 128}, 1u << 0 | 1u << 1, part.h_3_out_grad,
         h_3_attn_c_proj_bias_grad, part.store);
  float *const h_3_attn_c_proj_weight_grad = d3.gradients() + 49792; // [out 128, in 128]
  matmul(d3, 1, 128, 128, rows * 128, Transpose::yes, Transpose::no, part.h_3_out_grad,
         part.h_3_attn_y, h_3_attn_c_proj_weight_grad, part.store);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_3_attn_c_attn_bias_grad = d3.gradients() + 49408; // [out 384]
  reduce(d3, Reduction::sum, Shape{rows, 128, 384}, 1u << 0 | 1u << 1,
         part.h_3_attn_c_attn_out_grad, h_3_attn_c_attn_bias_grad, part.store);
  float *const h_3_attn_c_attn_weight_grad = d3.gradients() + 256; // [out 384, in 128]
  matmul(d3, 1, 384, 128, rows * 128, Transpose::yes, Transpose::no, part.h_3_attn_c_attn_out_grad,
         part.h_3_ln_1_out, h_3_attn_c_attn_weight_grad, part.store);
}

void Gpt::backward_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_2_mlp_c_proj_reshape_grad = d2.rows<float>(524288); // [rows * 128, in 512]
  matmul(d2, 1, rows * 128, 512, 128, Transpose::no, Transpose::no, part.x_grad_on_2,
         h_2_mlp_c_proj_weight_, h_2_mlp_c_proj_reshape_grad);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  part.h_2_mlp_c_fc_out_grad = d2.rows<float>(0); // [rows, time 128, out 512]
  map(d2, rows * 65536, GeluGradient{}, part.h_2_mlp_c_fc_out_grad, part.h_2_mlp_c_fc_out,
      h_2_mlp_c_proj_reshape_grad);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_2_mlp_c_fc_reshape_grad = d2.rows<float>(524288); // [rows * 128, in 128]
  matmul(d2, 1, rows * 128, 128, 512, Transpose::no, Transpose::no, part.h_2_mlp_c_fc_out_grad,
         h_2_mlp_c_fc_weight_, h_2_mlp_c_fc_reshape_grad);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  float *const h_2_out_grad = d2.rows<float>(720896);         // [rows, time 128, width 128]
  float *const h_2_ln_2_weight_grad = d2.gradients() + 66304; // [normalized_shape 128]
  float *const h_2_ln_2_bias_grad = d2.gradients() + 66432;   // [normalized_shape 128]
  layer_norm_gradient(d2, rows * 128, 128, h_2_mlp_c_fc_reshape_grad, part.h_2_out,
                      part.h_2_ln_2_out_mean, part.h_2_ln_2_out_scale, h_2_ln_2_weight_,
                      h_2_out_grad, h_2_ln_2_weight_grad, h_2_ln_2_bias_grad, part.store);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.h_2_out_grad = d2.rows<float>(720896); // [rows, time 128, width 128]
  map(d2, rows * 16384, Add{}, part.h_2_out_grad, part.x_grad_on_2, h_2_out_grad);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_2_attn_c_proj_reshape_grad = d2.rows<float>(1179648); // [rows * 128, in 128]
  matmul(d2, 1, rows * 128, 128, 128, Transpose::no, Transpose::no, part.h_2_out_grad,
         h_2_attn_c_proj_weight_, h_2_attn_c_proj_reshape_grad);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  part.h_2_attn_c_attn_out_grad = d2.rows<float>(524288); // [rows, time 128, out 384]
  attention_gradient(
      d2, {rows, 4, 4, 128, 128, 32, 32, Causal::yes},
      {h_2_attn_c_proj_reshape_grad, 16384, 32, 128}, {part.h_2_attn_c_attn_out, 49152, 32, 384},
      {part.h_2_attn_c_attn_out + 128, 49152, 32, 384},
      {part.h_2_attn_c_attn_out + 256, 49152, 32, 384}, {part.h_2_attn_y, 16384, 32, 128},
      part.h_2_attn_y_log_sums, {part.h_2_attn_c_attn_out_grad, 49152, 32, 384},
      {part.h_2_attn_c_attn_out_grad + 128, 49152, 32, 384},
      {part.h_2_attn_c_attn_out_grad + 256, 49152, 32, 384});

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_2_attn_c_attn_reshape_grad = d2.rows<float>(786432); // [rows * 128, in 128]
  matmul(d2, 1, rows * 128, 128, 384, Transpose::no, Transpose::no, part.h_2_attn_c_attn_out_grad,
         h_2_attn_c_attn_weight_, h_2_attn_c_attn_reshape_grad);

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  float *const x_grad = d2.rows<float>(851968);           // [rows, time 128, width 128]
  float *const h_2_ln_1_weight_grad = d2.gradients();     // [normalized_shape 128]
  float *const h_2_ln_1_bias_grad = d2.gradients() + 128; // [normalized_shape 128]
  layer_norm_gradient(d2, rows * 128, 128, h_2_attn_c_attn_reshape_grad, part.x_on_2,
                      part.h_2_ln_1_out_mean, part.h_2_ln_1_out_scale, h_2_ln_1_weight_, x_grad,
                      h_2_ln_1_weight_grad, h_2_ln_1_bias_grad, part.store);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_grad_3 = d2.rows<float>(851968); // [rows, time 128, width 128]
  map(d2, rows * 16384, Add{}, part.x_grad_3, part.h_2_out_grad, x_grad);
}

void Gpt::transfer_2_to_1(Part &part) {
  Device &d1 = part.device(1);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // x_grad: device 2 → 1, 65,536 B a row; h.1, h.1.mlp.c_proj read it  gpt.mp:15
  part.x_grad_on_1 = transfer(d2, part.x_grad_3, d1, d1.rows<float>(1310720), rows * 16384);
}

void Gpt::weights_on_2(Part &part) {
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_2_mlp_c_proj_bias_grad = d2.gradients() + 198144; // [width 128]
  reduce(d2, Reduction::sum, Shape{rows, 128, 128}, 1u << 0 | 1u << 1, part.x_grad_on_2,
         h_2_mlp_c_proj_bias_grad, part.store);
  float *const h_2_mlp_c_proj_weight_grad = d2.gradients() + 132608; // [out 128, in 512]
  matmul(d2, 1, 128, 512, rows * 128, Transpose::yes, Transpose::no, part.x_grad_on_2,
         part.h_2_mlp_out, h_2_mlp_c_proj_weight_grad, part.store);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_2_mlp_c_fc_bias_grad = d2.gradients() + 132096; // [out 512]
  reduce(d2, Reduction::sum, Shape{rows, 128, 512}, 1u << 0 | 1u << 1, part.h_2_mlp_c_fc_out_grad,
         h_2_mlp_c_fc_bias_grad, part.store);
  float *const h_2_mlp_c_fc_weight_grad = d2.gradients() + 66560; // [out 512, in 128]
  matmul(d2, 1, 512, 128, rows * 128, Transpose::yes, Transpose::no, part.h_2_mlp_c_fc_out_grad,
         part.h_2_ln_2_out, h_2_mlp_c_fc_weight_grad, part.store);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_2_attn_c_proj_bias_grad = d2.gradients() + 66176; // [width 128]
  reduce(d2, Reduction::sum, Shape{rows, 128, 128}, 1u << 0 | 1u << 1, part.h_2_out_grad,
         h_2_attn_c_proj_bias_grad, part.store);
  float *const h_2_attn_c_proj_weight_grad = d2.gradients() + 49792; // [out 128, in 128]
  matmul(d2, 1, 128, 128, rows * 128, Transpose::yes, Transpose::no, part.h_2_out_grad,
         part.h_2_attn_y, h_2_attn_c_proj_weight_grad, part.store);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_2_attn_c_attn_bias_grad = d2.gradients() + 49408; // [out 384]
  reduce(d2, Reduction::sum, Shape{rows, 128, 384}, 1u << 0 | 1u << 1,
         part.h_2_attn_c_attn_out_grad, h_2_attn_c_attn_bias_grad, part.store);
  float *const h_2_attn_c_attn_weight_grad = d2.gradients() + 256; // [out 384, in 128]
  matmul(d2, 1, 384, 128, rows * 128, Transpose::yes, Transpose::no, part.h_2_attn_c_attn_out_grad,
         part.h_2_ln_1_out, h_2_attn_c_attn_weight_grad, part.store);
}

void Gpt::backward_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_1_mlp_c_proj_reshape_grad = d1.rows<float>(524288); // [rows * 128, in 512]
  matmul(d1, 1, rows * 128, 512, 128, Transpose::no, Transpose::no, part.x_grad_on_1,
         h_1_mlp_c_proj_weight_, h_1_mlp_c_proj_reshape_grad);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  part.h_1_mlp_c_fc_out_grad = d1.rows<float>(0); // [rows, time 128, out 512]
  map(d1, rows * 65536, GeluGradient{}, part.h_1_mlp_c_fc_out_grad, part.h_1_mlp_c_fc_out,
      h_1_mlp_c_proj_reshape_grad);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_1_mlp_c_fc_reshape_grad = d1.rows<float>(524288); // [rows * 128, in 128]
  matmul(d1, 1, rows * 128, 128, 512, Transpose::no, Transpose::no, part.h_1_mlp_c_fc_out_grad,
         h_1_mlp_c_fc_weight_, h_1_mlp_c_fc_reshape_grad);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  float *const h_1_out_grad = d1.rows<float>(720896);         // [rows, time 128, width 128]
  float *const h_1_ln_2_weight_grad = d1.gradients() + 66304; // [normalized_shape 128]
  float *const h_1_ln_2_bias_grad = d1.gradients() + 66432;   // [normalized_shape 128]
  layer_norm_gradient(d1, rows * 128, 128, h_1_mlp_c_fc_reshape_grad, part.h_1_out,
                      part.h_1_ln_2_out_mean, part.h_1_ln_2_out_scale, h_1_ln_2_weight_,
                      h_1_out_grad, h_1_ln_2_weight_grad, h_1_ln_2_bias_grad, part.store);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.h_1_out_grad = d1.rows<float>(720896); // [rows, time 128, width 128]
  map(d1, rows * 16384, Add{}, part.h_1_out_grad, part.x_grad_on_1, h_1_out_grad);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_1_attn_c_proj_reshape_grad = d1.rows<float>(1179648); // [rows * 128, in 128]
  matmul(d1, 1, rows * 128, 128, 128, Transpose::no, Transpose::no, part.h_1_out_grad,
         h_1_attn_c_proj_weight_, h_1_attn_c_proj_reshape_grad);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  part.h_1_attn_c_attn_out_grad = d1.rows<float>(524288); // [rows, time 128, out 384]
  attention_gradient(
      d1, {rows, 4, 4, 128, 128, 32, 32, Causal::yes},
      {h_1_attn_c_proj_reshape_grad, 16384, 32, 128}, {part.h_1_attn_c_attn_out, 49152, 32, 384},
      {part.h_1_attn_c_attn_out + 128, 49152, 32, 384},
      {part.h_1_attn_c_attn_out + 256, 49152, 32, 384}, {part.h_1_attn_y, 16384, 32, 128},
      part.h_1_attn_y_log_sums, {part.h_1_attn_c_attn_out_grad, 49152, 32, 384},
      {part.h_1_attn_c_attn_out_grad + 128, 49152, 32, 384},
      {part.h_1_attn_c_attn_out_grad + 256, 49152, 32, 384});

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_1_attn_c_attn_reshape_grad = d1.rows<float>(786432); // [rows * 128, in 128]
  matmul(d1, 1, rows * 128, 128, 384, Transpose::no, Transpose::no, part.h_1_attn_c_attn_out_grad,
         h_1_attn_c_attn_weight_, h_1_attn_c_attn_reshape_grad);

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  float *const x_grad = d1.rows<float>(851968);           // [rows, time 128, width 128]
  float *const h_1_ln_1_weight_grad = d1.gradients();     // [normalized_shape 128]
  float *const h_1_ln_1_bias_grad = d1.gradients() + 128; // [normalized_shape 128]
  layer_norm_gradient(d1, rows * 128, 128, h_1_attn_c_attn_reshape_grad, part.x_on_1,
                      part.h_1_ln_1_out_mean, part.h_1_ln_1_out_scale, h_1_ln_1_weight_, x_grad,
                      h_1_ln_1_weight_grad, h_1_ln_1_bias_grad, part.store);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_grad_4 = d1.rows<float>(851968); // [rows, time 128, width 128]
  map(d1, rows * 16384, Add{}, part.x_grad_4, part.h_1_out_grad, x_grad);
}

void Gpt::transfer_1_to_0(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // x_grad: device 1 → 0, 65,536 B a row; h.0, h.0.mlp.c_proj read it  gpt.mp:15
  part.x_grad_on_0 = transfer(d1, part.x_grad_4, d0, d0.rows<float>(1310720), rows * 16384);
}

void Gpt::weights_on_1(Part &part) {
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_1_mlp_c_proj_bias_grad = d1.gradients() + 198144; // [width 128]
  reduce(d1, Reduction::sum, Shape{rows, 128, 128}, 1u << 0 | 1u << 1, part.x_grad_on_1,
         h_1_mlp_c_proj_bias_grad, part.store);
  float *const h_1_mlp_c_proj_weight_grad = d1.gradients() + 132608; // [out 128, in 512]
  matmul(d1, 1, 128, 512, rows * 128, Transpose::yes, Transpose::no, part.x_grad_on_1,
         part.h_1_mlp_out, h_1_mlp_c_proj_weight_grad, part.store);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_1_mlp_c_fc_bias_grad = d1.gradients() + 132096; // [out 512]
  reduce(d1, Reduction::sum, Shape{rows, 128, 512}, 1u << 0 | 1u << 1, part.h_1_mlp_c_fc_out_grad,
         h_1_mlp_c_fc_bias_grad, part.store);
  float *const h_1_mlp_c_fc_weight_grad = d1.gradients() + 66560; // [out 512, in 128]
  matmul(d1, 1, 512, 128, rows * 128, Transpose::yes, Transpose::no, part.h_1_mlp_c_fc_out_grad,
         part.h_1_ln_2_out, h_1_mlp_c_fc_weight_grad, part.store);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_1_attn_c_proj_bias_grad = d1.gradients() + 66176; // [width 128]
  reduce(d1, Reduction::sum, Shape{rows, 128, 128}, 1u << 0 | 1u << 1, part.h_1_out_grad,
         h_1_attn_c_proj_bias_grad, part.store);
  float *const h_1_attn_c_proj_weight_grad = d1.gradients() + 49792; // [out 128, in 128]
  matmul(d1, 1, 128, 128, rows * 128, Transpose::yes, Transpose::no, part.h_1_out_grad,
         part.h_1_attn_y, h_1_attn_c_proj_weight_grad, part.store);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_1_attn_c_attn_bias_grad = d1.gradients() + 49408; // [out 384]
  reduce(d1, Reduction::sum, Shape{rows, 128, 384}, 1u << 0 | 1u << 1,
         part.h_1_attn_c_attn_out_grad, h_1_attn_c_attn_bias_grad, part.store);
  float *const h_1_attn_c_attn_weight_grad = d1.gradients() + 256; // [out 384, in 128]
  matmul(d1, 1, 384, 128, rows * 128, Transpose::yes, Transpose::no, part.h_1_attn_c_attn_out_grad,
         part.h_1_ln_1_out, h_1_attn_c_attn_weight_grad, part.store);
}

void Gpt::weights_on_0(Part &part) {
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_0_mlp_c_proj_bias_grad = d0.gradients() + 247296; // [width 128]
  reduce(d0, Reduction::sum, Shape{rows, 128, 128}, 1u << 0 | 1u << 1, part.x_grad_on_0,
         h_0_mlp_c_proj_bias_grad, part.store);
  float *const h_0_mlp_c_proj_reshape_grad = d0.rows<float>(524288); // [rows * 128, in 512]
  matmul(d0, 1, rows * 128, 512, 128, Transpose::no, Transpose::no, part.x_grad_on_0,
         h_0_mlp_c_proj_weight_, h_0_mlp_c_proj_reshape_grad);
  float *const h_0_mlp_c_proj_weight_grad = d0.gradients() + 181760; // [out 128, in 512]
  matmul(d0, 1, 128, 512, rows * 128, Transpose::yes, Transpose::no, part.x_grad_on_0,
         part.h_0_mlp_out, h_0_mlp_c_proj_weight_grad, part.store);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  float *const h_0_mlp_c_fc_out_grad = d0.rows<float>(0); // [rows, time 128, out 512]
  map(d0, rows * 65536, GeluGradient{}, h_0_mlp_c_fc_out_grad, part.h_0_mlp_c_fc_out,
      h_0_mlp_c_proj_reshape_grad);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_0_mlp_c_fc_bias_grad = d0.gradients() + 181248; // [out 512]
  reduce(d0, Reduction::sum, Shape{rows, 128, 512}, 1u << 0 | 1u << 1, h_0_mlp_c_fc_out_grad,
         h_0_mlp_c_fc_bias_grad, part.store);
  float *const h_0_mlp_c_fc_reshape_grad = d0.rows<float>(262144); // [rows * 128, in 128]
  matmul(d0, 1, rows * 128, 128, 512, Transpose::no, Transpose::no, h_0_mlp_c_fc_out_grad,
         h_0_mlp_c_fc_weight_, h_0_mlp_c_fc_reshape_grad);
  float *const h_0_mlp_c_fc_weight_grad = d0.gradients() + 115712; // [out 512, in 128]
  matmul(d0, 1, 512, 128, rows * 128, Transpose::yes, Transpose::no, h_0_mlp_c_fc_out_grad,
         part.h_0_ln_2_out, h_0_mlp_c_fc_weight_grad, part.store);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  float *const h_0_out_grad = d0.rows<float>(196608);          // [rows, time 128, width 128]
  float *const h_0_ln_2_weight_grad = d0.gradients() + 115456; // [normalized_shape 128]
  float *const h_0_ln_2_bias_grad = d0.gradients() + 115584;   // [normalized_shape 128]
  layer_norm_gradient(d0, rows * 128, 128, h_0_mlp_c_fc_reshape_grad, part.h_0_out,
                      part.h_0_ln_2_out_mean, part.h_0_ln_2_out_scale, h_0_ln_2_weight_,
                      h_0_out_grad, h_0_ln_2_weight_grad, h_0_ln_2_bias_grad, part.store);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  float *const h_0_out_grad_2 = d0.rows<float>(196608); // [rows, time 128, width 128]
  map(d0, rows * 16384, Add{}, h_0_out_grad_2, part.x_grad_on_0, h_0_out_grad);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_0_attn_c_proj_bias_grad = d0.gradients() + 115328; // [width 128]
  reduce(d0, Reduction::sum, Shape{rows, 128, 128}, 1u << 0 | 1u << 1, h_0_out_grad_2,
         h_0_attn_c_proj_bias_grad, part.store);
  float *const h_0_attn_c_proj_reshape_grad = d0.rows<float>(262144); // [rows * 128, in 128]
  matmul(d0, 1, rows * 128, 128, 128, Transpose::no, Transpose::no, h_0_out_grad_2,
         h_0_attn_c_proj_weight_, h_0_attn_c_proj_reshape_grad);
  float *const h_0_attn_c_proj_weight_grad = d0.gradients() + 98944; // [out 128, in 128]
  matmul(d0, 1, 128, 128, rows * 128, Transpose::yes, Transpose::no, h_0_out_grad_2,
         part.h_0_attn_y, h_0_attn_c_proj_weight_grad, part.store);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  float *const h_0_attn_c_attn_out_grad = d0.rows<float>(0); // [rows, time 128, out 384]
  attention_gradient(
      d0, {rows, 4, 4, 128, 128, 32, 32, Causal::yes},
      {h_0_attn_c_proj_reshape_grad, 16384, 32, 128}, {part.h_0_attn_c_attn_out, 49152, 32, 384},
      {part.h_0_attn_c_attn_out + 128, 49152, 32, 384},
      {part.h_0_attn_c_attn_out + 256, 49152, 32, 384}, {part.h_0_attn_y, 16384, 32, 128},
      part.h_0_attn_y_log_sums, {h_0_attn_c_attn_out_grad, 49152, 32, 384},
      {h_0_attn_c_attn_out_grad + 128, 49152, 32, 384},
      {h_0_attn_c_attn_out_grad + 256, 49152, 32, 384});

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_0_attn_c_attn_bias_grad = d0.gradients() + 98560; // [out 384]
  reduce(d0, Reduction::sum, Shape{rows, 128, 384}, 1u << 0 | 1u << 1, h_0_attn_c_attn_out_grad,
         h_0_attn_c_attn_bias_grad, part.store);
  float *const h_0_attn_c_attn_reshape_grad = d0.rows<float>(262144); // [rows * 128, in 128]
  matmul(d0, 1, rows * 128, 128, 384, Transpose::no, Transpose::no, h_0_attn_c_attn_out_grad,
         h_0_attn_c_attn_weight_, h_0_attn_c_attn_reshape_grad);
  float *const h_0_attn_c_attn_weight_grad = d0.gradients() + 49408; // [out 384, in 128]
  matmul(d0, 1, 384, 128, rows * 128, Transpose::yes, Transpose::no, h_0_attn_c_attn_out_grad,
         part.h_0_ln_1_out, h_0_attn_c_attn_weight_grad, part.store);

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  float *const x_grad = d0.rows<float>(0);                    // [rows, time 128, embedding_dim 128]
  float *const h_0_ln_1_weight_grad = d0.gradients() + 49152; // [normalized_shape 128]
  float *const h_0_ln_1_bias_grad = d0.gradients() + 49280;   // [normalized_shape 128]
  layer_norm_gradient(d0, rows * 128, 128, h_0_attn_c_attn_reshape_grad, part.x,
                      part.h_0_ln_1_out_mean, part.h_0_ln_1_out_scale, h_0_ln_1_weight_, x_grad,
                      h_0_ln_1_weight_grad, h_0_ln_1_bias_grad, part.store);

  // add                                                                  gpt.mp:14
  float *const x_grad_2 = d0.rows<float>(196608); // [rows, time 128, width 128]
  map(d0, rows * 16384, Add{}, x_grad_2, h_0_out_grad_2, x_grad);

  // reduce                                                               gpt.mp:14
  float *const wpe_broadcast = d0.fixed<float>(196608); // [time 128, width 128]
  reduce(d0, Reduction::sum, Shape{rows, 128, 128}, 1u << 0, x_grad_2, wpe_broadcast, part.store);

  // wte = Embedding(256, width, std: 0.02)                               gpt.mp:4
  float *const wte_out = d0.fixed<float>(0); // [num_embeddings 256, embedding_dim 128]
  scatter_add(d0, 256, 128, rows * 128, "wte", part.text, x_grad_2, wte_out, part.store);
}

void Gpt::finish_on_3(Part &part) {
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 gpt.mp:20
  float *const loss_sum = d3.fixed<float>(262144); // []
  loss_ = d3.fixed<float>(262144);                 // []
  map(d3, 1, DivideByCount{float(rows * 128)}, loss_, loss_sum);
}

void Gpt::finish_on_0(Part &part) {
  Device &d0 = part.device(0);

  // wpe = Embedding(context, width, std: 0.02)                           gpt.mp:5
  float *const wpe_broadcast = d0.fixed<float>(196608);  // [time 128, width 128]
  float *const wpe_weight_grad = d0.gradients() + 32768; // [num_embeddings 128, embedding_dim 128]
  scatter_add(d0, 128, 128, 128, "wpe.weight", wpe_out_, wpe_broadcast, wpe_weight_grad);
}

void Gpt::transfer_3_to_0(Part &part) {
  Device &d0 = part.device(0);
  Device &d3 = part.device(3);

  // wte_weight_grad: device 3 → 0, 131,072 B; wte reads it             gpt.mp:16
  float *const wte_weight_grad = d3.fixed<float>(131072); // [num_embeddings 256, embedding_dim 128]
  wte_weight_grad_on_0_ = transfer(d3, wte_weight_grad, d0, d0.fixed<float>(131072), 32768);
}

void Gpt::finish_on_0_part_2(Part &part) {
  Device &d0 = part.device(0);

  // wte = Embedding(256, width, std: 0.02)                               gpt.mp:4
  float *const wte_out = d0.fixed<float>(0);       // [num_embeddings 256, embedding_dim 128]
  float *const wte_weight_grad_2 = d0.gradients(); // [num_embeddings 256, embedding_dim 128]
  map(d0, 32768, Add{}, wte_weight_grad_2, wte_weight_grad_on_0_, wte_out);
}

void Gpt::update_on_0(Part &part) {
  Device &d0 = part.device(0);
  adamw(d0, optimizer(), step());
}

void Gpt::update_on_1(Part &part) {
  Device &d1 = part.device(1);
  adamw(d1, optimizer(), step());
}

void Gpt::update_on_2(Part &part) {
  Device &d2 = part.device(2);
  adamw(d2, optimizer(), step());
}

void Gpt::update_on_3(Part &part) {
  Device &d3 = part.device(3);
  adamw(d3, optimizer(), step());
}

float Gpt::evaluate(const Batch &batch, const void *&output) {
  check(batch);
  Part whole(*this, batch.rows);
  whole.text = input_rows<int32_t>(whole, batch, 0, 128);
  whole.target = target_rows<int32_t>(whole, batch, 128);

  evaluate_on_0(whole); // wte, wpe, h.0.ln_1, h.0.attn.c_attn, h.0.attn, h.0.attn.c_proj, h.0,
                        // h.0.ln_2, h.0.mlp.c_fc, h.0.mlp, h.0.mlp.c_proj
  evaluate_0_to_1(whole);
  evaluate_on_1(whole); // h.1.ln_1, h.1.attn.c_attn, h.1.attn, h.1.attn.c_proj, h.1, h.1.ln_2,
                        // h.1.mlp.c_fc, h.1.mlp, h.1.mlp.c_proj
  evaluate_1_to_2(whole);
  evaluate_on_2(whole); // h.2.ln_1, h.2.attn.c_attn, h.2.attn, h.2.attn.c_proj, h.2, h.2.ln_2,
                        // h.2.mlp.c_fc, h.2.mlp, h.2.mlp.c_proj
  evaluate_2_to_3(whole);
  evaluate_on_3(whole); // h.3.ln_1, h.3.attn.c_attn, h.3.attn, h.3.attn.c_proj, h.3, h.3.ln_2,
                        // h.3.mlp.c_fc, h.3.mlp, h.3.mlp.c_proj, ln_f
  transfer_0_to_3(whole);
  evaluate_on_3_part_2(whole); // lm_head
  evaluate_loss_on_3(whole);   // loss

  output = output_for_target(3, whole.lm_head_matmul, batch.rows);
  return value_from(3, evaluated_loss_);
}

void Gpt::evaluate_on_0(Part &part) {
  if (!has_device(0))
    return; // another process has it
  Device &d0 = part.device(0);
  const int64_t rows = part.rows;

  // wte = Embedding(256, width, std: 0.02)                               gpt.mp:4
  float *const wte_out = d0.rows<float>(262144); // [rows, time 128, embedding_dim 128]
  gather(d0, 256, 128, rows * 128, "wte.weight", wte_weight_, part.text, wte_out);

  // wpe = Embedding(context, width, std: 0.02)                           gpt.mp:5
  int32_t *const wpe_out = d0.fixed<int32_t>(65536); // [time 128]
  map(d0, Shape{128}, Copy{}, wpe_out, Index{{1}});
  float *const wpe_out_2 = d0.fixed<float>(0); // [time 128, embedding_dim 128]
  gather(d0, 128, 128, 128, "wpe.weight", wpe_weight_, wpe_out, wpe_out_2);

  // add                                                                  gpt.mp:14
  float *const x = d0.rows<float>(262144); // [rows, time 128, embedding_dim 128]
  map(d0, Shape{rows, 128, 128}, Add{}, x, strided(wte_out, {16384, 128, 1}),
      strided(wpe_out_2, {0, 128, 1}));

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  float *const h_0_ln_1_out = d0.rows<float>(196608);    // [rows, time 128, normalized_shape 128]
  float *const h_0_ln_1_out_mean = d0.rows<float>(0);    // [rows, time 128]
  float *const h_0_ln_1_out_scale = d0.rows<float>(512); // [rows, time 128]
  layer_norm(d0, rows * 128, 128, float(1e-05), x, h_0_ln_1_weight_, h_0_ln_1_bias_, h_0_ln_1_out,
             h_0_ln_1_out_mean, h_0_ln_1_out_scale);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_0_attn_c_attn_out = d0.rows<float>(0); // [rows * 128, out 384]
  linear(d0, rows * 128, 128, 384, h_0_ln_1_out, h_0_attn_c_attn_weight_, h_0_attn_c_attn_bias_,
         Activation::none, h_0_attn_c_attn_out);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  float *const h_0_attn_y = d0.rows<float>(196608);          // [rows, time 128, heads 4, dim 32]
  float *const h_0_attn_y_log_sums = d0.rows<float>(327680); // [rows, heads 4, time 128]
  attention(d0, {rows, 4, 4, 128, 128, 32, 32, Causal::yes}, {h_0_attn_c_attn_out, 49152, 32, 384},
            {h_0_attn_c_attn_out + 128, 49152, 32, 384},
            {h_0_attn_c_attn_out + 256, 49152, 32, 384}, {h_0_attn_y, 16384, 32, 128},
            h_0_attn_y_log_sums);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_0_attn_c_proj_out = d0.rows<float>(0); // [rows * 128, out 128]
  linear(d0, rows * 128, 128, 128, h_0_attn_y, h_0_attn_c_proj_weight_, h_0_attn_c_proj_bias_,
         Activation::none, h_0_attn_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  float *const h_0_out = d0.rows<float>(262144); // [rows, time 128, width 128]
  map(d0, rows * 16384, Add{}, h_0_out, x, h_0_attn_c_proj_out);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  float *const h_0_ln_2_out = d0.rows<float>(327680);    // [rows, time 128, normalized_shape 128]
  float *const h_0_ln_2_out_mean = d0.rows<float>(0);    // [rows, time 128]
  float *const h_0_ln_2_out_scale = d0.rows<float>(512); // [rows, time 128]
  layer_norm(d0, rows * 128, 128, float(1e-05), h_0_out, h_0_ln_2_weight_, h_0_ln_2_bias_,
             h_0_ln_2_out, h_0_ln_2_out_mean, h_0_ln_2_out_scale);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_0_mlp_c_fc_out = d0.rows<float>(0); // [rows * 128, out 512]
  linear(d0, rows * 128, 128, 512, h_0_ln_2_out, h_0_mlp_c_fc_weight_, h_0_mlp_c_fc_bias_,
         Activation::none, h_0_mlp_c_fc_out);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  float *const h_0_mlp_out = d0.rows<float>(0); // [rows, time 128, out 512]
  map(d0, rows * 65536, Gelu{}, h_0_mlp_out, h_0_mlp_c_fc_out);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_0_mlp_c_proj_out = d0.rows<float>(327680); // [rows * 128, out 128]
  linear(d0, rows * 128, 512, 128, h_0_mlp_out, h_0_mlp_c_proj_weight_, h_0_mlp_c_proj_bias_,
         Activation::none, h_0_mlp_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_2 = d0.rows<float>(262144); // [rows, time 128, width 128]
  map(d0, rows * 16384, Add{}, part.x_2, h_0_out, h_0_mlp_c_proj_out);
}

void Gpt::evaluate_0_to_1(Part &part) {
  Device &d0 = part.device(0);
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // x: device 0 → 1, 65,536 B a row; h.1, h.1.ln_1 read it             gpt.mp:15
  part.x_on_1 = transfer(d0, part.x_2, d1, d1.rows<float>(196608), rows * 16384);
}

void Gpt::evaluate_on_1(Part &part) {
  if (!has_device(1))
    return; // another process has it
  Device &d1 = part.device(1);
  const int64_t rows = part.rows;

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  float *const h_1_ln_1_out = d1.rows<float>(262144);    // [rows, time 128, normalized_shape 128]
  float *const h_1_ln_1_out_mean = d1.rows<float>(0);    // [rows, time 128]
  float *const h_1_ln_1_out_scale = d1.rows<float>(512); // [rows, time 128]
  layer_norm(d1, rows * 128, 128, float(1e-05), part.x_on_1, h_1_ln_1_weight_, h_1_ln_1_bias_,
             h_1_ln_1_out, h_1_ln_1_out_mean, h_1_ln_1_out_scale);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_1_attn_c_attn_out = d1.rows<float>(0); // [rows * 128, out 384]
  linear(d1, rows * 128, 128, 384, h_1_ln_1_out, h_1_attn_c_attn_weight_, h_1_attn_c_attn_bias_,
         Activation::none, h_1_attn_c_attn_out);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  float *const h_1_attn_y = d1.rows<float>(262144);          // [rows, time 128, heads 4, dim 32]
  float *const h_1_attn_y_log_sums = d1.rows<float>(327680); // [rows, heads 4, time 128]
  attention(d1, {rows, 4, 4, 128, 128, 32, 32, Causal::yes}, {h_1_attn_c_attn_out, 49152, 32, 384},
            {h_1_attn_c_attn_out + 128, 49152, 32, 384},
            {h_1_attn_c_attn_out + 256, 49152, 32, 384}, {h_1_attn_y, 16384, 32, 128},
            h_1_attn_y_log_sums);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_1_attn_c_proj_out = d1.rows<float>(327680); // [rows * 128, out 128]
  linear(d1, rows * 128, 128, 128, h_1_attn_y, h_1_attn_c_proj_weight_, h_1_attn_c_proj_bias_,
         Activation::none, h_1_attn_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  float *const h_1_out = d1.rows<float>(327680); // [rows, time 128, width 128]
  map(d1, rows * 16384, Add{}, h_1_out, part.x_on_1, h_1_attn_c_proj_out);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  float *const h_1_ln_2_out = d1.rows<float>(262144);    // [rows, time 128, normalized_shape 128]
  float *const h_1_ln_2_out_mean = d1.rows<float>(0);    // [rows, time 128]
  float *const h_1_ln_2_out_scale = d1.rows<float>(512); // [rows, time 128]
  layer_norm(d1, rows * 128, 128, float(1e-05), h_1_out, h_1_ln_2_weight_, h_1_ln_2_bias_,
             h_1_ln_2_out, h_1_ln_2_out_mean, h_1_ln_2_out_scale);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_1_mlp_c_fc_out = d1.rows<float>(0); // [rows * 128, out 512]
  linear(d1, rows * 128, 128, 512, h_1_ln_2_out, h_1_mlp_c_fc_weight_, h_1_mlp_c_fc_bias_,
         Activation::none, h_1_mlp_c_fc_out);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  float *const h_1_mlp_out = d1.rows<float>(0); // [rows, time 128, out 512]
  map(d1, rows * 65536, Gelu{}, h_1_mlp_out, h_1_mlp_c_fc_out);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_1_mlp_c_proj_out = d1.rows<float>(262144); // [rows * 128, out 128]
  linear(d1, rows * 128, 512, 128, h_1_mlp_out, h_1_mlp_c_proj_weight_, h_1_mlp_c_proj_bias_,
         Activation::none, h_1_mlp_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_3 = d1.rows<float>(327680); // [rows, time 128, width 128]
  map(d1, rows * 16384, Add{}, part.x_3, h_1_out, h_1_mlp_c_proj_out);
}

void Gpt::evaluate_1_to_2(Part &part) {
  Device &d1 = part.device(1);
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // x: device 1 → 2, 65,536 B a row; h.2, h.2.ln_1 read it             gpt.mp:15
  part.x_on_2 = transfer(d1, part.x_3, d2, d2.rows<float>(196608), rows * 16384);
}

void Gpt::evaluate_on_2(Part &part) {
  if (!has_device(2))
    return; // another process has it
  Device &d2 = part.device(2);
  const int64_t rows = part.rows;

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  float *const h_2_ln_1_out = d2.rows<float>(262144);    // [rows, time 128, normalized_shape 128]
  float *const h_2_ln_1_out_mean = d2.rows<float>(0);    // [rows, time 128]
  float *const h_2_ln_1_out_scale = d2.rows<float>(512); // [rows, time 128]
  layer_norm(d2, rows * 128, 128, float(1e-05), part.x_on_2, h_2_ln_1_weight_, h_2_ln_1_bias_,
             h_2_ln_1_out, h_2_ln_1_out_mean, h_2_ln_1_out_scale);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_2_attn_c_attn_out = d2.rows<float>(0); // [rows * 128, out 384]
  linear(d2, rows * 128, 128, 384, h_2_ln_1_out, h_2_attn_c_attn_weight_, h_2_attn_c_attn_bias_,
         Activation::none, h_2_attn_c_attn_out);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  float *const h_2_attn_y = d2.rows<float>(262144);          // [rows, time 128, heads 4, dim 32]
  float *const h_2_attn_y_log_sums = d2.rows<float>(327680); // [rows, heads 4, time 128]
  attention(d2, {rows, 4, 4, 128, 128, 32, 32, Causal::yes}, {h_2_attn_c_attn_out, 49152, 32, 384},
            {h_2_attn_c_attn_out + 128, 49152, 32, 384},
            {h_2_attn_c_attn_out + 256, 49152, 32, 384}, {h_2_attn_y, 16384, 32, 128},
            h_2_attn_y_log_sums);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_2_attn_c_proj_out = d2.rows<float>(327680); // [rows * 128, out 128]
  linear(d2, rows * 128, 128, 128, h_2_attn_y, h_2_attn_c_proj_weight_, h_2_attn_c_proj_bias_,
         Activation::none, h_2_attn_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  float *const h_2_out = d2.rows<float>(327680); // [rows, time 128, width 128]
  map(d2, rows * 16384, Add{}, h_2_out, part.x_on_2, h_2_attn_c_proj_out);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  float *const h_2_ln_2_out = d2.rows<float>(262144);    // [rows, time 128, normalized_shape 128]
  float *const h_2_ln_2_out_mean = d2.rows<float>(0);    // [rows, time 128]
  float *const h_2_ln_2_out_scale = d2.rows<float>(512); // [rows, time 128]
  layer_norm(d2, rows * 128, 128, float(1e-05), h_2_out, h_2_ln_2_weight_, h_2_ln_2_bias_,
             h_2_ln_2_out, h_2_ln_2_out_mean, h_2_ln_2_out_scale);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_2_mlp_c_fc_out = d2.rows<float>(0); // [rows * 128, out 512]
  linear(d2, rows * 128, 128, 512, h_2_ln_2_out, h_2_mlp_c_fc_weight_, h_2_mlp_c_fc_bias_,
         Activation::none, h_2_mlp_c_fc_out);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  float *const h_2_mlp_out = d2.rows<float>(0); // [rows, time 128, out 512]
  map(d2, rows * 65536, Gelu{}, h_2_mlp_out, h_2_mlp_c_fc_out);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_2_mlp_c_proj_out = d2.rows<float>(262144); // [rows * 128, out 128]
  linear(d2, rows * 128, 512, 128, h_2_mlp_out, h_2_mlp_c_proj_weight_, h_2_mlp_c_proj_bias_,
         Activation::none, h_2_mlp_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  part.x_4 = d2.rows<float>(327680); // [rows, time 128, width 128]
  map(d2, rows * 16384, Add{}, part.x_4, h_2_out, h_2_mlp_c_proj_out);
}

void Gpt::evaluate_2_to_3(Part &part) {
  Device &d2 = part.device(2);
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // x: device 2 → 3, 65,536 B a row; h.3, h.3.ln_1 read it             gpt.mp:15
  part.x_on_3 = transfer(d2, part.x_4, d3, d3.rows<float>(196608), rows * 16384);
}

void Gpt::evaluate_on_3(Part &part) {
  if (!has_device(3))
    return; // another process has it
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // ln_1 = LayerNorm(width, bias: bias)                                  transformer.mp:98
  float *const h_3_ln_1_out = d3.rows<float>(262144);    // [rows, time 128, normalized_shape 128]
  float *const h_3_ln_1_out_mean = d3.rows<float>(0);    // [rows, time 128]
  float *const h_3_ln_1_out_scale = d3.rows<float>(512); // [rows, time 128]
  layer_norm(d3, rows * 128, 128, float(1e-05), part.x_on_3, h_3_ln_1_weight_, h_3_ln_1_bias_,
             h_3_ln_1_out, h_3_ln_1_out_mean, h_3_ln_1_out_scale);

  // c_attn = Linear(width, 3 * heads * dim, bias: bias)                  transformer.mp:26
  float *const h_3_attn_c_attn_out = d3.rows<float>(0); // [rows * 128, out 384]
  linear(d3, rows * 128, 128, 384, h_3_ln_1_out, h_3_attn_c_attn_weight_, h_3_attn_c_attn_bias_,
         Activation::none, h_3_attn_c_attn_out);

  // attn = MultiHeadAttention(width, heads, kv_heads, causal: ca ...     transformer.mp:99
  float *const h_3_attn_y = d3.rows<float>(262144);          // [rows, time 128, heads 4, dim 32]
  float *const h_3_attn_y_log_sums = d3.rows<float>(327680); // [rows, heads 4, time 128]
  attention(d3, {rows, 4, 4, 128, 128, 32, 32, Causal::yes}, {h_3_attn_c_attn_out, 49152, 32, 384},
            {h_3_attn_c_attn_out + 128, 49152, 32, 384},
            {h_3_attn_c_attn_out + 256, 49152, 32, 384}, {h_3_attn_y, 16384, 32, 128},
            h_3_attn_y_log_sums);

  // c_proj = Linear(each.heads * dim, width, bias: bias)                 transformer.mp:31
  float *const h_3_attn_c_proj_out = d3.rows<float>(327680); // [rows * 128, out 128]
  linear(d3, rows * 128, 128, 128, h_3_attn_y, h_3_attn_c_proj_weight_, h_3_attn_c_proj_bias_,
         Activation::none, h_3_attn_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  float *const h_3_out = d3.rows<float>(327680); // [rows, time 128, width 128]
  map(d3, rows * 16384, Add{}, h_3_out, part.x_on_3, h_3_attn_c_proj_out);

  // ln_2 = LayerNorm(width, bias: bias)                                  transformer.mp:101
  float *const h_3_ln_2_out = d3.rows<float>(262144);    // [rows, time 128, normalized_shape 128]
  float *const h_3_ln_2_out_mean = d3.rows<float>(0);    // [rows, time 128]
  float *const h_3_ln_2_out_scale = d3.rows<float>(512); // [rows, time 128]
  layer_norm(d3, rows * 128, 128, float(1e-05), h_3_out, h_3_ln_2_weight_, h_3_ln_2_bias_,
             h_3_ln_2_out, h_3_ln_2_out_mean, h_3_ln_2_out_scale);

  // c_fc = Linear(width, hidden, bias: bias)                             transformer.mp:85
  float *const h_3_mlp_c_fc_out = d3.rows<float>(0); // [rows * 128, out 512]
  linear(d3, rows * 128, 128, 512, h_3_ln_2_out, h_3_mlp_c_fc_weight_, h_3_mlp_c_fc_bias_,
         Activation::none, h_3_mlp_c_fc_out);

  // mlp = FeedForward(width, hidden, bias: bias, dropout: dropou ...     transformer.mp:102
  float *const h_3_mlp_out = d3.rows<float>(0); // [rows, time 128, out 512]
  map(d3, rows * 65536, Gelu{}, h_3_mlp_out, h_3_mlp_c_fc_out);

  // c_proj = Linear(hidden, width, bias: bias)                           transformer.mp:86
  float *const h_3_mlp_c_proj_out = d3.rows<float>(262144); // [rows * 128, out 128]
  linear(d3, rows * 128, 512, 128, h_3_mlp_out, h_3_mlp_c_proj_weight_, h_3_mlp_c_proj_bias_,
         Activation::none, h_3_mlp_c_proj_out);

  // h[i] = TransformerBlock(width, heads)                                gpt.mp:7
  float *const x = d3.rows<float>(327680); // [rows, time 128, width 128]
  map(d3, rows * 16384, Add{}, x, h_3_out, h_3_mlp_c_proj_out);

  // ln_f = LayerNorm(width)                                              gpt.mp:9
  part.ln_f_out = d3.rows<float>(131072);            // [rows, time 128, normalized_shape 128]
  float *const ln_f_out_mean = d3.rows<float>(0);    // [rows, time 128]
  float *const ln_f_out_scale = d3.rows<float>(512); // [rows, time 128]
  layer_norm(d3, rows * 128, 128, float(1e-05), x, ln_f_weight_, ln_f_bias_, part.ln_f_out,
             ln_f_out_mean, ln_f_out_scale);
}

void Gpt::evaluate_on_3_part_2(Part &part) {
  if (!has_device(3))
    return; // another process has it
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // lm_head = Linear(width, 256, bias: false, weight: wte.weight)        gpt.mp:10
  part.lm_head_matmul = d3.rows<float>(0); // [rows * 128, out 256]
  matmul(d3, 1, rows * 128, 256, 128, Transpose::no, Transpose::yes, part.ln_f_out,
         wte_weight_on_3_, part.lm_head_matmul);
}

void Gpt::evaluate_loss_on_3(Part &part) {
  if (!has_device(3))
    return; // another process has it
  Device &d3 = part.device(3);
  const int64_t rows = part.rows;

  // loss = cross_entropy                                                 gpt.mp:20
  float *const loss_cross_entropy = d3.rows<float>(131072); // [rows, time 128]
  cross_entropy(d3, rows * 128, 256, part.lm_head_matmul, part.target, loss_cross_entropy);
  evaluated_loss_ = d3.fixed<float>(0); // []
  reduce(d3, Reduction::mean, Shape{rows, 128}, 1u << 0 | 1u << 1, loss_cross_entropy,
         evaluated_loss_);
}

const void *Gpt::predict(const Batch &batch) {
  check(batch);
  Part whole(*this, batch.rows);
  whole.text = input_rows<int32_t>(whole, batch, 0, 128);

  evaluate_on_0(whole); // wte, wpe, h.0.ln_1, h.0.attn.c_attn, h.0.attn, h.0.attn.c_proj, h.0,
                        // h.0.ln_2, h.0.mlp.c_fc, h.0.mlp, h.0.mlp.c_proj
  evaluate_0_to_1(whole);
  evaluate_on_1(whole); // h.1.ln_1, h.1.attn.c_attn, h.1.attn, h.1.attn.c_proj, h.1, h.1.ln_2,
                        // h.1.mlp.c_fc, h.1.mlp, h.1.mlp.c_proj
  evaluate_1_to_2(whole);
  evaluate_on_2(whole); // h.2.ln_1, h.2.attn.c_attn, h.2.attn, h.2.attn.c_proj, h.2, h.2.ln_2,
                        // h.2.mlp.c_fc, h.2.mlp, h.2.mlp.c_proj
  evaluate_2_to_3(whole);
  evaluate_on_3(whole); // h.3.ln_1, h.3.attn.c_attn, h.3.attn, h.3.attn.c_proj, h.3, h.3.ln_2,
                        // h.3.mlp.c_fc, h.3.mlp, h.3.mlp.c_proj, ln_f
  transfer_0_to_3(whole);
  evaluate_on_3_part_2(whole); // lm_head

  return output_from(3, whole.lm_head_matmul, batch.rows);
}

float Gpt::train_step(const int32_t *text, const int32_t *target, int64_t rows) {
  return train_step(Batch{rows, {text}, target});
}

const float *Gpt::forward(const int32_t *text, int64_t rows) {
  return static_cast<const float *>(predict(Batch{rows, {text}, nullptr}));
}

Gpt::Gpt(const Settings &settings) : Model(describe(), settings) {}

int main(int argc, char **argv) {
  return run_program(argc, argv, Gpt::describe(),
                     [](const Settings &settings) -> std::unique_ptr<Model> {
                       return std::make_unique<Gpt>(settings);
                     });
}

// In the order of the schedule below.
const Gpt::Stage Gpt::stages_[] = {
    &Gpt::prepare_on_0,    &Gpt::transfer_0_to_3, &Gpt::forward_on_0,       &Gpt::transfer_0_to_1,
    &Gpt::forward_on_1,    &Gpt::transfer_1_to_2, &Gpt::forward_on_2,       &Gpt::transfer_2_to_3,
    &Gpt::forward_on_3,    &Gpt::backward_on_3,   &Gpt::transfer_3_to_2,    &Gpt::weights_on_3,
    &Gpt::backward_on_2,   &Gpt::transfer_2_to_1, &Gpt::weights_on_2,       &Gpt::backward_on_1,
    &Gpt::transfer_1_to_0, &Gpt::weights_on_1,    &Gpt::weights_on_0,       &Gpt::finish_on_3,
    &Gpt::finish_on_0,     &Gpt::transfer_3_to_0, &Gpt::finish_on_0_part_2, &Gpt::update_on_0,
    &Gpt::update_on_1,     &Gpt::update_on_2,     &Gpt::update_on_3};

ModelDescription Gpt::describe() {
  ModelDescription description;
  description.name = "Gpt";
  description.source = "gpt.mp";

  // of each: floats of parameters, of those trained; bytes of activations, bytes a row,
  // and what rows are rounded up to a multiple of
  description.devices = {
      {247424, 247424, 262656, 1380352, 1},
      {198272, 198272, 0, 1380352, 1},
      {198272, 198272, 0, 1380352, 1},
      {198528, 198528, 262400, 1576960, 1},
  };

  using Initial = Initializer::Kind;
  const auto add = [&](const char *name, std::initializer_list<int64_t> shape, int device,
                       int64_t offset, Initializer initializer) {
    description.parameters.push_back({name, shape, device, offset, initializer});
  };
  // name, shape, device, place in its device's parameters, first values
  add("wte.weight", {256, 128}, 0, 0, {Initial::normal, 0.0, 0.02});
  description.parameters.back().also = {"lm_head.weight"};
  add("wpe.weight", {128, 128}, 0, 32768, {Initial::normal, 0.0, 0.02});
  add("h.0.ln_1.weight", {128}, 0, 49152, {Initial::ones, 0.0, 0.0});
  add("h.0.ln_1.bias", {128}, 0, 49280, {Initial::zeros, 0.0, 0.0});
  add("h.0.attn.c_attn.weight", {384, 128}, 0, 49408, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.0.attn.c_attn.bias", {384}, 0, 98560,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.0.attn.c_proj.weight", {128, 128}, 0, 98944, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.0.attn.c_proj.bias", {128}, 0, 115328,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.0.ln_2.weight", {128}, 0, 115456, {Initial::ones, 0.0, 0.0});
  add("h.0.ln_2.bias", {128}, 0, 115584, {Initial::zeros, 0.0, 0.0});
  add("h.0.mlp.c_fc.weight", {512, 128}, 0, 115712, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.0.mlp.c_fc.bias", {512}, 0, 181248,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.0.mlp.c_proj.weight", {128, 512}, 0, 181760, {Initial::kaiming_uniform, 512.0, 0.0});
  add("h.0.mlp.c_proj.bias", {128}, 0, 247296,
      {Initial::uniform, -0.044194173824159216, 0.044194173824159216});
  add("h.1.ln_1.weight", {128}, 1, 0, {Initial::ones, 0.0, 0.0});
  add("h.1.ln_1.bias", {128}, 1, 128, {Initial::zeros, 0.0, 0.0});
  add("h.1.attn.c_attn.weight", {384, 128}, 1, 256, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.1.attn.c_attn.bias", {384}, 1, 49408,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.1.attn.c_proj.weight", {128, 128}, 1, 49792, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.1.attn.c_proj.bias", {128}, 1, 66176,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.1.ln_2.weight", {128}, 1, 66304, {Initial::ones, 0.0, 0.0});
  add("h.1.ln_2.bias", {128}, 1, 66432, {Initial::zeros, 0.0, 0.0});
  add("h.1.mlp.c_fc.weight", {512, 128}, 1, 66560, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.1.mlp.c_fc.bias", {512}, 1, 132096,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.1.mlp.c_proj.weight", {128, 512}, 1, 132608, {Initial::kaiming_uniform, 512.0, 0.0});
  add("h.1.mlp.c_proj.bias", {128}, 1, 198144,
      {Initial::uniform, -0.044194173824159216, 0.044194173824159216});
  add("h.2.ln_1.weight", {128}, 2, 0, {Initial::ones, 0.0, 0.0});
  add("h.2.ln_1.bias", {128}, 2, 128, {Initial::zeros, 0.0, 0.0});
  add("h.2.attn.c_attn.weight", {384, 128}, 2, 256, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.2.attn.c_attn.bias", {384}, 2, 49408,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.2.attn.c_proj.weight", {128, 128}, 2, 49792, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.2.attn.c_proj.bias", {128}, 2, 66176,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.2.ln_2.weight", {128}, 2, 66304, {Initial::ones, 0.0, 0.0});
  add("h.2.ln_2.bias", {128}, 2, 66432, {Initial::zeros, 0.0, 0.0});
  add("h.2.mlp.c_fc.weight", {512, 128}, 2, 66560, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.2.mlp.c_fc.bias", {512}, 2, 132096,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.2.mlp.c_proj.weight", {128, 512}, 2, 132608, {Initial::kaiming_uniform, 512.0, 0.0});
  add("h.2.mlp.c_proj.bias", {128}, 2, 198144,
      {Initial::uniform, -0.044194173824159216, 0.044194173824159216});
  add("h.3.ln_1.weight", {128}, 3, 0, {Initial::ones, 0.0, 0.0});
  add("h.3.ln_1.bias", {128}, 3, 128, {Initial::zeros, 0.0, 0.0});
  add("h.3.attn.c_attn.weight", {384, 128}, 3, 256, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.3.attn.c_attn.bias", {384}, 3, 49408,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.3.attn.c_proj.weight", {128, 128}, 3, 49792, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.3.attn.c_proj.bias", {128}, 3, 66176,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.3.ln_2.weight", {128}, 3, 66304, {Initial::ones, 0.0, 0.0});
  add("h.3.ln_2.bias", {128}, 3, 66432, {Initial::zeros, 0.0, 0.0});
  add("h.3.mlp.c_fc.weight", {512, 128}, 3, 66560, {Initial::kaiming_uniform, 128.0, 0.0});
  add("h.3.mlp.c_fc.bias", {512}, 3, 132096,
      {Initial::uniform, -0.08838834764831843, 0.08838834764831843});
  add("h.3.mlp.c_proj.weight", {128, 512}, 3, 132608, {Initial::kaiming_uniform, 512.0, 0.0});
  add("h.3.mlp.c_proj.bias", {128}, 3, 198144,
      {Initial::uniform, -0.044194173824159216, 0.044194173824159216});
  add("ln_f.weight", {128}, 3, 198272, {Initial::ones, 0.0, 0.0});
  add("ln_f.bias", {128}, 3, 198400, {Initial::zeros, 0.0, 0.0});

  description.inputs = {{"text", ElementType::i32, {128}, {0}}};
  description.row_multiplications = 373293056;
  description.target = {"target", ElementType::i32, {128}, {3}};
  description.output = {"output", ElementType::f32, {128, 256}};
  description.classes = 256;

  TrainingDefaults &training = description.training;
  training.data.kind = DataSource::Kind::text;
  training.data.path = "devils_dictionary.txt";
  training.data.context = 128;
  training.data.test = 0.05;
  training.epochs = 6;
  training.batch = 16;
  training.shuffle = true;
  training.seed = 1;
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
      {0, When::before, "prepare_on_0", "gpt.mp:5"},
      {3, When::before, "transfer_0_to_3", "gpt.mp:10", 0, 0, 131072},
      {0, When::during, "forward_on_0", "gpt.mp:4"},
      {1, When::during, "transfer_0_to_1", "gpt.mp:7", 0, 65536, 0},
      {1, When::during, "forward_on_1", "gpt.mp:7"},
      {2, When::during, "transfer_1_to_2", "gpt.mp:7", 1, 65536, 0},
      {2, When::during, "forward_on_2", "gpt.mp:7"},
      {3, When::during, "transfer_2_to_3", "gpt.mp:7", 2, 65536, 0},
      {3, When::during, "forward_on_3", "gpt.mp:7"},
      {3, When::during, "backward_on_3", "gpt.mp:20"},
      {2, When::during, "transfer_3_to_2", "gpt.mp:7", 3, 65536, 0},
      {3, When::during, "weights_on_3", "gpt.mp:10"},
      {2, When::during, "backward_on_2", "gpt.mp:7"},
      {1, When::during, "transfer_2_to_1", "gpt.mp:7", 2, 65536, 0},
      {2, When::during, "weights_on_2", "gpt.mp:7"},
      {1, When::during, "backward_on_1", "gpt.mp:7"},
      {0, When::during, "transfer_1_to_0", "gpt.mp:7", 1, 65536, 0},
      {1, When::during, "weights_on_1", "gpt.mp:7"},
      {0, When::during, "weights_on_0", "gpt.mp:7"},
      {3, When::after, "finish_on_3", "gpt.mp:20"},
      {0, When::after, "finish_on_0", "gpt.mp:5"},
      {0, When::after, "transfer_3_to_0", "gpt.mp:4", 3, 0, 131072},
      {0, When::after, "finish_on_0_part_2", "gpt.mp:4"},
      {0, When::after, "update_on_0", "gpt.mp:20"},
      {1, When::after, "update_on_1", "gpt.mp:20"},
      {2, When::after, "update_on_2", "gpt.mp:20"},
      {3, When::after, "update_on_3", "gpt.mp:20"},
  };
  // Their turns where devices have workers: stage, microbatch, and a device of which so many turns
  // must have finished first.
  static constexpr TurnEntry turns[] = {
      {0, 0},        {1, 0},        {2, 0},  {3, 0, 0, 2},  {3, 0, 3, 1},  {4, 0},  {5, 0, 1, 2},
      {6, 0},        {7, 0, 2, 2},  {8, 0},  {9, 0},        {10, 0, 3, 4}, {11, 0}, {12, 0},
      {13, 0, 2, 4}, {14, 0},       {15, 0}, {16, 0, 1, 4}, {17, 0},       {18, 0}, {19, 0},
      {20, 0},       {21, 0, 3, 5}, {22, 0}, {23, 0},       {24, 0},       {25, 0}, {26, 0}};
  schedule.turns = make_turns(std::begin(turns), std::end(turns));
  describe_accesses(schedule);
  return description;
}

// What stages read that others wrote, and what they write, which --check holds the turns to: stage,
// device, the first byte of a region, and the one after the last; of rows, a row.
void Gpt::describe_accesses(Schedule &schedule) {
  using Region = MemoryAccess::Region;
  schedule.reads = {
      // prepare_on_0
      {0, 0, Region::parameters, 131072, 196608},
      // transfer_0_to_3
      {1, 0, Region::parameters, 0, 131072},
      // forward_on_0
      {2, 0, Region::parameters, 0, 131072},
      {2, 0, Region::parameters, 196608, 989696},
      {2, 0, Region::fixed, 131072, 196608},
      // transfer_0_to_1
      {3, 0, Region::rows, 524288, 589824},
      // forward_on_1
      {4, 1, Region::parameters, 0, 793088},
      {4, 1, Region::rows, 983040, 1048576},
      // transfer_1_to_2
      {5, 1, Region::rows, 524288, 589824},
      // forward_on_2
      {6, 2, Region::parameters, 0, 793088},
      {6, 2, Region::rows, 983040, 1048576},
      // transfer_2_to_3
      {7, 2, Region::rows, 524288, 589824},
      // forward_on_3
      {8, 3, Region::parameters, 0, 794112},
      {8, 3, Region::fixed, 0, 131072},
      {8, 3, Region::rows, 1114112, 1179648},
      // backward_on_3
      {9, 3, Region::parameters, 0, 512},
      {9, 3, Region::parameters, 1024, 197632},
      {9, 3, Region::parameters, 199168, 264704},
      {9, 3, Region::parameters, 265216, 265728},
      {9, 3, Region::parameters, 266240, 528384},
      {9, 3, Region::parameters, 530432, 792576},
      {9, 3, Region::parameters, 793088, 793600},
      {9, 3, Region::fixed, 0, 131072},
      {9, 3, Region::rows, 0, 262144},
      {9, 3, Region::rows, 524288, 721920},
      {9, 3, Region::rows, 786432, 983040},
      {9, 3, Region::rows, 1114112, 1179648},
      {9, 3, Region::rows, 1245184, 1376256},
      {9, 3, Region::rows, 1572864, 1576960},
      // transfer_3_to_2
      {10, 3, Region::rows, 851968, 917504},
      // weights_on_3
      {11, 3, Region::rows, 0, 786432},
      {11, 3, Region::rows, 983040, 1114112},
      {11, 3, Region::rows, 1179648, 1310720},
      {11, 3, Region::rows, 1376256, 1572864},
      // backward_on_2
      {12, 2, Region::parameters, 0, 512},
      {12, 2, Region::parameters, 1024, 197632},
      {12, 2, Region::parameters, 199168, 264704},
      {12, 2, Region::parameters, 265216, 265728},
      {12, 2, Region::parameters, 266240, 528384},
      {12, 2, Region::parameters, 530432, 792576},
      {12, 2, Region::rows, 0, 262144},
      {12, 2, Region::rows, 786432, 1048576},
      {12, 2, Region::rows, 1114112, 1245184},
      {12, 2, Region::rows, 1310720, 1380352},
      // transfer_2_to_1
      {13, 2, Region::rows, 851968, 917504},
      // weights_on_2
      {14, 2, Region::rows, 0, 786432},
      {14, 2, Region::rows, 1048576, 1179648},
      {14, 2, Region::rows, 1245184, 1376256},
      // backward_on_1
      {15, 1, Region::parameters, 0, 512},
      {15, 1, Region::parameters, 1024, 197632},
      {15, 1, Region::parameters, 199168, 264704},
      {15, 1, Region::parameters, 265216, 265728},
      {15, 1, Region::parameters, 266240, 528384},
      {15, 1, Region::parameters, 530432, 792576},
      {15, 1, Region::rows, 0, 262144},
      {15, 1, Region::rows, 786432, 1048576},
      {15, 1, Region::rows, 1114112, 1245184},
      {15, 1, Region::rows, 1310720, 1380352},
      // transfer_1_to_0
      {16, 1, Region::rows, 851968, 917504},
      // weights_on_1
      {17, 1, Region::rows, 0, 786432},
      {17, 1, Region::rows, 1048576, 1179648},
      {17, 1, Region::rows, 1245184, 1376256},
      // weights_on_0
      {18, 0, Region::parameters, 196608, 197120},
      {18, 0, Region::parameters, 197632, 394240},
      {18, 0, Region::parameters, 395776, 461312},
      {18, 0, Region::parameters, 461824, 462336},
      {18, 0, Region::parameters, 462848, 724992},
      {18, 0, Region::parameters, 727040, 989184},
      {18, 0, Region::rows, 0, 524288},
      {18, 0, Region::rows, 786432, 1380352},
      // finish_on_3
      {19, 3, Region::fixed, 262144, 262148},
      // finish_on_0
      {20, 0, Region::fixed, 196608, 262656},
      // transfer_3_to_0
      {21, 3, Region::fixed, 131072, 262144},
      // finish_on_0_part_2
      {22, 0, Region::fixed, 0, 262144},
      // update_on_0
      {23, 0, Region::gradients, 0, 989696},
      // update_on_1
      {24, 1, Region::gradients, 0, 793088},
      // update_on_2
      {25, 2, Region::gradients, 0, 793088},
      // update_on_3
      {26, 3, Region::gradients, 0, 794112},
  };
  schedule.writes = {
      // prepare_on_0
      {0, 0, Region::fixed, 131072, 196608},
      {0, 0, Region::fixed, 262144, 262656},
      // transfer_0_to_3
      {1, 3, Region::fixed, 0, 131072},
      // forward_on_0
      {2, 0, Region::rows, 0, 589824},
      {2, 0, Region::rows, 786432, 1310720},
      {2, 0, Region::rows, 1376256, 1380352},
      // transfer_0_to_1
      {3, 1, Region::rows, 983040, 1048576},
      // forward_on_1
      {4, 1, Region::rows, 0, 589824},
      {4, 1, Region::rows, 786432, 983040},
      {4, 1, Region::rows, 1048576, 1310720},
      {4, 1, Region::rows, 1376256, 1380352},
      // transfer_1_to_2
      {5, 2, Region::rows, 983040, 1048576},
      // forward_on_2
      {6, 2, Region::rows, 0, 589824},
      {6, 2, Region::rows, 786432, 983040},
      {6, 2, Region::rows, 1048576, 1310720},
      {6, 2, Region::rows, 1376256, 1380352},
      // transfer_2_to_3
      {7, 3, Region::rows, 1114112, 1179648},
      // forward_on_3
      {8, 3, Region::fixed, 262144, 262148},
      {8, 3, Region::rows, 0, 722432},
      {8, 3, Region::rows, 786432, 983040},
      {8, 3, Region::rows, 1179648, 1507328},
      {8, 3, Region::rows, 1572864, 1576960},
      // backward_on_3
      {9, 3, Region::gradients, 0, 1024},
      {9, 3, Region::gradients, 265216, 266240},
      {9, 3, Region::gradients, 793088, 794112},
      {9, 3, Region::rows, 0, 262144},
      {9, 3, Region::rows, 524288, 917504},
      {9, 3, Region::rows, 983040, 1114112},
      {9, 3, Region::rows, 1310720, 1376256},
      {9, 3, Region::rows, 1507328, 1572864},
      // transfer_3_to_2
      {10, 2, Region::rows, 1310720, 1376256},
      // weights_on_3
      {11, 3, Region::gradients, 1024, 265216},
      {11, 3, Region::gradients, 266240, 793088},
      {11, 3, Region::fixed, 131072, 262144},
      // backward_on_2
      {12, 2, Region::gradients, 0, 1024},
      {12, 2, Region::gradients, 265216, 266240},
      {12, 2, Region::rows, 0, 262144},
      {12, 2, Region::rows, 524288, 917504},
      {12, 2, Region::rows, 1179648, 1245184},
      // transfer_2_to_1
      {13, 1, Region::rows, 1310720, 1376256},
      // weights_on_2
      {14, 2, Region::gradients, 1024, 265216},
      {14, 2, Region::gradients, 266240, 793088},
      // backward_on_1
      {15, 1, Region::gradients, 0, 1024},
      {15, 1, Region::gradients, 265216, 266240},
      {15, 1, Region::rows, 0, 262144},
      {15, 1, Region::rows, 524288, 917504},
      {15, 1, Region::rows, 1179648, 1245184},
      // transfer_1_to_0
      {16, 0, Region::rows, 1310720, 1376256},
      // weights_on_1
      {17, 1, Region::gradients, 1024, 265216},
      {17, 1, Region::gradients, 266240, 793088},
      // weights_on_0
      {18, 0, Region::gradients, 196608, 989696},
      {18, 0, Region::fixed, 0, 131072},
      {18, 0, Region::fixed, 196608, 262144},
      {18, 0, Region::rows, 0, 327680},
      {18, 0, Region::rows, 524288, 786432},
      // finish_on_3
      {19, 3, Region::fixed, 262144, 262148},
      // finish_on_0
      {20, 0, Region::gradients, 131072, 196608},
      // transfer_3_to_0
      {21, 0, Region::fixed, 131072, 262144},
      // finish_on_0_part_2
      {22, 0, Region::gradients, 0, 131072},
      // update_on_0
      {23, 0, Region::parameters, 0, 989696},
      // update_on_1
      {24, 1, Region::parameters, 0, 793088},
      // update_on_2
      {25, 2, Region::parameters, 0, 793088},
      // update_on_3
      {26, 3, Region::parameters, 0, 794112},
  };
}
