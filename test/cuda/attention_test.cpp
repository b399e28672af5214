// Attention on a GPU against the processor's.
#include "gpu.h"
#include "kernels.h"

#include "mpar/low_precision.h"

#include <algorithm>
#include <cstdio>

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
  // An exponential that differs in its last bit may be rounded the other way.
  const float unit = s.rounding == Rounding::bf16  ? 1.0f / 256
                     : s.rounding == Rounding::f16 ? 1.0f / 2048
                                                   : 1e-5f;
  expect_near(y_on.read(), y, unit, "y");
  expect_near(log_sums_on.read(), log_sums, 1e-5f, "log_sums");
  expect_near(dq_on.read(), dq, 2 * unit, "dq");
  expect_near(dk_on.read(), dk, 2 * unit, "dk");
  expect_near(dv_on.read(), dv, 2 * unit, "dv");
  // Once more, from the same forward pass: not a bit differs.
  const std::vector<float> results[] = {y_on.read(), dq_on.read(), dk_on.read(), dv_on.read()};
  run(static_cast<Forward>(attention), static_cast<Backward>(attention_gradient), gpu(), q_on, k_on,
      v_on, g_on, y_on, log_sums_on, dq_on, dk_on, dv_on);
  EXPECT_TRUE(test::same_bits(y_on.read(), results[0])) << "y";
  EXPECT_TRUE(test::same_bits(dq_on.read(), results[1])) << "dq";
  EXPECT_TRUE(test::same_bits(dk_on.read(), results[2])) << "dk";
  EXPECT_TRUE(test::same_bits(dv_on.read(), results[3])) << "dv";
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

TEST(AttentionOnAGpu, RoundsAsTheProcessorDoes) {
  for (const Rounding rounding : {Rounding::bf16, Rounding::f16})
    for (const Causal causal : {Causal::no, Causal::yes}) {
      compare({1, 1, 1, 1, 1, 1, 1, causal, rounding}, false);
      compare({2, 2, 1, 37, 37, 16, 24, causal, rounding}, true);
      compare({1, 2, 2, 70, 133, 33, 7, causal, rounding}, true);
      compare({1, 1, 1, 150, 66, 32, 20, causal, rounding}, false);
      compare({1, 2, 1, 130, 130, 64, 64, causal, rounding}, true);
      compare({1, 1, 1, 40, 200, 128, 80, causal, rounding}, false);
    }
}

TEST(AttentionOnAGpu, RoundsForHeadsThatAreTooLongForTensorCores) {
  for (const Rounding rounding : {Rounding::bf16, Rounding::f16}) {
    compare({1, 2, 1, 35, 37, 130, 8, Causal::yes, rounding}, false);
    compare({1, 1, 1, 5, 33, 16, 144, Causal::no, rounding}, true);
  }
}

TEST(AttentionOnAGpu, MultipliesFragmentsWhereTheyLie) {
  // One key: its value is the result, rounded, of whatever head and wherever it lies.
  for (const int64_t width : {1, 17, 64, 127}) {
    const AttentionSizes s{2, 3, 3, 5, 1, 8, width, Causal::no, Rounding::bf16};
    const std::vector<float> q = random_values(2 * 3 * 5 * 8, 1), k = random_values(2 * 3 * 8, 2),
                             v = random_values(2 * 3 * width, 3);
    const OnGpu<float> q_on(q), k_on(k), v_on(v), y_on(2 * 3 * 5 * width), sums_on(2 * 3 * 5);
    attention(gpu(), s, q_on, k_on, v_on, y_on, sums_on);
    const std::vector<float> y = y_on.read();
    std::vector<float> expected(y.size());
    for (size_t i = 0; i < y.size(); ++i)
      expected[i] = static_cast<float>(bfloat16(v[i / width / 5 * width + i % width]));
    expect_near(y, expected, 1e-6f, "y");
  }
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

/// Run by scripts/gpu-check, beside bench/cuda/attention.py.
TEST(AttentionOnAGpu, DISABLED_TakesSoLong) {
  for (const AttentionSizes &s :
       {AttentionSizes{16, 12, 12, 1024, 1024, 64, 64, Causal::yes, Rounding::bf16},
        AttentionSizes{4, 16, 16, 4096, 4096, 128, 128, Causal::yes, Rounding::bf16}}) {
    const int64_t count = s.batch * s.heads * s.queries * s.depth;
    const std::vector<float> values = random_values(count);
    const OnGpu<float> q(values), k(values), v(values), g(values), y(count), dq(count), dk(count),
        dv(count), sums(s.batch * s.heads * s.queries);
    cudaEvent_t begin = nullptr, end = nullptr;
    cuda::check(cudaEventCreate(&begin), "cudaEventCreate");
    cuda::check(cudaEventCreate(&end), "cudaEventCreate");
    const cudaStream_t stream = test::Gpu::get().queue.stream;
    const auto median = [&](const auto &work) {
      std::vector<float> times;
      for (int repeat = 0; repeat < 23; ++repeat) {
        cuda::check(cudaEventRecord(begin, stream), "cudaEventRecord");
        work();
        cuda::check(cudaEventRecord(end, stream), "cudaEventRecord");
        cuda::check(cudaEventSynchronize(end), "cudaEventSynchronize");
        float milliseconds = 0;
        cuda::check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
        if (repeat >= 3)
          times.push_back(milliseconds);
      }
      std::sort(times.begin(), times.end());
      return times[times.size() / 2];
    };
    const float forward = median([&] { attention(gpu(), s, q, k, v, y, sums); });
    const float backward =
        median([&] { attention_gradient(gpu(), s, g, q, k, v, y, sums, dq, dk, dv); });
    std::printf("mparc %d x %d x %d x %d: %.3f ms forward, %.3f ms gradient\n",
                static_cast<int>(s.batch), static_cast<int>(s.heads), static_cast<int>(s.queries),
                static_cast<int>(s.depth), static_cast<double>(forward),
                static_cast<double>(backward));
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
  }
}

} // namespace
} // namespace mpar
