// Layer and RMS normalization and their gradients against the formulas in double.
#include "kernels.h"

#include "mpar/normalize.h"

#include <string>

using namespace mpar;
using namespace mpar::test;

namespace {

/// What a normalization reads and gives, in floats or in doubles.
template <typename Scalar> struct Tensors {
  std::vector<Scalar> y, mean, scale, dx, dweight, dbias;
};

struct Operands {
  std::vector<float> x, weight, bias, gradient;
};

Operands make_operands(int64_t rows, int64_t size) {
  Operands o{random_values(rows * size, 1), random_values(size, 2), random_values(size, 3),
             random_values(rows * size, 4)};
  for (float &value : o.x)
    value = value * 2 + 3; // off centre
  return o;
}

/// Large enough for rows of one or two elements, whose variance may be nearly nothing.
constexpr float eps = 0.125f;

Tensors<double> compute_plainly(int64_t rows, int64_t size, const Operands &o, bool centred,
                                bool weighted, bool biased) {
  Tensors<double> e;
  e.dweight.assign(size, 0);
  e.dbias.assign(size, 0);
  for (int64_t row = 0; row < rows; ++row) {
    const float *x = o.x.data() + row * size, *gradient = o.gradient.data() + row * size;
    double mean = 0, squares = 0, shift = 0, slope = 0;
    for (int64_t i = 0; centred && i < size; ++i)
      mean += double(x[i]) / double(size);
    for (int64_t i = 0; i < size; ++i)
      squares += (double(x[i]) - mean) * (double(x[i]) - mean);
    const double scale = 1 / std::sqrt(squares / double(size) + double(eps));
    const auto normal = [&](int64_t i) { return (double(x[i]) - mean) * scale; };
    const auto along = [&](int64_t i) {
      return double(gradient[i]) * (weighted ? double(o.weight[i]) : 1);
    };
    for (int64_t i = 0; i < size; ++i) {
      e.y.push_back(normal(i) * (weighted ? double(o.weight[i]) : 1) +
                    (biased ? double(o.bias[i]) : 0));
      shift += centred ? along(i) / double(size) : 0;
      slope += along(i) * normal(i) / double(size);
      e.dweight[i] += double(gradient[i]) * normal(i);
      e.dbias[i] += double(gradient[i]);
    }
    for (int64_t i = 0; i < size; ++i)
      e.dx.push_back(scale * (along(i) - shift - normal(i) * slope));
    e.mean.push_back(mean);
    e.scale.push_back(scale);
  }
  return e;
}

Tensors<float> run(Device &device, int64_t rows, int64_t size, const Operands &o, bool centred,
                   bool weighted, bool biased, Store store = Store::overwrite) {
  Tensors<float> t;
  const float before = store == Store::add ? 1.5f : NAN;
  t.y.assign(rows * size, NAN);
  t.dx.assign(rows * size, NAN);
  t.mean.assign(rows, NAN);
  t.scale.assign(rows, NAN);
  t.dweight.assign(size, before);
  t.dbias.assign(size, before);
  const float *weight = weighted ? o.weight.data() : nullptr;
  if (centred) {
    layer_norm(device, rows, size, eps, o.x.data(), weight, biased ? o.bias.data() : nullptr,
               t.y.data(), t.mean.data(), t.scale.data());
    layer_norm_gradient(device, rows, size, o.gradient.data(), o.x.data(), t.mean.data(),
                        t.scale.data(), weight, t.dx.data(), t.dweight.data(), t.dbias.data(),
                        store);
  } else {
    rms_norm(device, rows, size, eps, o.x.data(), weight, t.y.data(), t.scale.data());
    rms_norm_gradient(device, rows, size, o.gradient.data(), o.x.data(), t.scale.data(), weight,
                      t.dx.data(), t.dweight.data(), store);
  }
  return t;
}

void expect_near(const std::vector<float> &values, const std::vector<double> &expected,
                 double bound, const std::string &what) {
  double largest = 1;
  for (double value : expected)
    largest = std::max(largest, std::abs(value));
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(values[i], expected[i], bound * largest) << what << " at " << i;
}

TEST(Normalize, AgreesWithTheFormulasInDouble) {
  for (int threads : {1, 2}) {
    Device device = plain_device(threads);
    for (int64_t rows : {1, 3, 64, 65, 1500})
      for (int64_t size : {1, 2, 15, 16, 33, 64, 257})
        for (int form = 0; form < 6; ++form) {
          const bool centred = form < 4, weighted = form % 2 == 0, biased = form < 2;
          const Operands o = make_operands(rows, size);
          const Tensors<float> t = run(device, rows, size, o, centred, weighted, biased);
          const Tensors<double> e = compute_plainly(rows, size, o, centred, weighted, biased);
          const std::string what =
              std::to_string(rows) + " x " + std::to_string(size) + " form " + std::to_string(form);
          // Sums over rows grow like the root of their number, and so do their roundings.
          const double bound = 2e-6, bound_of_sums = 1e-6 * std::sqrt(double(rows));
          expect_near(t.y, e.y, bound, what + ": y");
          expect_near(t.scale, e.scale, bound, what + ": scale");
          expect_near(t.dx, e.dx, bound, what + ": dx");
          expect_near(t.dweight, e.dweight, bound_of_sums + bound, what + ": dweight");
          if (centred) {
            expect_near(t.mean, e.mean, bound, what + ": mean");
            expect_near(t.dbias, e.dbias, bound_of_sums + bound, what + ": dbias");
          }
        }
  }
}

// Neither the rows beside a row nor the number of threads change a bit, and the sums of the weights
// can be added to what is there.
TEST(Normalize, DependsOnItsOwnRowOnly) {
  const int64_t rows = 5000, size = 100;
  const Operands o = make_operands(rows, size);
  Device one = plain_device(), two = plain_device(2);
  for (bool centred : {false, true}) {
    const Tensors<float> all = run(one, rows, size, o, centred, true, centred);
    const Tensors<float> shared = run(two, rows, size, o, centred, true, centred);
    EXPECT_TRUE(same_bits(all.y, shared.y) && same_bits(all.dx, shared.dx));
    EXPECT_TRUE(same_bits(all.dweight, shared.dweight));
    EXPECT_TRUE(!centred || same_bits(all.dbias, shared.dbias));
    Operands last = o;
    last.x.erase(last.x.begin(), last.x.end() - size);
    last.gradient.erase(last.gradient.begin(), last.gradient.end() - size);
    const Tensors<float> alone = run(one, 1, size, last, centred, true, centred);
    EXPECT_TRUE(same_bits(alone.y, {all.y.end() - size, all.y.end()}));
    EXPECT_TRUE(same_bits(alone.dx, {all.dx.end() - size, all.dx.end()}));
    const Tensors<float> added = run(one, rows, size, o, centred, true, centred, Store::add);
    for (int64_t i = 0; i < size; ++i) {
      EXPECT_EQ(added.dweight[i], 1.5f + all.dweight[i]);
      EXPECT_TRUE(!centred || added.dbias[i] == 1.5f + all.dbias[i]);
    }
  }
}

} // namespace
