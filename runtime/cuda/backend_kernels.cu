// What the backend is asked to compute: a kernel each.
#include "cuda_backend.h"
#include "kernels.h"

namespace mpar::cuda {

void CudaBackend::multiply(Device &device, const ProductCall &call) {
  cuda::multiply(device, call);
}
void CudaBackend::sum_rows(Device &device, int64_t rows, int64_t columns, const bfloat16 *x,
                           float *y, Store store) {
  cuda::sum_rows(device, rows, columns, x, y, store);
}
void CudaBackend::sum_rows(Device &device, int64_t rows, int64_t columns, const float16 *x,
                           float *y, Store store) {
  cuda::sum_rows(device, rows, columns, x, y, store);
}
void CudaBackend::reduce(Device &device, Reduction reduction, const Shape &shape,
                         uint32_t dimensions, const float *x, float *y, Store store) {
  cuda::reduce(device, reduction, shape, dimensions, x, y, store);
}
void CudaBackend::reduce(Device &device, Reduction reduction, const Shape &shape,
                         uint32_t dimensions, const int32_t *x, int32_t *y, Store store) {
  cuda::reduce(device, reduction, shape, dimensions, x, y, store);
}
void CudaBackend::softmax(Device &device, int64_t outer, int64_t extent, int64_t inner,
                          const float *x, float *y) {
  cuda::softmax(device, outer, extent, inner, x, y);
}
void CudaBackend::log_softmax(Device &device, int64_t outer, int64_t extent, int64_t inner,
                              const float *x, float *y) {
  cuda::log_softmax(device, outer, extent, inner, x, y);
}
void CudaBackend::argmax(Device &device, int64_t outer, int64_t extent, int64_t inner,
                         const float *x, int32_t *y) {
  cuda::argmax(device, outer, extent, inner, x, y);
}
void CudaBackend::argmax(Device &device, int64_t outer, int64_t extent, int64_t inner,
                         const int32_t *x, int32_t *y) {
  cuda::argmax(device, outer, extent, inner, x, y);
}
void CudaBackend::copy(Device &device, const Shape &shape, const float *x, const Strides &x_strides,
                       float *y, const Strides &y_strides) {
  cuda::copy(device, shape, x, x_strides, y, y_strides);
}
void CudaBackend::copy(Device &device, const Shape &shape, const int32_t *x,
                       const Strides &x_strides, int32_t *y, const Strides &y_strides) {
  cuda::copy(device, shape, x, x_strides, y, y_strides);
}
void CudaBackend::copy(Device &device, const Shape &shape, const bfloat16 *x,
                       const Strides &x_strides, bfloat16 *y, const Strides &y_strides) {
  cuda::copy(device, shape, x, x_strides, y, y_strides);
}
void CudaBackend::copy(Device &device, const Shape &shape, const float16 *x,
                       const Strides &x_strides, float16 *y, const Strides &y_strides) {
  cuda::copy(device, shape, x, x_strides, y, y_strides);
}
void CudaBackend::copy(Device &device, const Shape &shape, const bool *x, const Strides &x_strides,
                       bool *y, const Strides &y_strides) {
  cuda::copy(device, shape, x, x_strides, y, y_strides);
}
void CudaBackend::fill(Device &device, int64_t count, float value, float *y) {
  cuda::fill(device, count, value, y);
}
void CudaBackend::fill(Device &device, int64_t count, int32_t value, int32_t *y) {
  cuda::fill(device, count, value, y);
}
void CudaBackend::fill(Device &device, int64_t count, bool value, bool *y) {
  cuda::fill(device, count, value, y);
}
void CudaBackend::gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                         const char *name, const float *table, const int32_t *ids, float *y) {
  cuda::gather(device, table_rows, width, count, name, table, ids, y);
}
void CudaBackend::gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                         const char *name, const int32_t *table, const int32_t *ids, int32_t *y) {
  cuda::gather(device, table_rows, width, count, name, table, ids, y);
}
void CudaBackend::gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                         const char *name, const bool *table, const int32_t *ids, bool *y) {
  cuda::gather(device, table_rows, width, count, name, table, ids, y);
}
void CudaBackend::gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                         const char *name, const bfloat16 *table, const int32_t *ids, bfloat16 *y) {
  cuda::gather(device, table_rows, width, count, name, table, ids, y);
}
void CudaBackend::gather(Device &device, int64_t table_rows, int64_t width, int64_t count,
                         const char *name, const float16 *table, const int32_t *ids, float16 *y) {
  cuda::gather(device, table_rows, width, count, name, table, ids, y);
}
void CudaBackend::check_ids(Device &device, int64_t table_rows, int64_t count, const char *name,
                            const int32_t *ids, int32_t *y) {
  cuda::check_ids(device, table_rows, count, name, ids, y);
}
void CudaBackend::check_targets(Device &device, int64_t classes, int64_t count,
                                const int32_t *target, int32_t *y) {
  cuda::check_targets(device, classes, count, target, y);
}
void CudaBackend::scatter_add(Device &device, int64_t table_rows, int64_t width, int64_t count,
                              const char *name, const int32_t *ids, const float *rows, float *table,
                              Store store) {
  cuda::scatter_add(device, table_rows, width, count, name, ids, rows, table, store);
}
void CudaBackend::cross_entropy(Device &device, int64_t count, int64_t classes, Real type,
                                const void *x, const int32_t *target, float *y) {
  cuda::cross_entropy(device, count, classes, type, x, target, y);
}
void CudaBackend::cross_entropy_gradient(Device &device, int64_t count, int64_t classes, Real type,
                                         const void *x, const int32_t *target, const float *g,
                                         void *dx) {
  cuda::cross_entropy_gradient(device, count, classes, type, x, target, g, dx);
}
void CudaBackend::layer_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                             const float *weight, const float *bias, float *y, float *mean,
                             float *scale) {
  cuda::layer_norm(device, rows, size, eps, x, weight, bias, y, mean, scale);
}
void CudaBackend::layer_norm_gradient(Device &device, int64_t rows, int64_t size,
                                      const float *gradient, const float *x, const float *mean,
                                      const float *scale, const float *weight, float *dx,
                                      float *dweight, float *dbias, Store store) {
  cuda::layer_norm_gradient(device, rows, size, gradient, x, mean, scale, weight, dx, dweight,
                            dbias, store);
}
void CudaBackend::rms_norm(Device &device, int64_t rows, int64_t size, float eps, const float *x,
                           const float *weight, float *y, float *scale) {
  cuda::rms_norm(device, rows, size, eps, x, weight, y, scale);
}
void CudaBackend::rms_norm_gradient(Device &device, int64_t rows, int64_t size,
                                    const float *gradient, const float *x, const float *scale,
                                    const float *weight, float *dx, float *dweight, Store store) {
  cuda::rms_norm_gradient(device, rows, size, gradient, x, scale, weight, dx, dweight, store);
}
void CudaBackend::conv(Device &device, int64_t rows, const Convolution &convolution, const float *x,
                       const float *weight, float *y) {
  cuda::conv(device, rows, convolution, x, weight, y);
}
void CudaBackend::conv_input_gradient(Device &device, int64_t rows, const Convolution &convolution,
                                      const float *gradient, const float *weight, float *dx) {
  cuda::conv_input_gradient(device, rows, convolution, gradient, weight, dx);
}
void CudaBackend::conv_weight_gradient(Device &device, int64_t rows, const Convolution &convolution,
                                       const float *gradient, const float *x, float *dweight,
                                       Store store) {
  cuda::conv_weight_gradient(device, rows, convolution, gradient, x, dweight, store);
}
void CudaBackend::max_pool(Device &device, int64_t planes, const Pooling &pooling, const float *x,
                           float *y, int32_t *positions) {
  cuda::max_pool(device, planes, pooling, x, y, positions);
}
void CudaBackend::max_pool_gradient(Device &device, int64_t planes, int64_t windows, int64_t size,
                                    const float *gradient, const int32_t *positions, float *dx) {
  cuda::max_pool_gradient(device, planes, windows, size, gradient, positions, dx);
}
void CudaBackend::avg_pool(Device &device, int64_t planes, const Pooling &pooling,
                           CountPadding count, const float *x, float *y) {
  cuda::avg_pool(device, planes, pooling, count, x, y);
}
void CudaBackend::avg_pool_gradient(Device &device, int64_t planes, const Pooling &pooling,
                                    CountPadding count, const float *gradient, float *dx) {
  cuda::avg_pool_gradient(device, planes, pooling, count, gradient, dx);
}
void CudaBackend::attention(Device &device, const AttentionSizes &sizes,
                            const Heads<const float> &q, const Heads<const float> &k,
                            const Heads<const float> &v, const Heads<float> &y, float *log_sums) {
  cuda::attention(device, sizes, q, k, v, y, log_sums);
}
void CudaBackend::attention_gradient(Device &device, const AttentionSizes &sizes,
                                     const Heads<const float> &gradient,
                                     const Heads<const float> &q, const Heads<const float> &k,
                                     const Heads<const float> &v, const Heads<const float> &y,
                                     const float *log_sums, const Heads<float> &dq,
                                     const Heads<float> &dk, const Heads<float> &dv) {
  cuda::attention_gradient(device, sizes, gradient, q, k, v, y, log_sums, dq, dk, dv);
}
void CudaBackend::sgd(Device &device, const OptimizerSettings &settings, int64_t step,
                      const float *scale, NonFinite non_finite) {
  cuda::sgd(device, settings, step, scale, non_finite);
}
void CudaBackend::adam(Device &device, const OptimizerSettings &settings, int64_t step,
                       const float *scale, NonFinite non_finite) {
  cuda::adam(device, settings, step, scale, non_finite);
}
void CudaBackend::adamw(Device &device, const OptimizerSettings &settings, int64_t step,
                        const float *scale, NonFinite non_finite) {
  cuda::adamw(device, settings, step, scale, non_finite);
}
void CudaBackend::adagrad(Device &device, const OptimizerSettings &settings, int64_t step,
                          const float *scale, NonFinite non_finite) {
  cuda::adagrad(device, settings, step, scale, non_finite);
}
void CudaBackend::rmsprop(Device &device, const OptimizerSettings &settings, int64_t step,
                          const float *scale, NonFinite non_finite) {
  cuda::rmsprop(device, settings, step, scale, non_finite);
}
void CudaBackend::squared_norm(Device &device, int64_t count, const float *x, const float *sum,
                               float *y) {
  cuda::squared_norm(device, count, x, sum, y);
}
void CudaBackend::clip_scale(Device &device, const OptimizerSettings &settings,
                             const float *squared, float *y) {
  cuda::clip_scale(device, settings, squared, y);
}
void CudaBackend::loss_scale(Device &device, const LossScaling &scaling, float *y) {
  cuda::loss_scale(device, scaling, y);
}
void CudaBackend::unscale(Device &device, const OptimizerSettings &settings, LossScaling &scaling,
                          const float *squared, float *y) {
  cuda::unscale(device, settings, scaling, squared, y);
}

} // namespace mpar::cuda
