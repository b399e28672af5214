// Convolutions and their gradients, a thread an element of the result, or a block of them an
// element of the weight: plain and in one order.
#include "block.h"
#include "kernels.h"
#include "launch.h"
#include "window.h"

namespace mpar::cuda {
namespace {

constexpr int threads = 256;

struct Problem {
  Window window;
  int64_t rows, in, out, in_each, out_each; // channels: all, and a group's
};

Problem problem_of(int64_t rows, const Convolution &c) {
  return {Window(c.extents, c.kernel, c.stride, c.padding, c.dilation, c.positions()),
          rows,
          c.in,
          c.out,
          c.in / c.groups,
          c.out / c.groups};
}

__global__ void convolve(Problem p, const float *x, const float *weight, float *y) {
  const Extent(&extents)[3] = p.window.extents;
  const int64_t size = p.window.size(), positions = p.window.positions();
  const int64_t count = p.rows * p.out * positions;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x) {
    const Coordinates at = position_at(p.window, i % positions);
    const int64_t out = i / positions % p.out, row = i / positions / p.out;
    const float *from = x + (row * p.in + out / p.out_each * p.in_each) * size;
    const float *kernel = weight + out * p.in_each * p.window.kernel();
    float sum = 0;
    for (int64_t channel = 0; channel < p.in_each; ++channel, from += size)
      for (int64_t dz = 0; dz < extents[0].kernel; ++dz)
        for (int64_t dy = 0; dy < extents[1].kernel; ++dy)
          for (int64_t dx = 0; dx < extents[2].kernel; ++dx, ++kernel) {
            const int64_t z = extents[0].at(at.z, dz), y_at = extents[1].at(at.y, dy),
                          x_at = extents[2].at(at.x, dx);
            if (extents[0].holds(z) && extents[1].holds(y_at) && extents[2].holds(x_at))
              sum = fmaf(from[(z * extents[1].size + y_at) * extents[2].size + x_at], *kernel, sum);
          }
    y[i] = sum;
  }
}

__global__ void differentiate_input(Problem p, const float *gradient, const float *weight,
                                    float *dx_of) {
  const Extent(&extents)[3] = p.window.extents;
  const int64_t size = p.window.size(), positions = p.window.positions();
  const int64_t kernel = p.window.kernel(), count = p.rows * p.in * size;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += int64_t(gridDim.x) * blockDim.x) {
    const Coordinates at = element_at(p.window, i % size);
    const int64_t in = i / size % p.in, row = i / size / p.in;
    const int64_t first = in / p.in_each * p.out_each;
    float sum = 0;
    for (int64_t out = first; out < first + p.out_each; ++out) {
      const float *from = gradient + (row * p.out + out) * positions;
      const float *by = weight + (out * p.in_each + in % p.in_each) * kernel;
      for (int64_t dz = 0; dz < extents[0].kernel; ++dz)
        for (int64_t dy = 0; dy < extents[1].kernel; ++dy)
          for (int64_t dx = 0; dx < extents[2].kernel; ++dx, ++by) {
            const int64_t z = extents[0].position_of(at.z, dz),
                          y = extents[1].position_of(at.y, dy),
                          x = extents[2].position_of(at.x, dx);
            if (z >= 0 && y >= 0 && x >= 0)
              sum = fmaf(from[(z * extents[1].positions + y) * extents[2].positions + x], *by, sum);
          }
    }
    dx_of[i] = sum;
  }
}

/// A block an element of the weight: the sum over rows and positions, each thread's in double.
__global__ void differentiate_weight(Problem p, const float *gradient, const float *x, bool add,
                                     float *dweight) {
  const Extent(&extents)[3] = p.window.extents;
  const int64_t size = p.window.size(), positions = p.window.positions();
  const int64_t kernel = p.window.kernel(), count = p.out * p.in_each * kernel;
  for (int64_t i = blockIdx.x; i < count; i += gridDim.x) {
    const Coordinates of = Coordinates::of(i % kernel, extents[1].kernel, extents[2].kernel);
    const int64_t out = i / kernel / p.in_each;
    const int64_t in = out / p.out_each * p.in_each + i / kernel % p.in_each;
    double sum = 0;
    for (int64_t j = threadIdx.x; j < p.rows * positions; j += blockDim.x) {
      const int64_t row = j / positions;
      const Coordinates at = position_at(p.window, j % positions);
      const int64_t z = extents[0].at(at.z, of.z), y = extents[1].at(at.y, of.y),
                    x_at = extents[2].at(at.x, of.x);
      if (extents[0].holds(z) && extents[1].holds(y) && extents[2].holds(x_at))
        sum +=
            double(gradient[(row * p.out + out) * positions + j % positions]) *
            double(
                x[(row * p.in + in) * size + (z * extents[1].size + y) * extents[2].size + x_at]);
    }
    sum = sum_block(sum);
    if (threadIdx.x == 0)
      dweight[i] = add ? dweight[i] + static_cast<float>(sum) : static_cast<float>(sum);
  }
}

} // namespace

void conv(Device &device, int64_t rows, const Convolution &convolution, const float *x,
          const float *weight, float *y) {
  const Queue &queue = queue_of(device);
  const Problem problem = problem_of(rows, convolution);
  const int64_t count = rows * convolution.out * problem.window.positions();
  launch("conv", convolve, blocks_for(queue, count, threads), threads, 0, queue.stream, problem, x,
         weight, y);
}

void conv_input_gradient(Device &device, int64_t rows, const Convolution &convolution,
                         const float *gradient, const float *weight, float *dx) {
  const Queue &queue = queue_of(device);
  const Problem problem = problem_of(rows, convolution);
  const int64_t count = rows * convolution.in * problem.window.size();
  launch("conv_input_gradient", differentiate_input, blocks_for(queue, count, threads), threads, 0,
         queue.stream, problem, gradient, weight, dx);
}

void conv_weight_gradient(Device &device, int64_t rows, const Convolution &convolution,
                          const float *gradient, const float *x, float *dweight, Store store) {
  const Queue &queue = queue_of(device);
  const Problem problem = problem_of(rows, convolution);
  const int64_t count = convolution.out * problem.in_each * problem.window.kernel();
  launch("conv_weight_gradient", differentiate_weight, blocks_for(queue, count, 1),
         threads_for_row(rows * problem.window.positions()), 0, queue.stream, problem, gradient, x,
         store == Store::add, dweight);
}

} // namespace mpar::cuda
