// What a kind of device that is not a processor can do: memory, order, and every kernel.
#pragma once

#include "communicator.h"
#include "mpar/attention.h"
#include "mpar/convolution.h"
#include "mpar/device.h"
#include "mpar/indexing.h"
#include "mpar/linear.h"
#include "mpar/loss_scaling.h"
#include "mpar/normalize.h"
#include "mpar/optimizer.h"
#include "mpar/pool.h"
#include "mpar/reduce.h"

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

namespace mpar {

/// A place in the order of a GPU's work. Belongs to the backend that made it.
class Event {
public:
  virtual ~Event() = default;
};

/// A step's work, recorded once, to be carried out as often as it is wanted.
class Recording {
public:
  virtual ~Recording() = default;
  /// Issues all of it, in the order of the compute lane of the backend that it was begun on.
  virtual void launch() = 0;
};

/// The numbers that kernels read and give.
enum class Real { f32, bf16, f16 };
template <typename T> constexpr Real real_of() {
  return std::is_same_v<T, float>      ? Real::f32
         : std::is_same_v<T, bfloat16> ? Real::bf16
                                       : Real::f16;
}

/// Calls `work` with a null pointer to numbers of that type.
template <typename Work> void visit(Real real, const Work &work) {
  if (real == Real::f32)
    work(static_cast<float *>(nullptr));
  else if (real == Real::bf16)
    work(static_cast<bfloat16 *>(nullptr));
  else
    work(static_cast<float16 *>(nullptr));
}

/// A product of mpar/linear.h, as a backend is asked for it. No size is 0.
struct ProductCall {
  Real operands, result; // the result's is that of the operands or f32
  int64_t batch, m, n, k;
  Transpose transpose_a, transpose_b;
  const void *a, *b;
  void *c;
  const void *bias = nullptr; // n numbers as the result's
  bool rectifies = false;
  Store store = Store::overwrite; // of f32 alone `add`
  const float *gate = nullptr;    // of f32 alone
};

/// The orders in which a GPU carries out what is issued: computation, transfers to it, marks of
/// what is done, and rows of the step to come.
enum class Lane { compute, copies, marks, ahead };

class Backend;
struct KeptRows;

/// Is told, as it is issued, of all that decides when GPUs do what, and of copies between them.
class IssueObserver {
public:
  virtual ~IssueObserver() = default;
  virtual void recorded(const Event &event, const Backend &gpu, Lane lane) = 0;
  virtual void waits(const Event &event, const Backend &gpu, Lane lane) = 0;
  /// The host has waited: for what the event stands for, or for all that a GPU was given to compute
  /// and to copy.
  virtual void is_over(const Event &event) = 0;
  virtual void is_over(const Backend &gpu) = 0;
  virtual void copies(const Backend &gpu, Lane lane, void *to, const void *from, int64_t bytes) = 0;
};

/// Who is told of what this thread issues; null: nobody.
inline IssueObserver *&issue_observer() {
  static thread_local IssueObserver *observer = nullptr;
  return observer;
}

/// One physical GPU. All functions are called by one thread; those that issue work return before it
/// is done. Every failure of the library beneath is reported (see errors.h) with the call, its
/// place and the library's words.
class Backend {
public:
  virtual ~Backend() = default;

  /// "cuda:0".
  virtual std::string name() const = 0;
  /// What kernels that are launched by emitted code are launched on: a cudaStream_t.
  virtual void *stream() const = 0;

  // Memory.
  /// Bytes that may still be allocated.
  virtual int64_t free_memory() const = 0;
  /// Bytes that are fewer free than when the GPU was opened: what has been allocated here, by
  /// libraries and, if there are any, by other processes since.
  virtual int64_t taken_memory() const = 0;
  /// Zeroed memory of the GPU, aligned to 256 bytes; null for none.
  virtual void *allocate(int64_t bytes) = 0;
  /// The same where messages between processes are going to lie: as what carries them can have it
  /// read and written by other GPUs without a detour.
  virtual void *allocate_for_messages(int64_t bytes) = 0;
  virtual void release(void *memory) noexcept = 0;
  /// Memory of the host that the GPU copies from and to while the host goes on, and that all GPUs
  /// can read where it lies.
  virtual void *allocate_pinned(int64_t bytes) = 0;
  virtual void release_pinned(void *memory) noexcept = 0;
  /// Issues in the order of the compute lane.
  virtual void zero(void *memory, int64_t bytes) = 0;
  /// Issues a copy from pinned memory.
  virtual void copy_from_pinned(void *to, const void *pinned, int64_t bytes, Lane lane) = 0;
  /// Issues, in the order of the compute lane, the gathering of `count` rows that the GPU keeps to
  /// `to`, side by side; `numbers`, which are below `kept.rows`, lie on the GPU.
  virtual void gather_rows(const KeptRows &kept, const int32_t *numbers, int64_t count,
                           void *to) = 0;
  /// Copies from and to any memory of the host, after all that was issued before and before all
  /// that is issued later; waits for it.
  virtual void write(void *to, const void *from, int64_t bytes) = 0;
  virtual void read(void *to, const void *from, int64_t bytes) = 0;
  /// Issues a copy from a GPU's memory, which may be another's, to this one's.
  virtual void copy(void *to, const Backend &of, const void *from, int64_t bytes, Lane lane) = 0;

  // Order.
  virtual std::unique_ptr<Event> make_event() = 0;
  /// An event that knows when the GPU came by it, which takes longer than knowing that it did.
  virtual std::unique_ptr<Event> make_timed_event() = 0;
  /// Between two of these, of which both are done.
  virtual double microseconds_between(const Event &first, const Event &second) const = 0;
  /// The event stands for all that has been issued on the lane so far.
  virtual void record(Event &event, Lane lane) = 0;
  /// What is issued on the lane from now on comes after what the event, which may be another GPU's,
  /// stood for when it was last recorded.
  virtual void wait(const Event &event, Lane lane) = 0;
  /// Whether what the event stands for is done.
  virtual bool is_done(const Event &event) = 0;
  /// Issues setting a number in pinned memory to 1 on the lane of marks, where the host can look at
  /// it whether or not what comes before is being replayed.
  virtual void mark(int32_t *pinned) = 0;
  /// Waits for all that has been issued, and fails with what kernels have found wrong.
  virtual void synchronize() = 0;
  /// Issues doing nothing for so long.
  virtual void delay(int microseconds, Lane lane) = 0;

  // Recording. What is issued on the compute lane from `begin_recording` on, and on lanes, of any
  // GPU, that wait for events of what is recorded, is not carried out but recorded. Before
  // `end_recording` the compute lane has to wait for all of it.
  virtual void begin_recording() = 0;
  virtual std::unique_ptr<Recording> end_recording() = 0;

  /// Whether products of f32 may from now on round their operands to TF32: 10 bits of mantissa.
  virtual void use_tf32(bool may) = 0;

  // The step at hand.
  /// Issues, on the compute lane, what kernels are to know of the step: its number, which counts
  /// from 1, what the optimiser makes of that number of updates, and the scale of the loss.
  virtual void begin_step(const OptimizerSettings &settings, int64_t step, int64_t updates,
                          const LossScaling &scaling) = 0;
  /// What `unscale` has left; waits for it.
  virtual LossScaling loss_scaling() = 0;
  /// Room for what is issued next on the compute lane, `scratch_bytes` of it: for all the same.
  static constexpr int64_t scratch_bytes = int64_t(4) << 20;
  virtual void *scratch() = 0;
  /// The same of the lane of copies, for messages.
  static constexpr int64_t message_bytes = int64_t(16) << 20;
  virtual void *message_room() = 0;
  /// Issues sum[i] += more[i].
  virtual void add(int64_t count, const float *more, float *sum, Lane lane) = 0;
  virtual void add(int64_t count, const int32_t *more, int32_t *sum, Lane lane) = 0;

  // Messages between processes.
  /// What one rank makes and tells the others, for all to join it. Fails where the program was
  /// built without what carries messages, or that is not there.
  virtual std::string make_meeting() = 0;
  /// Joins the other ranks, which all call this; from now on waiting for the GPU ends where another
  /// rank does (see World::wait_until). `world` must outlive it.
  virtual std::unique_ptr<Communicator> join(World &world, const std::string &meeting) = 0;

  // The kernels: the functions of mpar/*.h.
  virtual void multiply(Device &device, const ProductCall &call) = 0;

  virtual void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
                      const float *x, float *y, Store store) = 0;
  virtual void sum_rows(Device &device, int64_t rows, int64_t columns, const bfloat16 *x, float *y,
                        Store store) = 0;
  virtual void sum_rows(Device &device, int64_t rows, int64_t columns, const float16 *x, float *y,
                        Store store) = 0;
  virtual void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
                      const int32_t *x, int32_t *y, Store store) = 0;
  virtual void softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
                       float *y) = 0;
  virtual void log_softmax(Device &device, int64_t outer, int64_t extent, int64_t inner,
                           const float *x, float *y) = 0;
  virtual void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
                      int32_t *y) = 0;
  virtual void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner,
                      const int32_t *x, int32_t *y) = 0;

  virtual void copy(Device &device, const Shape &shape, const float *x, const Strides &x_strides,
                    float *y, const Strides &y_strides) = 0;
  virtual void copy(Device &device, const Shape &shape, const int32_t *x, const Strides &x_strides,
                    int32_t *y, const Strides &y_strides) = 0;
  virtual void copy(Device &device, const Shape &shape, const bfloat16 *x, const Strides &x_strides,
                    bfloat16 *y, const Strides &y_strides) = 0;
  virtual void copy(Device &device, const Shape &shape, const float16 *x, const Strides &x_strides,
                    float16 *y, const Strides &y_strides) = 0;
  virtual void copy(Device &device, const Shape &shape, const bool *x, const Strides &x_strides,
                    bool *y, const Strides &y_strides) = 0;
  virtual void fill(Device &device, int64_t count, float value, float *y) = 0;
  virtual void fill(Device &device, int64_t count, int32_t value, int32_t *y) = 0;
  virtual void fill(Device &device, int64_t count, bool value, bool *y) = 0;

  virtual void gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                      const char *name, const float *table, const int32_t *ids, float *y) = 0;
  virtual void gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                      const char *name, const int32_t *table, const int32_t *ids, int32_t *y) = 0;
  virtual void gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                      const char *name, const bool *table, const int32_t *ids, bool *y) = 0;
  virtual void gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                      const char *name, const bfloat16 *table, const int32_t *ids, bfloat16 *y) = 0;
  virtual void gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                      const char *name, const float16 *table, const int32_t *ids, float16 *y) = 0;
  virtual void check_ids(Device &device, int64_t table_rows, int64_t count, const char *name,
                         const int32_t *ids, int32_t *y) = 0;
  virtual void check_targets(Device &device, int64_t classes, int64_t count, const int32_t *target,
                             int32_t *y) = 0;
  virtual void scatter_add(Device &device, int64_t table_rows, int64_t width, int64_t count,
                           const char *name, const int32_t *ids, const float *rows, float *table,
                           Store store) = 0;
  virtual void cross_entropy(Device &device, int64_t count, int64_t classes, Real type,
                             const void *x, const int32_t *target, float *y) = 0;
  /// dx has the type of x.
  virtual void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, Real type,
                                      const void *x, const int32_t *target, const float *g,
                                      void *dx) = 0;

  virtual void layer_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                          const float *weight, const float *bias, float *y, float *mean,
                          float *scale) = 0;
  virtual void layer_norm_gradient(Device &device, int64_t rows, int64_t size,
                                   const float *gradient, const float *x, const float *mean,
                                   const float *scale, const float *weight, float *dx,
                                   float *dweight, float *dbias, Store store) = 0;
  virtual void rms_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                        const float *weight, float *y, float *scale) = 0;
  virtual void rms_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                                 const float *x, const float *scale, const float *weight, float *dx,
                                 float *dweight, Store store) = 0;

  virtual void conv(Device &device, int64_t rows, const Convolution &convolution, const float *x,
                    const float *weight, float *y) = 0;
  virtual void conv_input_gradient(Device &device, int64_t rows, const Convolution &convolution,
                                   const float *gradient, const float *weight, float *dx) = 0;
  virtual void conv_weight_gradient(Device &device, int64_t rows, const Convolution &convolution,
                                    const float *gradient, const float *x, float *dweight,
                                    Store store) = 0;
  virtual void max_pool(Device &device, int64_t planes, const Pooling &pooling, const float *x,
                        float *y, int32_t *positions) = 0;
  virtual void max_pool_gradient(Device &device, int64_t planes, int64_t windows, int64_t size,
                                 const float *gradient, const int32_t *positions, float *dx) = 0;
  virtual void avg_pool(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
                        const float *x, float *y) = 0;
  virtual void avg_pool_gradient(Device &device, int64_t planes, const Pooling &pooling,
                                 CountPadding count, const float *gradient, float *dx) = 0;

  virtual void attention(Device &device, const AttentionSizes &sizes, const Heads<const float> &q,
                         const Heads<const float> &k, const Heads<const float> &v,
                         const Heads<float> &y, float *log_sums) = 0;
  virtual void attention_gradient(Device &device, const AttentionSizes &sizes,
                                  const Heads<const float> &gradient, const Heads<const float> &q,
                                  const Heads<const float> &k, const Heads<const float> &v,
                                  const Heads<const float> &y, const float *log_sums,
                                  const Heads<float> &dq, const Heads<float> &dk,
                                  const Heads<float> &dv) = 0;

  virtual void sgd(Device &device, const OptimizerSettings &settings, int64_t step,
                   const float *scale, NonFinite non_finite) = 0;
  virtual void adam(Device &device, const OptimizerSettings &settings, int64_t step,
                    const float *scale, NonFinite non_finite) = 0;
  virtual void adamw(Device &device, const OptimizerSettings &settings, int64_t step,
                     const float *scale, NonFinite non_finite) = 0;
  virtual void adagrad(Device &device, const OptimizerSettings &settings, int64_t step,
                       const float *scale, NonFinite non_finite) = 0;
  virtual void rmsprop(Device &device, const OptimizerSettings &settings, int64_t step,
                       const float *scale, NonFinite non_finite) = 0;
  virtual void squared_norm(Device &device, int64_t count, const float *x, const float *sum,
                            float *y) = 0;
  virtual void clip_scale(Device &device, const OptimizerSettings &settings, const float *squared,
                          float *y) = 0;
  virtual void loss_scale(Device &device, const LossScaling &scaling, float *y) = 0;
  virtual void unscale(Device &device, const OptimizerSettings &settings, LossScaling &scaling,
                       const float *squared, float *y) = 0;
};

/// What a program that was built with nvcc brings along: the GPUs of the machine.
struct GpuLibrary {
  /// How many there are; `why` says why none, in one line.
  int (*count)(std::string &why);
  /// The GPU of that number, below the count. Fails, in one line, where it cannot be used.
  std::unique_ptr<Backend> (*open)(int number);
  /// What tells it from the other GPUs of the machine, whichever of them a process sees.
  std::string (*identify)(int number);
};

/// The library that has registered itself; null: the program was built for processors alone.
const GpuLibrary *&gpu_library();
/// The GPU of that number, opened when it is first asked for. Fails where there is none.
Backend &gpu(int number);

/// What is issued on `after`'s compute lane from now on comes after all that has been issued on
/// `before`'s.
void order(Backend &before, Backend &after);
/// A transfer of which at least one side is a GPU. Between two, both go on only after it, unless
/// `Streams` carries out turns, which sees to the order itself.
void copy_with_gpus(const Device &from, const void *source, const Device &to, void *buffer,
                    int64_t bytes);
/// The part of this process in a transfer of which one side is a GPU of its own, the other one of
/// another process: it sends or receives. Unless `Streams` carries out turns, what is issued on the
/// compute lane comes before and after it.
void send_between_gpus(const Device &from, const void *source, const Device &to, void *buffer,
                       int64_t bytes);

} // namespace mpar
