// The runtime's kernels on GPUs: the functions of mpar/*.h, with their signatures and meaning, that
// the backend calls for devices that are a GPU.
//
// Each issues its work on the compute stream of the device's queue and returns; pointers are to
// memory of the device. An element's value depends on what it depends on for processors, and on no
// order of threads: no sum is made by atomics. Sums may be taken in another order than on
// processors, fixed by the sizes alone.
#pragma once

#include "mpar/attention.h"
#include "mpar/convolution.h"
#include "mpar/indexing.h"
#include "mpar/linear.h"
#include "mpar/loss_scaling.h"
#include "mpar/normalize.h"
#include "mpar/optimizer.h"
#include "mpar/pool.h"
#include "mpar/reduce.h"

#include <cstdint>

namespace mpar {
enum class Real;
struct ProductCall;
} // namespace mpar

namespace mpar::cuda {

struct Queue;

// Products: matmul.cu. By cuBLASLt, plans chosen by its heuristic and kept by shape.
void multiply(Device &device, const ProductCall &call);

// Reductions: reduce.cu, softmax.cu.
template <typename T>
void sum_rows(Device &device, int64_t rows, int64_t columns, const T *x, float *y, Store store);
void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
            const float *x, float *y, Store store);
void reduce(Device &device, Reduction reduction, const Shape &shape, uint32_t dimensions,
            const int32_t *x, int32_t *y, Store store);
void softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
             float *y);
void log_softmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const float *x,
                 float *y);
/// T: float or int32_t.
template <typename T>
void argmax(Device &device, int64_t outer, int64_t extent, int64_t inner, const T *x, int32_t *y);

// Copies: copy.cu.
/// T: float, int32_t, bfloat16, float16 or bool.
template <typename T>
void copy(Device &device, const Shape &shape, const T *x, const Strides &x_strides, T *y,
          const Strides &y_strides);
/// T: float, int32_t or bool.
template <typename T> void fill(Device &device, int64_t count, T value, T *y);

// Positions from other tensors: indexing.cu, cross_entropy.cu. A number that is outside of what it
// counts is found when the host next waits (`refuse` in launch.h); what was to be read by it is
// taken for zeros.
/// T: float, int32_t, bool, bfloat16 or float16.
template <typename T>
void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
            const T *table, const int32_t *ids, T *y);
/// The same of rows of so many bytes, whatever they hold.
void gather_bytes(const Queue &queue, int64_t table_rows, int64_t bytes, int64_t count,
                  const char *name, const void *table, const int32_t *ids, void *y);
void check_ids(Device &device, int64_t table_rows, int64_t count, const char *name,
               const int32_t *ids, int32_t *y);
void check_targets(Device &device, int64_t classes, int64_t count, const int32_t *target,
                   int32_t *y);
void scatter_add(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
                 const int32_t *ids, const float *rows, float *table, Store store);
void cross_entropy(Device &device, int64_t count, int64_t classes, Real type, const void *x,
                   const int32_t *target, float *y);
void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, Real type,
                            const void *x, const int32_t *target, const float *g, void *dx);

// Normalization: normalize.cu.
void layer_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                const float *weight, const float *bias, float *y, float *mean, float *scale);
void layer_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                         const float *x, const float *mean, const float *scale, const float *weight,
                         float *dx, float *dweight, float *dbias, Store store);
void rms_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
              const float *weight, float *y, float *scale);
void rms_norm_gradient(Device &device, int64_t rows, int64_t size, const float *gradient,
                       const float *x, const float *scale, const float *weight, float *dx,
                       float *dweight, Store store);

// Convolution and pools: convolution.cu, pool.cu.
void conv(Device &device, int64_t rows, const Convolution &convolution, const float *x,
          const float *weight, float *y);
void conv_input_gradient(Device &device, int64_t rows, const Convolution &convolution,
                         const float *gradient, const float *weight, float *dx);
void conv_weight_gradient(Device &device, int64_t rows, const Convolution &convolution,
                          const float *gradient, const float *x, float *dweight, Store store);
void max_pool(Device &device, int64_t planes, const Pooling &pooling, const float *x, float *y,
              int32_t *positions);
void max_pool_gradient(Device &device, int64_t planes, int64_t windows, int64_t size,
                       const float *gradient, const int32_t *positions, float *dx);
void avg_pool(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
              const float *x, float *y);
void avg_pool_gradient(Device &device, int64_t planes, const Pooling &pooling, CountPadding count,
                       const float *gradient, float *dx);

// Attention: attention.cu.
void attention(Device &device, const AttentionSizes &sizes, const Heads<const float> &q,
               const Heads<const float> &k, const Heads<const float> &v, const Heads<float> &y,
               float *log_sums);
void attention_gradient(Device &device, const AttentionSizes &sizes,
                        const Heads<const float> &gradient, const Heads<const float> &q,
                        const Heads<const float> &k, const Heads<const float> &v,
                        const Heads<const float> &y, const float *log_sums, const Heads<float> &dq,
                        const Heads<float> &dk, const Heads<float> &dv);

// Optimisers: optimizer.cu. The numbers that change from step to step come from the queue's
// StepState, which must be that of `settings` and `step` when the kernel runs.
void sgd(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
         NonFinite non_finite);
void adam(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
          NonFinite non_finite);
void adamw(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
           NonFinite non_finite);
void adagrad(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
             NonFinite non_finite);
void rmsprop(Device &device, const OptimizerSettings &settings, int64_t step, const float *scale,
             NonFinite non_finite);
void squared_norm(Device &device, int64_t count, const float *x, const float *sum, float *y);
void clip_scale(Device &device, const OptimizerSettings &settings, const float *squared, float *y);

/// These work on the queue's scaling, which is on the GPU, and not on the host's that they are
/// given: `unscale` leaves the next step's beside the step's own.
void loss_scale(Device &device, const LossScaling &scaling, float *y);
void unscale(Device &device, const OptimizerSettings &settings, LossScaling &scaling,
             const float *squared, float *y);

} // namespace mpar::cuda
