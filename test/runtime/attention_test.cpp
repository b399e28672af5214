// Attention and its gradient against the formulas in double, at sizes that fill no vector and no
// block.
#include "kernels.h"

#include "mpar/attention.h"
#include "mpar/low_precision.h"

#include <algorithm>
#include <cstring>
#include <string>

using namespace mpar;
using namespace mpar::test;

namespace {

/// Every test runs over every set of product kernels that the processor has, and without any.
class Attention : public testing::TestWithParam<const ProductKernels *> {
  void SetUp() override { use_product_kernels(*GetParam()); }
  void TearDown() override { use_product_kernels(before_); }

  const ProductKernels &before_ = product_kernels();
};

INSTANTIATE_TEST_SUITE_P(On, Attention, testing::ValuesIn(product_kernel_sets()), name_of_kernels);

const AttentionSizes attention_sizes[] = {
    {1, 1, 1, 1, 1, 1, 1, Causal::no},       {2, 1, 1, 3, 5, 2, 7, Causal::no},
    {2, 3, 3, 17, 17, 16, 16, Causal::yes},  {1, 4, 2, 63, 65, 8, 9, Causal::no},
    {3, 6, 2, 65, 65, 5, 16, Causal::yes},   {1, 4, 1, 64, 64, 64, 64, Causal::yes},
    {1, 2, 2, 129, 257, 32, 32, Causal::no}, {1, 2, 1, 300, 300, 24, 33, Causal::yes},
    {1, 1, 1, 100, 600, 16, 16, Causal::no}, {1, 1, 1, 600, 100, 16, 16, Causal::yes},
    {1, 1, 1, 70, 300, 3, 3, Causal::yes},   {5, 1, 1, 2, 2, 300, 290, Causal::no}};

/// All that attention reads and gives.
struct Tensors {
  std::vector<float> q, k, v, y, log_sums, gradient, dq, dk, dv;
};

Tensors make_tensors(const AttentionSizes &s) {
  Tensors t;
  t.q = random_values(s.batch * s.heads * s.queries * s.depth, 1);
  t.k = random_values(s.batch * s.shared_heads * s.keys * s.depth, 2);
  t.v = random_values(s.batch * s.shared_heads * s.keys * s.width, 3);
  t.gradient = random_values(s.batch * s.heads * s.queries * s.width, 4);
  t.y.assign(t.gradient.size(), NAN);
  t.log_sums.assign(s.batch * s.heads * s.queries, NAN);
  t.dq.assign(t.q.size(), NAN);
  t.dk.assign(t.k.size(), NAN);
  t.dv.assign(t.v.size(), NAN);
  return t;
}

void run(Device &device, const AttentionSizes &s, Tensors &t) {
  attention(device, s, t.q.data(), t.k.data(), t.v.data(), t.y.data(), t.log_sums.data());
  attention_gradient(device, s, t.gradient.data(), t.q.data(), t.k.data(), t.v.data(), t.y.data(),
                     t.log_sums.data(), t.dq.data(), t.dk.data(), t.dv.data());
}

double dot(const float *a, const float *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += double(a[i]) * double(b[i]);
  return sum;
}

/// The same in double, by the definition.
struct Expected {
  std::vector<double> y, log_sums, dq, dk, dv;
};

Expected compute_plainly(const AttentionSizes &s, const Tensors &t) {
  Expected e;
  e.y.resize(t.y.size());
  e.log_sums.resize(t.log_sums.size());
  e.dq.resize(t.q.size());
  e.dk.resize(t.k.size());
  e.dv.resize(t.v.size());
  const double scale = 1 / std::sqrt(double(s.depth));
  const int64_t group = s.heads / s.shared_heads;
  for (int64_t row = 0; row < s.batch * s.heads * s.queries; ++row) {
    const int64_t query = row % s.queries, head = row / s.queries;
    const int64_t shared = head / s.heads * s.shared_heads + head % s.heads / group;
    const float *q = t.q.data() + row * s.depth, *k = t.k.data() + shared * s.keys * s.depth;
    const float *v = t.v.data() + shared * s.keys * s.width;
    const float *gradient = t.gradient.data() + row * s.width;
    const int64_t seen = s.causal == Causal::yes ? std::min(s.keys, query + 1) : s.keys;
    std::vector<double> probabilities(seen), changes(seen);
    double sum = 0, mean = 0;
    for (int64_t i = 0; i < seen; ++i)
      sum += probabilities[i] = std::exp(dot(q, k + i * s.depth, s.depth) * scale);
    e.log_sums[row] = std::log(sum);
    for (int64_t i = 0; i < seen; ++i) {
      probabilities[i] /= sum;
      changes[i] = dot(gradient, v + i * s.width, s.width);
      mean += probabilities[i] * changes[i];
    }
    for (int64_t i = 0; i < seen; ++i) {
      const double change = probabilities[i] * (changes[i] - mean) * scale;
      for (int64_t j = 0; j < s.width; ++j) {
        e.y[row * s.width + j] += probabilities[i] * double(v[i * s.width + j]);
        e.dv[(shared * s.keys + i) * s.width + j] += probabilities[i] * double(gradient[j]);
      }
      for (int64_t j = 0; j < s.depth; ++j) {
        e.dq[row * s.depth + j] += change * double(k[i * s.depth + j]);
        e.dk[(shared * s.keys + i) * s.depth + j] += change * double(q[j]);
      }
    }
  }
  return e;
}

/// Within `bound` of the largest number there is, or of 1.
void expect_near(const std::vector<float> &values, const std::vector<double> &expected,
                 double bound, const std::string &what) {
  double largest = 1;
  for (double value : expected)
    largest = std::max(largest, std::abs(value));
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(values[i], expected[i], bound * largest) << what << " at " << i;
}

TEST_P(Attention, AgreesWithTheFormulasInDouble) {
  Device device = plain_device();
  for (const AttentionSizes &s : attention_sizes) {
    Tensors t = make_tensors(s);
    run(device, s, t);
    const Expected e = compute_plainly(s, t);
    const std::string sizes = std::to_string(s.queries) + " x " + std::to_string(s.keys) + " x " +
                              std::to_string(s.depth) + ": ";
    expect_near(t.y, e.y, 1e-6, sizes + "y");
    expect_near(t.log_sums, e.log_sums, 1e-6, sizes + "log_sums");
    expect_near(t.dq, e.dq, 3e-6, sizes + "dq");
    expect_near(t.dk, e.dk, 3e-6, sizes + "dk");
    expect_near(t.dv, e.dv, 3e-6, sizes + "dv");
  }
}

std::vector<float> rounded(Rounding rounding, std::vector<float> values) {
  for (float &value : values)
    value = rounding == Rounding::bf16 ? static_cast<float>(bfloat16(value))
                                       : static_cast<float>(float16(value));
  return values;
}

TEST_P(Attention, RoundsWhatItsProductsAreOf) {
  Device device = plain_device();
  for (const Rounding rounding : {Rounding::bf16, Rounding::f16})
    for (AttentionSizes s : attention_sizes) {
      const Tensors given = make_tensors(s);
      Tensors before = given, plain = given;
      for (Tensors *each : {&before, &plain}) {
        each->q = rounded(rounding, given.q);
        each->k = rounded(rounding, given.k);
        each->v = rounded(rounding, given.v);
        each->gradient = rounded(rounding, given.gradient);
      }
      run(device, s, plain);
      const Expected e = compute_plainly(s, plain);
      s.rounding = rounding;
      Tensors within = given;
      run(device, s, within);
      run(device, s, before);
      // Of operands that are rounded already nothing else comes.
      EXPECT_TRUE(same_bits(within.y, before.y));
      EXPECT_TRUE(same_bits(within.dq, before.dq));
      EXPECT_TRUE(same_bits(within.dk, before.dk));
      EXPECT_TRUE(same_bits(within.dv, before.dv));
      EXPECT_TRUE(same_bits(within.log_sums, plain.log_sums));
      // Probabilities are rounded too: results are near, and not those of plain ones.
      const double unit = rounding == Rounding::bf16 ? 1.0 / 256 : 1.0 / 2048;
      expect_near(within.y, e.y, unit, "y");
      expect_near(within.dq, e.dq, 2 * unit, "dq");
      expect_near(within.dk, e.dk, 2 * unit, "dk");
      expect_near(within.dv, e.dv, 2 * unit, "dv");
      if (s.queries > 10) {
        EXPECT_FALSE(same_bits(within.y, plain.y));
        EXPECT_FALSE(same_bits(within.dq, plain.dq));
        EXPECT_FALSE(same_bits(within.dk, plain.dk));
        EXPECT_FALSE(same_bits(within.dv, plain.dv));
      }
    }
}

/// A tensor [batch, heads, rows, columns] that lies as a projection leaves it, rows before heads,
/// with other numbers in between.
struct Interleaved {
  Interleaved(int64_t batches, int64_t heads_of_each, int64_t rows_of_each, int64_t columns_of_each)
      : batch(batches), heads(heads_of_each), rows(rows_of_each), columns(columns_of_each),
        values(batch * rows * step(), 7.0f) {}
  Interleaved(int64_t batches, int64_t heads_of_each, int64_t rows_of_each, int64_t columns_of_each,
              const std::vector<float> &contiguous)
      : Interleaved(batches, heads_of_each, rows_of_each, columns_of_each) {
    for_each([&](size_t from, float &to) { to = contiguous[from]; });
  }

  int64_t step() const { return heads * columns + 3; }
  Heads<float> view() { return {values.data() + 2, rows * step(), columns, step()}; }
  Heads<const float> read() { return {values.data() + 2, rows * step(), columns, step()}; }
  template <typename Body> void for_each(const Body &body) {
    size_t index = 0;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t j = 0; j < columns; ++j)
            body(index++, values[2 + (b * rows + i) * step() + h * columns + j]);
  }
  /// Whether it holds these bits, and nothing else was written.
  bool is(const std::vector<float> &contiguous) {
    bool same = true;
    for_each([&](size_t from, float &to) {
      same &= std::memcmp(&to, &contiguous[from], sizeof(float)) == 0;
      to = 7.0f;
    });
    return same && std::count(values.begin(), values.end(), 7.0f) ==
                       static_cast<std::ptrdiff_t>(values.size());
  }

  int64_t batch, heads, rows, columns;
  std::vector<float> values;
};

TEST_P(Attention, GivesTheSameBitsWhereverHeadsLie) {
  Device device = plain_device();
  for (const AttentionSizes &s : attention_sizes) {
    Tensors t = make_tensors(s);
    run(device, s, t);
    Interleaved q(s.batch, s.heads, s.queries, s.depth, t.q);
    Interleaved k(s.batch, s.shared_heads, s.keys, s.depth, t.k);
    Interleaved v(s.batch, s.shared_heads, s.keys, s.width, t.v);
    Interleaved gradient(s.batch, s.heads, s.queries, s.width, t.gradient);
    Interleaved y(s.batch, s.heads, s.queries, s.width), dq(s.batch, s.heads, s.queries, s.depth);
    Interleaved dk(s.batch, s.shared_heads, s.keys, s.depth);
    Interleaved dv(s.batch, s.shared_heads, s.keys, s.width);
    std::vector<float> log_sums(t.log_sums.size());
    attention(device, s, q.read(), k.read(), v.read(), y.view(), log_sums.data());
    attention_gradient(device, s, gradient.read(), q.read(), k.read(), v.read(), y.read(),
                       log_sums.data(), dq.view(), dk.view(), dv.view());
    EXPECT_TRUE(same_bits(t.log_sums, log_sums));
    EXPECT_TRUE(y.is(t.y));
    EXPECT_TRUE(dq.is(t.dq) && dk.is(t.dk) && dv.is(t.dv));
  }
}

// Scores of several hundred, whose exponentials overflow: one key takes all of each query.
TEST_P(Attention, DoesNotOverflow) {
  Device device = plain_device();
  const AttentionSizes s{1, 1, 1, 70, 300, 16, 16, Causal::no};
  Tensors t = make_tensors(s);
  for (int64_t i = 0; i < s.queries; ++i)
    for (int64_t j = 0; j < s.depth; ++j)
      t.q[i * s.depth + j] = j == i % s.depth ? 4000.0f : 0.0f;
  for (int64_t i = 0; i < s.keys; ++i)
    for (int64_t j = 0; j < s.depth; ++j)
      t.k[i * s.depth + j] = i == 18 * j ? 1.0f : 0.0f;
  run(device, s, t);
  for (int64_t i = 0; i < s.queries; ++i)
    for (int64_t j = 0; j < s.width; ++j)
      ASSERT_EQ(t.y[i * s.width + j], t.v[18 * (i % s.depth) * s.width + j]) << i;
  for (const auto *values : {&t.log_sums, &t.dq, &t.dk, &t.dv})
    for (float value : *values)
      ASSERT_TRUE(std::isfinite(value));
}

TEST_P(Attention, PassesOnWhatIsNoNumber) {
  Device device = plain_device();
  const uint32_t bits = 0x7fffffff; // which rounding must not make a negative zero
  float no_number;
  std::memcpy(&no_number, &bits, sizeof no_number);
  for (const Rounding rounding : {Rounding::none, Rounding::bf16, Rounding::f16}) {
    const AttentionSizes s{1, 2, 2, 70, 70, 8, 8, Causal::no, rounding};
    Tensors t = make_tensors(s);
    t.k[9] = no_number; // of the first head
    run(device, s, t);
    const size_t half = t.y.size() / 2;
    for (size_t i = 0; i < t.y.size(); ++i)
      ASSERT_EQ(std::isnan(t.y[i]), i < half) << i;
  }
}

// What a row of the batch gets does not depend on the rows beside it, on the number of threads,
// nor, in a head of its own, on later queries and keys that are hidden.
TEST_P(Attention, DependsOnItsOwnRowOnly) {
  const AttentionSizes s{6, 4, 2, 100, 100, 16, 24, Causal::yes};
  Tensors all = make_tensors(s);
  Device one = plain_device(), two = plain_device(2);
  run(one, s, all);
  Tensors threads = make_tensors(s);
  run(two, s, threads);
  EXPECT_TRUE(same_bits(all.y, threads.y) && same_bits(all.log_sums, threads.log_sums));
  EXPECT_TRUE(same_bits(all.dq, threads.dq) && same_bits(all.dk, threads.dk) &&
              same_bits(all.dv, threads.dv));
  AttentionSizes single = s;
  single.batch = 1;
  for (int64_t row = 0; row < s.batch; ++row) {
    const auto part = [&](const std::vector<float> &values) {
      const auto size = static_cast<int64_t>(values.size()) / s.batch;
      return std::vector<float>(values.begin() + row * size, values.begin() + (row + 1) * size);
    };
    Tensors t = make_tensors(single);
    t.q = part(all.q);
    t.k = part(all.k);
    t.v = part(all.v);
    t.gradient = part(all.gradient);
    run(one, single, t);
    EXPECT_TRUE(same_bits(t.y, part(all.y)) && same_bits(t.log_sums, part(all.log_sums)));
    EXPECT_TRUE(same_bits(t.dq, part(all.dq)) && same_bits(t.dk, part(all.dk)) &&
                same_bits(t.dv, part(all.dv)));
  }
}

} // namespace
