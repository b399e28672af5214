// The steps that convolutions are computed in: calls of oneDNN for a few rows each, which a thread
// keeps once they are made.
#pragma once

#include "mpar/convolution.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <array>
#include <memory>

namespace mpar::convolution_steps {

enum class Direction { forward, input_gradient, weight_gradient };

/// Multiplications of one row of a convolution.
int64_t work_of(const Convolution &convolution);

/// Rows worked on together: so many that a call of oneDNN is worth it, so few that they stay in the
/// second cache.
int64_t rows_of_a_step(const Convolution &convolution);

/// to[i] += from[i].
void add(int64_t count, const float *from, float *to);

class Operand;

/// A few rows of a convolution, or of a gradient of it.
class Step {
public:
  Step(Direction direction, const Convolution &convolution);
  ~Step();

  /// For each row: reads a, and b once for all, writes c. All but b are as long as the rows.
  void run(int64_t rows, const float *a, const float *b, float *c);
  /// The sum over the rows of what the step makes of a and b, in the thread's scratch.
  const float *sum(int64_t rows, const float *a, const float *b);

private:
  using Descriptions =
      std::array<dnnl::memory::desc, 3>; // of a, b and c, as the step asks for them
  template <typename Description> void set(const Description &description);
  void set_up(const std::array<int, 3> &arguments, const Descriptions &plain,
              const Descriptions &wanted);
  void compute();
  /// Lends the operands what they are laid out in, and returns where it ends.
  float *lend(int64_t further);
  /// Where the step's rows of a tensor begin that is `step` elements long: there, or where fewer
  /// rows are left, copied to `padded` with zeros behind them.
  const float *pad(int64_t rows, const float *from, int64_t step, float *padded) const;

  dnnl::primitive primitive_;
  std::unique_ptr<Operand> a_, b_, c_;
  std::unique_ptr<dnnl::memory> work_;
  int64_t work_floats_ = 0;
  int64_t rows_;                     // of a step
  int64_t a_step_, b_step_, c_step_; // elements of each tensor
};

/// This thread's step for a convolution of these sizes, made where it is asked for first: that is
/// costly. Throws dnnl::error.
Step &find_step(Direction direction, const Convolution &convolution);

} // namespace mpar::convolution_steps
