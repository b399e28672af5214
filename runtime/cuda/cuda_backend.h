// One physical GPU: its memory, its streams and events, and its kernels.
#pragma once

#include "backend.h"
#include "launch.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string>

namespace mpar::cuda {

class NcclCommunicator;

/// What the host tells a GPU of a step, and, of its loss scaling, what comes back.
struct StepBlock {
  StepState state;
  LossScaling begun;    // the scaling as the step begins
  LossScaling finished; // and as `unscale` has left it: made from `begun`, whoever calls it and how
                        // often, since replicas may share a GPU
};

class CudaBackend : public Backend {
public:
  /// Fails where the GPU cannot be used: it is too old, another process has it, it has no memory.
  explicit CudaBackend(int number);
  ~CudaBackend() override;

  /// Makes the GPU the calling thread's current one, as launches and most calls need it.
  void use() const;
  Queue &queue() { return queue_; }

  std::string name() const override { return "cuda:" + std::to_string(queue_.device); }
  void *stream() const override { return queue_.stream; }
  int64_t free_memory() const override;
  int64_t taken_memory() const override { return free_when_opened_ - free_memory(); }
  void *allocate(int64_t bytes) override;
  void *allocate_for_messages(int64_t bytes) override;
  void release(void *memory) noexcept override;
  void *allocate_pinned(int64_t bytes) override;
  void release_pinned(void *memory) noexcept override;
  void zero(void *memory, int64_t bytes) override;
  void copy_from_pinned(void *to, const void *pinned, int64_t bytes, Lane lane) override;
  void gather_rows(const KeptRows &kept, const int32_t *numbers, int64_t count, void *to) override;
  void write(void *to, const void *from, int64_t bytes) override;
  void read(void *to, const void *from, int64_t bytes) override;
  void copy(void *to, const Backend &of, const void *from, int64_t bytes, Lane lane) override;
  std::unique_ptr<Event> make_event() override;
  std::unique_ptr<Event> make_timed_event() override;
  double microseconds_between(const Event &first, const Event &second) const override;
  void record(Event &event, Lane lane) override;
  void wait(const Event &event, Lane lane) override;
  bool is_done(const Event &event) override;
  void mark(int32_t *pinned) override;
  void synchronize() override;
  void delay(int microseconds, Lane lane) override;
  void begin_recording() override;
  std::unique_ptr<Recording> end_recording() override;
  void use_tf32(bool may) override { queue_.tf32 = may; }
  void begin_step(const OptimizerSettings &settings, int64_t step, int64_t updates,
                  const LossScaling &scaling) override;
  LossScaling loss_scaling() override;
  void *scratch() override;
  void *message_room() override;
  void add(int64_t count, const float *more, float *sum, Lane lane) override;
  void add(int64_t count, const int32_t *more, int32_t *sum, Lane lane) override;
  std::string make_meeting() override;
  std::unique_ptr<Communicator> join(World &world, const std::string &meeting) override;
  /// Whom to wait with, as long as there is one: see wait_for.
  void set_communicator(NcclCommunicator *communicator) { communicator_ = communicator; }

  // The kernels, in kernels.h.
  void multiply(Device &device, const ProductCall &call) override;
  void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
              const float *x, float *y, Store store) override;
  void sum_rows(Device &device, int64_t rows, int64_t columns, const bfloat16 *x, float *y,
                Store store) override;
  void sum_rows(Device &device, int64_t rows, int64_t columns, const float16 *x, float *y,
                Store store) override;
  void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
              const int32_t *x, int32_t *y, Store store) override;
  void softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
               float *y) override;
  void log_softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
                   float *y) override;
  void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
              int32_t *y) override;
  void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const int32_t *x,
              int32_t *y) override;
  void copy(Device &device, const Shape &shape, const float *x, const Strides &x_strides, float *y,
            const Strides &y_strides) override;
  void copy(Device &device, const Shape &shape, const int32_t *x, const Strides &x_strides,
            int32_t *y, const Strides &y_strides) override;
  void copy(Device &device, const Shape &shape, const bfloat16 *x, const Strides &x_strides,
            bfloat16 *y, const Strides &y_strides) override;
  void copy(Device &device, const Shape &shape, const float16 *x, const Strides &x_strides,
            float16 *y, const Strides &y_strides) override;
  void copy(Device &device, const Shape &shape, const bool *x, const Strides &x_strides, bool *y,
            const Strides &y_strides) override;
  void fill(Device &device, int64_t count, float value, float *y) override;
  void fill(Device &device, int64_t count, int32_t value, int32_t *y) override;
  void fill(Device &device, int64_t count, bool value, bool *y) override;
  void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
              const float *table, const int32_t *ids, float *y) override;
  void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
              const int32_t *table, const int32_t *ids, int32_t *y) override;
  void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
              const bool *table, const int32_t *ids, bool *y) override;
  void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
              const bfloat16 *table, const int32_t *ids, bfloat16 *y) override;
  void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
              const float16 *table, const int32_t *ids, float16 *y) override;
  void check_ids(Device &device, int64_t table_rows, int64_t count, const char *name,
                 const int32_t *ids, int32_t *y) override;
  void check_targets(Device &device, int64_t classes, int64_t count, const int32_t *target,
                     int32_t *y) override;
  void scatter_add(Device &device, int64_t table_rows, int64_t width, int64_t count,
                   const char *name, const int32_t *ids, const float *rows, float *table,
                   Store store) override;
  void cross_entropy(Device &device, int64_t count, int64_t classes, Real type, const void *x,
                     const int32_t *target, float *y) override;
  void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, Real type,
                              const void *x, const int32_t *target, const float *g,
                              void *dx) override;
  void layer_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                  const float *weight, const float *bias, float *y, float *mean,
                  float *scale) override;
  void layer_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                           const float *x, const float *mean, const float *scale,
                           const float *weight, float *dx, float *dweight, float *dbias,
                           Store store) override;
  void rms_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                const float *weight, float *y, float *scale) override;
  void rms_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                         const float *x, const float *scale, const float *weight, float *dx,
                         float *dweight, Store store) override;
  void conv(Device &device, int64_t rows, const Convolution &convolution, const float *x,
            const float *weight, float *y) override;
  void conv_input_gradient(Device &device, int64_t rows, const Convolution &convolution,
                           const float *gradient, const float *weight, float *dx) override;
  void conv_weight_gradient(Device &device, int64_t rows, const Convolution &convolution,
                            const float *gradient, const float *x, float *dweight,
                            Store store) override;
  void max_pool(Device &device, int64_t planes, const Pooling &pooling, const float *x, float *y,
                int32_t *positions) override;
  void max_pool_gradient(Device &device, int64_t planes, int64_t windows, int64_t size,
                         const float *gradient, const int32_t *positions, float *dx) override;
  void avg_pool(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
                const float *x, float *y) override;
  void avg_pool_gradient(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
                         const float *gradient, float *dx) override;
  void attention(Device &device, const AttentionSizes &sizes, const Heads<const float> &q,
                 const Heads<const float> &k, const Heads<const float> &v, const Heads<float> &y,
                 float *log_sums) override;
  void attention_gradient(Device &device, const AttentionSizes &sizes,
                          const Heads<const float> &gradient, const Heads<const float> &q,
                          const Heads<const float> &k, const Heads<const float> &v,
                          const Heads<const float> &y, const float *log_sums,
                          const Heads<float> &dq, const Heads<float> &dk,
                          const Heads<float> &dv) override;
  void sgd(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
           NonFinite non_finite) override;
  void adam(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
            NonFinite non_finite) override;
  void adamw(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
             NonFinite non_finite) override;
  void adagrad(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
               NonFinite non_finite) override;
  void rmsprop(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
               NonFinite non_finite) override;
  void squared_norm(Device &device, int64_t count, const float *x, const float *sum,
                    float *y) override;
  void clip_scale(Device &device, const OptimizerSettings &settings, const float *squared,
                  float *y) override;
  void loss_scale(Device &device, const LossScaling &scaling, float *y) override;
  void unscale(Device &device, const OptimizerSettings &settings, LossScaling &scaling,
               const float *squared, float *y) override;

private:
  cudaStream_t stream_of(Lane lane) const {
    return lane == Lane::compute  ? queue_.stream
           : lane == Lane::copies ? queue_.copies
           : lane == Lane::marks  ? marks_
                                  : ahead_;
  }
  /// Gives back what NCCL has allocated.
  void release_of_nccl(void *memory) noexcept;
  /// Waits for all that a stream has been given; where there are other processes, as long as none
  /// of them fails.
  void wait_for(cudaStream_t stream);
  /// Fails with what kernels have found, where that is something.
  void look_for_findings();
  void close() noexcept;

  Queue queue_;
  int64_t free_when_opened_ = 0;
  cudaStream_t marks_ = nullptr;
  cudaStream_t ahead_ = nullptr;
  StepBlock *block_ = nullptr; // on the GPU
  StepBlock *told_ = nullptr;  // pinned: what was copied there last
  bool has_told_ = false;
  std::unique_ptr<Event> told_event_;
  void *scratch_ = nullptr;
  void *message_room_ = nullptr;
  std::set<void *> of_nccl_; // what NCCL has allocated, and releases
  NcclCommunicator *communicator_ = nullptr;
};

} // namespace mpar::cuda
