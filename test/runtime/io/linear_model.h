// A model written by hand as `mparc` would emit it: one linear layer, so that the training loop is
// tested on its own.
#pragma once

#include "mpar/mpar.h"

#include <cmath>
#include <cstring>
#include <vector>

namespace test {

/// y = x · weightᵀ + bias, with the mean squared error or, with classes, cross entropy.
inline mpar::ModelDescription linear_description(int64_t in, int64_t out,
                                                 mpar::OptimizerSettings optimizer,
                                                 int64_t classes = 0) {
  using mpar::ElementType;
  using Kind = mpar::Initializer::Kind;
  mpar::ModelDescription description;
  int64_t bias_offset = (in * out + 15) / 16 * 16;
  int64_t floats = bias_offset + (out + 15) / 16 * 16;
  double bound = 1 / std::sqrt(static_cast<double>(in));
  description.name = "Line";
  description.source = "line.mp";
  description.devices = {{floats, floats, 0, 16 * out}};
  description.parameters = {
      {"layer.weight", {out, in}, 0, 0, {Kind::kaiming_uniform, static_cast<double>(in)}},
      {"layer.bias", {out}, 0, bias_offset, {Kind::uniform, -bound, bound}}};
  description.inputs = {{"x", ElementType::f32, {in}}};
  description.target = {"target", ElementType::f32, {out}};
  if (classes > 0)
    description.target = {"target", ElementType::i32, {}};
  description.output = {"y", ElementType::f32, {out}};
  description.classes = classes;
  description.training.optimizer = optimizer;
  return description;
}

class LinearModel : public mpar::Model {
public:
  LinearModel(const mpar::ModelDescription &linear, const mpar::Settings &settings)
      : Model(linear, settings), in_(description().parameters[0].shape[1]),
        out_(description().parameters[0].shape[0]) {}

  float train_step(const mpar::Batch &batch) override {
    float loss = forward(batch);
    mpar::Device &d0 = device(0);
    int64_t rows = batch.rows;
    float *dy = d0.rows<float>(8 * out_);
    mpar::matmul(d0, 1, out_, in_, rows, mpar::Transpose::yes, mpar::Transpose::no, dy,
                 static_cast<const float *>(batch.inputs[0]), gradient(0));
    mpar::reduce(d0, mpar::Reduction::sum, {rows, out_}, 1, dy, gradient(1));
    ++step();
    using Kind = mpar::OptimizerSettings::Kind;
    if (optimizer().kind == Kind::sgd)
      mpar::sgd(d0, optimizer(), step());
    else if (optimizer().kind == Kind::adagrad)
      mpar::adagrad(d0, optimizer(), step());
    else if (optimizer().kind == Kind::rmsprop)
      mpar::rmsprop(d0, optimizer(), step());
    else
      mpar::adam(d0, optimizer(), step());
    return loss;
  }

  float evaluate(const mpar::Batch &batch, const void *&output) override {
    float loss = forward(batch);
    output = device(0).rows<float>(0);
    return loss;
  }

  const void *predict(const mpar::Batch &batch) override {
    check(batch);
    mpar::Device &d0 = device(0);
    float *y = d0.rows<float>(0);
    mpar::linear(d0, batch.rows, in_, out_, static_cast<const float *>(batch.inputs[0]),
                 parameter(0), parameter(1), mpar::Activation::none, y);
    return y;
  }

private:
  // Sets the output, and its gradient beside it; returns the loss.
  float forward(const mpar::Batch &batch) {
    const float *y = static_cast<const float *>(predict(batch));
    mpar::Device &d0 = device(0);
    float *dy = d0.rows<float>(8 * out_);
    int64_t count = batch.rows * out_;
    double sum = 0;
    if (description().classes > 0) {
      const int32_t *target = static_cast<const int32_t *>(batch.target);
      mpar::log_softmax(d0, batch.rows, out_, 1, y, dy);
      for (int64_t row = 0; row < batch.rows; ++row)
        for (int64_t k = 0; k < out_; ++k) {
          float &cell = dy[row * out_ + k];
          sum -= k == target[row] ? cell : 0;
          cell = (std::exp(cell) - (k == target[row])) / static_cast<float>(batch.rows);
        }
      return static_cast<float>(sum / static_cast<double>(batch.rows));
    }
    const float *target = static_cast<const float *>(batch.target);
    for (int64_t i = 0; i < count; ++i) {
      float difference = y[i] - target[i];
      sum += static_cast<double>(difference) * static_cast<double>(difference);
      dy[i] = 2 * difference / static_cast<float>(count);
    }
    return static_cast<float>(sum / static_cast<double>(count));
  }

  int64_t in_;
  int64_t out_;
};

inline mpar::OptimizerSettings sgd_settings(double lr, double momentum = 0) {
  mpar::OptimizerSettings settings;
  settings.kind = mpar::OptimizerSettings::Kind::sgd;
  settings.lr = lr;
  settings.momentum = momentum;
  return settings;
}

inline mpar::OptimizerSettings adam_settings(double lr = 1e-3) {
  mpar::OptimizerSettings settings;
  settings.kind = mpar::OptimizerSettings::Kind::adam;
  settings.lr = lr;
  return settings;
}

inline mpar::OptimizerSettings settings_of(mpar::OptimizerSettings::Kind kind, double lr) {
  mpar::OptimizerSettings settings;
  settings.kind = kind;
  settings.lr = lr;
  return settings;
}

} // namespace test
