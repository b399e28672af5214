// Collectives of replicas, and their schedules.
#include "mpar/errors.h"
#include "mpar/model.h"
#include "mpar/replicas.h"
#include "mpar/safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

using namespace mpar;

namespace {

/// A model that computes nothing: a device of so many parameters, and room for as many sums.
class Copies final : public Model {
public:
  Copies(int replicas, int64_t floats, bool shards = false)
      : Copies(describe(replicas, floats, shards), settings_of_batch(64)) {}
  Copies(const ModelDescription &description, const Settings &settings)
      : Model(description, settings) {
    add_replicas(settings,
                 [&](const Settings &own) { return std::make_unique<Copies>(description, own); });
  }

  float train_step(const Batch &) override { return 0; }
  float evaluate(const Batch &batch, const void *&output) override {
    output = batch.inputs[0];
    const float *values = static_cast<const float *>(batch.inputs[0]);
    float sum = 0;
    for (int64_t i = 0; i < batch.rows; ++i)
      sum += values[i];
    rows_seen = batch.rows;
    return sum / static_cast<float>(batch.rows);
  }
  const void *predict(const Batch &batch) override { return batch.inputs[0]; }
  float evaluate_all(const Batch &batch, const void *&output) {
    return evaluate_on_replicas(batch, output);
  }
  Device &own_device(int replica_number) { return replica(replica_number).machine().device(0); }
  BatchPart part(int replica_number, int64_t rows) { return {replica(replica_number), rows}; }

  int64_t rows_seen = 0;

private:
  static Settings settings_of_batch(int64_t batch) {
    Settings settings;
    settings.batch = batch;
    return settings;
  }
  static ModelDescription describe(int replicas, int64_t floats, bool shards) {
    ModelDescription description;
    const int64_t padded = (floats + 15) / 16 * 16;
    description.devices = {{padded, padded, 4 * padded, 8}};
    description.parameters = {{"w", {floats}, 0, 0, {Initializer::Kind::uniform, -1, 1}}};
    description.inputs = {{"x", ElementType::f32, {}}};
    description.target = description.inputs[0];
    description.output = description.inputs[0];
    description.replicas = replicas;
    description.shard_optimizer = shards;
    description.training.optimizer.kind = OptimizerSettings::Kind::adam;
    return description;
  }
};

/// Numbers of very different sizes, so that another order of addition gives other sums.
void fill(std::mt19937 &random, int64_t count, float *values) {
  for (int64_t i = 0; i < count; ++i)
    values[i] = std::ldexp(static_cast<float>(random() % 2001) - 1000, random() % 30);
}

struct Case {
  int replicas;
  int64_t floats;
  int64_t rows; // of the batch
};

const Case cases[] = {{2, 1, 64},   {2, 16, 64}, {2, 17, 64},   {3, 100, 64}, {4, 5, 64},
                      {4, 1000, 3}, {4, 33, 1},  {5, 4099, 64}, {8, 65, 64},  {7, 20001, 5}};

TEST(Replicas, GradientsAreSummedInAscendingOrder) {
  std::mt19937 random(1);
  for (const Case &c : cases) {
    Copies model(c.replicas, c.floats);
    const int64_t count = model.own_device(0).description().trained_floats;
    std::vector<float> expected(count);
    for (int replica = 0; replica < c.replicas; ++replica) {
      float *gradients = model.own_device(replica).gradients();
      fill(random, count, gradients);
      for (int64_t i = 0; replica < c.rows && i < count; ++i)
        expected[i] = replica == 0 ? gradients[i] : expected[i] + gradients[i];
    }
    for (int replica = 0; replica < c.replicas; ++replica)
      reduce_scatter_gradients(model.part(replica, c.rows), model.own_device(replica), 0, count);
    for (int replica = 0; replica < c.replicas; ++replica)
      all_gather_gradients(model.part(replica, c.rows), model.own_device(replica), 0, count);
    for (int replica = 0; replica < c.replicas; ++replica) {
      const float *gradients = model.own_device(replica).gradients();
      EXPECT_EQ(std::vector<float>(gradients, gradients + count), expected)
          << c.replicas << " replicas, " << c.floats << " floats, number " << replica;
    }
  }
}

TEST(Replicas, PartsOfTheGradientsLeaveTheOthersAlone) {
  std::mt19937 random(2);
  Copies model(3, 400);
  std::vector<std::vector<float>> before;
  for (int replica = 0; replica < 3; ++replica) {
    float *gradients = model.own_device(replica).gradients();
    fill(random, 400, gradients);
    before.emplace_back(gradients, gradients + 400);
  }
  for (int replica = 0; replica < 3; ++replica)
    reduce_scatter_gradients(model.part(replica, 64), model.own_device(replica), 112, 160);
  for (int replica = 0; replica < 3; ++replica)
    all_gather_gradients(model.part(replica, 64), model.own_device(replica), 112, 160);
  for (int replica = 0; replica < 3; ++replica)
    for (int64_t i = 0; i < 400; ++i)
      EXPECT_EQ(model.own_device(replica).gradients()[i],
                i >= 112 && i < 272 ? before[0][i] + before[1][i] + before[2][i]
                                    : before[replica][i])
          << i;
}

template <typename T> void sum_fixed(const Case &c) {
  std::mt19937 random(3);
  Copies model(c.replicas, c.floats);
  std::vector<T> expected(c.floats);
  for (int replica = 0; replica < c.replicas; ++replica) {
    T *values = model.own_device(replica).fixed<T>(0);
    for (int64_t i = 0; i < c.floats; ++i) {
      values[i] = static_cast<T>(random() % 100000) / 7;
      if (replica < c.rows)
        expected[i] = replica == 0 ? values[i] : expected[i] + values[i];
    }
  }
  for (int replica = 0; replica < c.replicas; ++replica)
    reduce_scatter(model.part(replica, c.rows), model.own_device(replica),
                   model.own_device(replica).fixed<T>(0), c.floats);
  for (int replica = 0; replica < c.replicas; ++replica)
    all_gather(model.part(replica, c.rows), model.own_device(replica),
               model.own_device(replica).fixed<T>(0), c.floats);
  for (int replica = 0; replica < c.replicas; ++replica) {
    const T *values = model.own_device(replica).fixed<T>(0);
    EXPECT_EQ(std::vector<T>(values, values + c.floats), expected);
  }
}

TEST(Replicas, OtherSumsAreAddedUpToo) {
  for (const Case &c : cases) {
    sum_fixed<float>(c);
    sum_fixed<int32_t>(c);
  }
}

TEST(Replicas, ParametersAreGatheredFromWhoUpdatesThem) {
  for (const Case &c : cases) {
    Copies model(c.replicas, c.floats, true);
    const int64_t count = model.own_device(0).description().trained_floats;
    int64_t updated = 0;
    for (int replica = 0; replica < c.replicas; ++replica) {
      Device &device = model.own_device(replica);
      const Range own = device.updated();
      EXPECT_EQ(own.begin, updated);
      updated = own.end;
      std::fill(device.parameters() + own.begin, device.parameters() + own.end,
                static_cast<float>(replica + 1));
    }
    EXPECT_EQ(updated, count);
    for (int replica = 0; replica < c.replicas; ++replica)
      all_gather_parameters(model.part(replica, c.rows), model.own_device(replica), 0, count);
    for (int replica = 0; replica < c.replicas; ++replica)
      for (int owner = 0; owner < c.replicas; ++owner) {
        const Range range = model.own_device(owner).updated();
        for (int64_t i = range.begin; i < range.end; ++i)
          ASSERT_EQ(model.own_device(replica).parameters()[i], static_cast<float>(owner + 1));
      }
  }
}

TEST(Replicas, BeginAlikeAndShareOutTheState) {
  for (const Case &c : cases) {
    Copies plain(c.replicas, c.floats), shared(c.replicas, c.floats, true);
    for (int replica = 1; replica < c.replicas; ++replica)
      EXPECT_TRUE(std::equal(plain.own_device(0).parameters(),
                             plain.own_device(0).parameters() + c.floats,
                             plain.own_device(replica).parameters()));
    EXPECT_LE(shared.own_device(0).arena_bytes(), plain.own_device(0).arena_bytes());
    std::vector<float> state(c.floats), read(c.floats);
    for (int64_t i = 0; i < c.floats; ++i)
      state[i] = static_cast<float>(i);
    for (int slot : {0, 1})
      shared.write_state(0, slot, state.data());
    for (const TensorPiece &piece : shared.state_pieces(0, 1))
      std::memcpy(reinterpret_cast<std::byte *>(read.data()) + piece.begin, piece.data,
                  static_cast<size_t>(piece.bytes));
    EXPECT_EQ(read, state);
  }
}

TEST(Replicas, EvaluateTheirRowsEach) {
  Copies model(3, 10);
  std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const void *output = nullptr;
  EXPECT_EQ(model.evaluate_all({10, {values.data()}, values.data()}, output), 5.5f);
  const float *all = static_cast<const float *>(output);
  EXPECT_EQ(std::vector<float>(all, all + 10), values);
  EXPECT_EQ(model.rows_seen, 4);
}

TEST(Replicas, TurnsOfOneAreFollowedByThoseOfTheNext) {
  Schedule one;
  one.stages = {{0, StageDescription::When::during}, {1, StageDescription::When::after}};
  one.turns = {{0, 0, {}}, {0, 1, {}}, {1, 0, {{0, 2}}}};
  one.peer_waits = {{1, 1, 0}, {1, 0, 2}};
  const Schedule all = replicate(one, 3, 2);
  ASSERT_EQ(all.stages.size(), 6u);
  EXPECT_EQ(all.stages[5].device, 5);
  ASSERT_EQ(all.turns.size(), 9u);
  EXPECT_EQ(all.turns[4].stage, 2);
  EXPECT_EQ(all.turns[4].microbatch, 1);
  const Turn &last = all.turns[7]; // of replica 1
  EXPECT_EQ(last.stage, 3);
  ASSERT_EQ(last.waits.size(), 5u);
  EXPECT_EQ(last.waits[0].device, 2);
  EXPECT_EQ(last.waits[3].device, 0);
  EXPECT_EQ(last.waits[3].turns, 2);
  EXPECT_EQ(last.waits[4].device, 4);
}

} // namespace
