// Attention on a GPU against the processor's.
#include "gpu.h"
#include "kernels.h"

namespace mpar {
namespace {

using test::expect_near;
using test::gpu;
using test::OnGpu;
using test::random_values;

/// [batch, heads, rows, columns], or [batch, rows, heads, columns]: heads side by side.
template <typename T>
Heads<T> lay_out(T *data, int64_t heads, int64_t rows, int64_t columns, bool side_by_side) {
  if (side_by_side)
    return {data, heads * rows * columns, columns, heads * columns};
  return {data, heads * rows * columns, rows * columns, columns};
}

void compare(const AttentionSizes &s, bool side_by_side) {
  Device cpu = test::cpu();
  const int64_t q_count = s.batch * s.heads * s.queries * s.depth;
  const int64_t k_count = s.batch * s.shared_heads * s.keys * s.depth;
  const int64_t v_count = s.batch * s.shared_heads * s.keys * s.width;
  const int64_t y_count = s.batch * s.heads * s.queries * s.width;
  const int64_t rows = s.batch * s.heads * s.queries;
  const std::vector<float> q = random_values(q_count, 1), k = random_values(k_count, 2),
                           v = random_values(v_count, 3), g = random_values(y_count, 4);
  std::vector<float> y(y_count), log_sums(rows), dq(q_count), dk(k_count), dv(v_count);
  const OnGpu<float> q_on(q), k_on(k), v_on(v), g_on(g), y_on(y_count), log_sums_on(rows),
      dq_on(q_count), dk_on(k_count), dv_on(v_count);
  const auto run = [&](auto forward, auto backward, Device &device, const float *qs,
                       const float *ks, const float *vs, const float *gs, float *ys, float *sums,
                       float *dqs, float *dks, float *dvs) {
    const auto of_q = [&](auto *data) {
      return lay_out(data, s.heads, s.queries, s.depth, side_by_side);
    };
    const auto of_k = [&](auto *data) {
      return lay_out(data, s.shared_heads, s.keys, s.depth, side_by_side);
    };
    const auto of_v = [&](auto *data) {
      return lay_out(data, s.shared_heads, s.keys, s.width, side_by_side);
    };
    const auto of_y = [&](auto *data) {
      return lay_out(data, s.heads, s.queries, s.width, side_by_side);
    };
    forward(device, s, of_q(qs), of_k(ks), of_v(vs), of_y(ys), sums);
    backward(device, s, of_y(gs), of_q(qs), of_k(ks), of_v(vs),
             of_y(static_cast<const float *>(ys)), sums, of_q(dqs), of_k(dks), of_v(dvs));
  };
  using Forward = void (*)(Device &, const AttentionSizes &, const Heads<const float> &,
                           const Heads<const float> &, const Heads<const float> &,
                           const Heads<float> &, float *);
  using Backward = void (*)(Device &, const AttentionSizes &, const Heads<const float> &,
                            const Heads<const float> &, const Heads<const float> &,
                            const Heads<const float> &, const Heads<const float> &, const float *,
                            const Heads<float> &, const Heads<float> &, const Heads<float> &);
  run(static_cast<Forward>(attention), static_cast<Backward>(attention_gradient), cpu, q.data(),
      k.data(), v.data(), g.data(), y.data(), log_sums.data(), dq.data(), dk.data(), dv.data());
  run(static_cast<Forward>(attention), static_cast<Backward>(attention_gradient), gpu(), q_on, k_on,
      v_on, g_on, y_on, log_sums_on, dq_on, dk_on, dv_on);
  expect_near(y_on.read(), y, 1e-5f, "y");
  expect_near(log_sums_on.read(), log_sums, 1e-5f, "log_sums");
  expect_near(dq_on.read(), dq, 2e-5f, "dq");
  expect_near(dk_on.read(), dk, 2e-5f, "dk");
  expect_near(dv_on.read(), dv, 2e-5f, "dv");
}

TEST(AttentionOnAGpu, AgreesWithTheProcessors) {
  for (const Causal causal : {Causal::no, Causal::yes})
    for (const bool side_by_side : {false, true}) {
      compare({1, 1, 1, 1, 1, 1, 1, causal}, side_by_side);
      compare({2, 3, 3, 7, 7, 5, 4, causal}, side_by_side);
      compare({1, 4, 2, 37, 37, 16, 24, causal}, side_by_side);
      compare({1, 2, 1, 40, 70, 33, 8, causal}, side_by_side);
      compare({1, 1, 1, 70, 33, 8, 40, causal}, side_by_side);
    }
}

TEST(AttentionOnAGpu, WorksOnHeadsThatNeedMoreSharedMemory) {
  compare({1, 1, 1, 5, 6, 200, 180, Causal::no}, false);
}

TEST(AttentionOnAGpu, RefusesHeadsThatAreTooLarge) {
  const OnGpu<float> x(1000);
  std::string message;
  try {
    const Heads<const float> heads{x, 1000, 1000, 1000};
    attention(gpu(), {1, 1, 1, 1, 1, 1000, 1000, Causal::no}, heads, heads, heads,
              {x, 1000, 1000, 1000}, x);
  } catch (const std::exception &error) {
    message = error.what();
  }
  EXPECT_EQ(message.substr(0, 64),
            "attention: heads 1000 deep and 1000 wide take 516736 bytes of a ");
}

} // namespace
} // namespace mpar
