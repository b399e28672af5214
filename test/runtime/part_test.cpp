// Batches that threads share out.
#include "kernels.h"

#include "mpar/errors.h"
#include "mpar/model.h"
#include "mpar/part.h"

#include <mutex>
#include <set>
#include <vector>

using namespace mpar;

namespace {

constexpr int64_t parameter_count = 100;

/// A model that computes nothing: two devices of 100 parameters each, 30 of which do not decay, a
/// sum and one value a row.
class Empty final : public Model {
public:
  Empty(int threads, int64_t batch, int64_t row_multiplications, int64_t floats = parameter_count)
      : Model(describe(row_multiplications, floats), settings(threads, batch)) {}
  float train_step(const Batch &) override { return 0; }
  float evaluate(const Batch &, const void *&) override { return 0; }
  const void *predict(const Batch &) override { return nullptr; }

private:
  static ModelDescription describe(int64_t row_multiplications, int64_t floats) {
    ModelDescription description;
    description.devices = {{floats, floats, 64, 8, 64, 30}, {floats, floats, 0, 0, 64, 0}};
    description.row_multiplications = row_multiplications;
    description.training.optimizer.kind = OptimizerSettings::Kind::sgd;
    description.training.optimizer.lr = 1;
    return description;
  }
  static Settings settings(int threads, int64_t batch) {
    Settings settings;
    settings.threads = threads;
    settings.batch = batch;
    return settings;
  }
};

constexpr int64_t much = int64_t(1) << 30;

TEST(BatchPart, EveryRowIsInOnePart) {
  for (int threads : {1, 2, 3, 5})
    for (int64_t rows : {1, 2, 5, 63, 64, 65, 200, 331}) {
      Empty model(threads, 331, much);
      BatchPart whole(model, rows);
      std::mutex mutex;
      std::vector<int> seen(rows);
      for_each_part(whole, 64, [&](BatchPart &part) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(part.batch_rows, rows);
        EXPECT_LE(part.rows, 64 * (whole.sharing_threads() > 1 ? 1 : threads));
        for (int64_t row = 0; row < part.rows; ++row)
          ++seen[part.first_row + row];
      });
      EXPECT_EQ(seen, std::vector<int>(rows, 1)) << threads << " threads, " << rows << " rows";
    }
}

TEST(BatchPart, ThreadsHaveMemoryOfTheirOwn) {
  Empty model(3, 100, much);
  BatchPart whole(model, 100);
  ASSERT_EQ(whole.sharing_threads(), 3);
  for_each_part(whole, 64, [&](BatchPart &part) {
    // Every value a row of the part's, and the neighbours' stay as they are.
    int32_t *values = part.device(0).rows<int32_t>(4);
    for (int64_t row = 0; row < part.rows; ++row)
      values[row] = static_cast<int32_t>(part.first_row + row);
    for (int repeat = 0; repeat < 1000; ++repeat)
      for (int64_t row = 0; row < part.rows; ++row)
        ASSERT_EQ(values[row], part.first_row + row);
    EXPECT_EQ(part.device(0).parameters(), model.machine().device(0).parameters());
    EXPECT_EQ(part.device(0).threads(), 1);
  });
}

TEST(BatchPart, AddsUpWhatThreadsHave) {
  for (int threads : {1, 2, 4}) {
    Empty model(threads, 40, much);
    BatchPart whole(model, 37);
    for_each_part(whole, 64, [&](BatchPart &part) {
      int64_t *count = part.device(0).fixed<int64_t>(8);
      if (part.store == Store::overwrite)
        *count = 0;
      *count += part.rows;
      for (int index : {0, 1})
        for (int64_t i = 0; i < parameter_count; ++i) {
          float &gradient = part.device(index).gradients()[i];
          gradient = part.store == Store::overwrite ? 0 : gradient;
          gradient += static_cast<float>(part.rows * i);
        }
    });
    sum_over_threads<int64_t>(whole, 0, 8, 1);
    EXPECT_EQ(*whole.device(0).fixed<int64_t>(8), 37);
    whole.add_gradients();
    for (int index : {0, 1})
      for (int64_t i = 0; i < parameter_count; ++i)
        ASSERT_EQ(whole.device(index).gradients()[i], 37 * i) << threads << " threads";
  }
}

TEST(BatchPart, SharesUpdateEveryParameterOnce) {
  for (int threads : {1, 2, 3}) {
    Empty model(threads, 40, much);
    BatchPart whole(model, 40);
    for_each_part(whole, 64, [&](BatchPart &part) {
      for (int index : {0, 1})
        for (int64_t i = 0; i < parameter_count; ++i)
          part.device(index).gradients()[i] = static_cast<float>(part.rows);
    });
    for_each_share(whole, [&](BatchPart &part) {
      for (int index : {0, 1})
        sgd(part.device(index), model.optimizer(), 1);
    });
    for (int index : {0, 1})
      for (int64_t i = 0; i < parameter_count; ++i)
        ASSERT_EQ(whole.device(index).parameters()[i], -40) << i << " with " << threads;
  }
}

TEST(BatchPart, TakesAsManyThreadsAsTheRowsAreWorth) {
  // 1 Mi multiplications a row: two rows are worth a thread.
  Empty model(4, 64, int64_t(1) << 20);
  EXPECT_EQ(BatchPart(model, 1).sharing_threads(), 1);
  EXPECT_EQ(model.machine().device(0).threads(), 1);
  EXPECT_EQ(BatchPart(model, 3).sharing_threads(), 1);
  EXPECT_EQ(BatchPart(model, 4).sharing_threads(), 2);
  EXPECT_EQ(BatchPart(model, 64).sharing_threads(), 4);
  // One row that is worth all threads: they share each product.
  Empty large(4, 64, much);
  EXPECT_EQ(BatchPart(large, 1).sharing_threads(), 1);
  EXPECT_EQ(large.machine().device(0).threads(), 4);
}

TEST(BatchPart, LargeModelsAreNotCopied) {
  Empty model(2, 64, much, int64_t(4) << 20);
  EXPECT_EQ(BatchPart(model, 64).sharing_threads(), 1);
  EXPECT_EQ(model.machine().device(0).threads(), 2);
}

TEST(BatchPart, ThrowsOnWhatAThreadThrows) {
  Empty model(3, 30, much);
  BatchPart whole(model, 30);
  try {
    for_each_part(whole, 64, [](BatchPart &part) {
      if (part.first_row > 0)
        fail("row " + std::to_string(part.first_row));
    });
    FAIL();
  } catch (const Error &error) {
    EXPECT_STREQ(error.what(), "row 10");
  }
}

} // namespace
