// Convolution and its gradients against the definition in double, at odd sizes; that a row's bits
// do not depend on the others, and that nothing is allocated but the first time.
#include "kernels.h"

#include "mpar/convolution.h"

#include <string>

using namespace mpar;
using namespace mpar::test;

namespace {

struct ConvolutionCase {
  const char *name;
  int64_t rows;
  Convolution convolution;
};

const ConvolutionCase convolution_cases[] = {
    {"Point", 1, {1, 1, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}}},
    {"Plain", 3, {3, 5, 1, {7, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}},
    {"ManyChannels", 2, {19, 33, 1, {5, 6}, {3, 2}, {1, 1}, {1, 0}, {1, 1}}},
    {"FullBlocks", 5, {16, 32, 1, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}},
    {"Strided", 3, {4, 6, 1, {11, 8}, {3, 4}, {3, 2}, {0, 2}, {1, 1}}},
    {"Dilated", 2, {3, 4, 1, {9, 12}, {2, 3}, {1, 1}, {1, 2}, {4, 3}}},
    {"Groups", 3, {6, 9, 3, {5, 5}, {2, 3}, {1, 1}, {1, 1}, {1, 1}}},
    {"Depthwise", 2, {17, 17, 17, {6, 5}, {3, 3}, {2, 1}, {1, 1}, {1, 1}}},
    {"WideGroups", 2, {32, 64, 2, {4, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}},
    {"MuchPadding", 2, {2, 3, 1, {2, 3}, {3, 3}, {2, 1}, {3, 4}, {1, 1}}},
    {"OneByOne", 4, {40, 24, 1, {7, 7}, {1, 1}, {1, 1}, {0, 0}, {1, 1}}},
    {"OneByOneStrided", 2, {16, 16, 1, {7, 6}, {1, 1}, {2, 3}, {0, 0}, {1, 1}}},
    {"Line", 5, {3, 7, 1, {23}, {5}, {2}, {2}, {1}}},
    {"LongLine", 2, {16, 16, 1, {100}, {7}, {1}, {9}, {3}}},
    {"Volume", 2, {3, 4, 1, {4, 5, 6}, {2, 3, 1}, {1, 2, 2}, {1, 0, 1}, {1, 2, 1}}},
    {"Image", 2, {3, 16, 1, {32, 32}, {3, 3}, {1, 1}, {1, 1}, {1, 1}}},
};

class Conv : public testing::TestWithParam<ConvolutionCase> {};
std::string name_of_convolution(const testing::TestParamInfo<ConvolutionCase> &info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Of, Conv, testing::ValuesIn(convolution_cases), name_of_convolution);

int64_t row_of_x(const Convolution &c) { return c.in * c.extents.count(); }
int64_t row_of_y(const Convolution &c) { return c.out * c.positions().count(); }
int64_t weights(const Convolution &c) { return c.out * (c.in / c.groups) * c.kernel.count(); }

/// Calls body(x's element, the weight's, y's) for each product of all rows.
template <typename Body>
void for_each_product(int64_t rows, const Convolution &c, const Body &body) {
  const Shape positions = c.positions();
  const int64_t in_of_group = c.in / c.groups;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t out = 0; out < c.out; ++out)
      for (int64_t position = 0; position < positions.count(); ++position)
        for (int64_t in = 0; in < in_of_group; ++in)
          for (int64_t element = 0; element < c.kernel.count(); ++element) {
            int64_t place = 0, step = 1, p = position, e = element;
            bool lies_within = true;
            for (int i = c.extents.rank - 1; i >= 0; --i) {
              const int64_t at =
                  p % positions[i] * c.stride[i] - c.padding[i] + e % c.kernel[i] * c.dilation[i];
              lies_within &= at >= 0 && at < c.extents[i];
              place += at * step;
              step *= c.extents[i];
              p /= positions[i];
              e /= c.kernel[i];
            }
            if (!lies_within)
              continue;
            const int64_t channel = out / (c.out / c.groups) * in_of_group + in;
            body((row * c.in + channel) * c.extents.count() + place,
                 (out * in_of_group + in) * c.kernel.count() + element,
                 (row * c.out + out) * positions.count() + position);
          }
}

struct ConvolutionTensors {
  ConvolutionTensors(int64_t rows, const Convolution &c)
      : x(random_values(rows * row_of_x(c), 1)), weight(random_values(weights(c), 2)),
        gradient(random_values(rows * row_of_y(c), 3)), y(gradient.size(), NAN), dx(x.size(), NAN),
        dweight(weight.size(), NAN) {}
  std::vector<float> x, weight, gradient, y, dx, dweight;
};

void run(Device &device, int64_t rows, const Convolution &c, ConvolutionTensors &t) {
  conv(device, rows, c, t.x.data(), t.weight.data(), t.y.data());
  conv_input_gradient(device, rows, c, t.gradient.data(), t.weight.data(), t.dx.data());
  conv_weight_gradient(device, rows, c, t.gradient.data(), t.x.data(), t.dweight.data());
}

void expect_near(const std::vector<float> &got, const std::vector<double> &expected,
                 const char *what) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += (double(got[i]) - expected[i]) * (double(got[i]) - expected[i]);
    norm += expected[i] * expected[i];
  }
  EXPECT_LE(std::sqrt(difference), 1e-6 * std::sqrt(norm)) << what;
}

TEST_P(Conv, AgreesWithTheDefinition) {
  const auto &[name, rows, c] = GetParam();
  ConvolutionTensors t(rows, c);
  std::vector<double> y(t.y.size()), dx(t.dx.size()), dweight(t.dweight.size());
  for_each_product(rows, c, [&](int64_t in, int64_t weight, int64_t out) {
    y[out] += double(t.x[in]) * double(t.weight[weight]);
    dx[in] += double(t.gradient[out]) * double(t.weight[weight]);
    dweight[weight] += double(t.gradient[out]) * double(t.x[in]);
  });
  for (int threads : {1, 3}) {
    Device device = plain_device(threads);
    run(device, rows, c, t);
    expect_near(t.y, y, "y");
    expect_near(t.dx, dx, "dx");
    expect_near(t.dweight, dweight, "dweight");
  }
}

TEST_P(Conv, GivesARowTheSameBitsAmongAnyOthers) {
  const auto &[name, rows, c] = GetParam();
  const int64_t many = 37;
  ConvolutionTensors all(many, c);
  Device one = plain_device(), three = plain_device(3);
  run(one, many, c, all);
  ConvolutionTensors shared = all;
  run(three, many, c, shared);
  EXPECT_TRUE(same_bits(all.y, shared.y));
  EXPECT_TRUE(same_bits(all.dx, shared.dx));
  for (int64_t begin = 0, count = 1; begin < many; begin += count++) {
    count = std::min(count, many - begin);
    std::vector<float> y(count * row_of_y(c)), dx(count * row_of_x(c));
    conv(one, count, c, all.x.data() + begin * row_of_x(c), all.weight.data(), y.data());
    conv_input_gradient(one, count, c, all.gradient.data() + begin * row_of_y(c), all.weight.data(),
                        dx.data());
    EXPECT_EQ(std::memcmp(y.data(), all.y.data() + begin * row_of_y(c), y.size() * sizeof(float)),
              0);
    EXPECT_EQ(
        std::memcmp(dx.data(), all.dx.data() + begin * row_of_x(c), dx.size() * sizeof(float)), 0);
  }
}

TEST_P(Conv, AddsTheWeightsGradientToWhatIsThere) {
  const auto &[name, rows, c] = GetParam();
  const int64_t many = 5, split = 2;
  ConvolutionTensors t(many, c);
  Device device = plain_device();
  std::vector<float> first(weights(c)), second(weights(c)), both(weights(c));
  const auto gradient_of = [&](int64_t begin, int64_t end, float *dweight, Store store) {
    conv_weight_gradient(device, end - begin, c, t.gradient.data() + begin * row_of_y(c),
                         t.x.data() + begin * row_of_x(c), dweight, store);
  };
  gradient_of(0, split, first.data(), Store::overwrite);
  gradient_of(split, many, second.data(), Store::overwrite);
  gradient_of(0, split, both.data(), Store::overwrite);
  gradient_of(split, many, both.data(), Store::add);
  for (size_t i = 0; i < both.size(); ++i)
    EXPECT_EQ(both[i], first[i] + second[i]) << i;
}

TEST_P(Conv, GivesTheSameBitsAgain) {
  const auto &[name, rows, c] = GetParam();
  for (int threads : {1, 4}) {
    Device device = plain_device(threads);
    ConvolutionTensors first(rows + 6, c), second(rows + 6, c);
    run(device, rows + 6, c, first);
    run(device, rows + 6, c, second);
    EXPECT_TRUE(same_bits(first.y, second.y));
    EXPECT_TRUE(same_bits(first.dx, second.dx));
    EXPECT_TRUE(same_bits(first.dweight, second.dweight));
  }
}

} // namespace
