// Convolutions by oneDNN, a row of the batch at a time, or a few where they are small: a step.
//
// How many depends on the sizes of a row alone, and rows that are missing at the end are zero: so a
// row is computed in the same way however many there are.
#include "mpar/convolution.h"

#include "backend.h"

#include "convolution_step.h"
#include "mpar/errors.h"
#include "mpar/reduce.h"
#include "parallel.h"

#include <atomic>
#include <string>
#include <thread>

namespace mpar {

using convolution_steps::add;
using convolution_steps::Direction;
using convolution_steps::find_step;
using convolution_steps::Step;

Shape Convolution::positions() const {
  Shape counts;
  for (; counts.rank < extents.rank; ++counts.rank) {
    const int i = counts.rank;
    counts[i] = (extents[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i] + 1;
  }
  return counts;
}

namespace {

/// Multiplications below which a second thread costs more than it takes over.
constexpr int64_t smallest_shared = int64_t(1) << 20;

/// Calls body(step, begin, end) for parts of the rows, threads sharing them out.
template <typename Body>
void for_each_part(const Device &device, Direction direction, int64_t rows,
                   const Convolution &convolution, const Body &body) {
  if (rows == 0)
    return;
  const int64_t grain = std::max(convolution_steps::rows_of_a_step(convolution),
                                 smallest_shared / convolution_steps::work_of(convolution));
  try {
    const ThreadCount one(1); // a step is made for the number of threads that run it
    find_step(direction, convolution);
    parallel_parts(device, rows, grain, [&](int64_t begin, int64_t end) {
      const ThreadCount alone(1);
      body(find_step(direction, convolution), begin, end);
    });
  } catch (const dnnl::error &error) {
    fail("a convolution of " + std::to_string(convolution.in) + " to " +
         std::to_string(convolution.out) + " channels failed: " + error.message);
  }
}

} // namespace

void conv(Device &device, int64_t rows, const Convolution &convolution, const float *x,
          const float *weight, float *y) {
  if (Backend *const backend = device.backend())
    return backend->conv(device, rows, convolution, x, weight, y);
  const int64_t x_row = convolution.in * convolution.extents.count();
  const int64_t y_row = convolution.out * convolution.positions().count();
  for_each_part(device, Direction::forward, rows, convolution,
                [&](Step &step, int64_t begin, int64_t end) {
                  step.run(end - begin, x + begin * x_row, weight, y + begin * y_row);
                });
}

void conv_input_gradient(Device &device, int64_t rows, const Convolution &convolution,
                         const float *gradient, const float *weight, float *dx) {
  if (Backend *const backend = device.backend())
    return backend->conv_input_gradient(device, rows, convolution, gradient, weight, dx);
  const int64_t x_row = convolution.in * convolution.extents.count();
  const int64_t y_row = convolution.out * convolution.positions().count();
  for_each_part(device, Direction::input_gradient, rows, convolution,
                [&](Step &step, int64_t begin, int64_t end) {
                  step.run(end - begin, gradient + begin * y_row, weight, dx + begin * x_row);
                });
}

void conv_weight_gradient(Device &device, int64_t rows, const Convolution &convolution,
                          const float *gradient, const float *x, float *dweight, Store store) {
  if (rows == 0) { // a sum over none
    if (store == Store::overwrite)
      fill(device,
           convolution.out * (convolution.in / convolution.groups) * convolution.kernel.count(),
           0.0f, dweight);
    return;
  }
  if (Backend *const backend = device.backend())
    return backend->conv_weight_gradient(device, rows, convolution, gradient, x, dweight, store);
  const int64_t x_row = convolution.in * convolution.extents.count();
  const int64_t y_row = convolution.out * convolution.positions().count();
  const int64_t count =
      convolution.out * (convolution.in / convolution.groups) * convolution.kernel.count();
  std::atomic<int64_t> added{0}; // rows; each part waits for those before it
  for_each_part(device, Direction::weight_gradient, rows, convolution,
                [&](Step &step, int64_t begin, int64_t end) {
                  const float *part =
                      step.sum(end - begin, x + begin * x_row, gradient + begin * y_row);
                  while (added.load(std::memory_order_acquire) != begin)
                    std::this_thread::yield();
                  if (begin == 0 && store == Store::overwrite)
                    std::copy_n(part, count, dweight);
                  else
                    add(count, part, dweight);
                  added.store(end, std::memory_order_release);
                });
}

} // namespace mpar
