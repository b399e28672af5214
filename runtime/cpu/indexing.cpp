// Rows of tables by their numbers.
#include "mpar/indexing.h"

#include "backend.h"

#include "mpar/errors.h"
#include "mpar/low_precision.h"
#include "multiversion.h"
#include "parallel.h"

#include <cstring>
#include <string>

namespace mpar {
namespace {

constexpr int64_t indexing_grain = 16384; // elements that are worth a second thread
constexpr int64_t columns_a_grain = 16;   // a line of the cache

/// Whether all ids are in [0, rows).
MPAR_MULTIVERSION bool all_in_table(int64_t count, const int32_t *ids, uint32_t rows) {
  uint32_t outside = 0;
  for (int64_t i = 0; i < count; ++i)
    outside |= static_cast<uint32_t>(static_cast<uint32_t>(ids[i]) >= rows);
  return outside == 0;
}

void require_ids(int64_t rows, int64_t count, const char *name, const int32_t *ids) {
  // An i32 counts no further than 2³¹ rows.
  const auto known = static_cast<uint32_t>(std::min<int64_t>(rows, int64_t(1) << 31));
  if (all_in_table(count, ids, known))
    return;
  int64_t i = 0;
  while (static_cast<uint32_t>(ids[i]) < known)
    ++i;
  fail(std::string(name) + ": id " + std::to_string(ids[i]) + " is not in a table of " +
       std::to_string(rows) + " rows");
}

/// The columns [begin, end) of the sum.
MPAR_MULTIVERSION void add_columns(int64_t begin, int64_t end, int64_t width, int64_t count,
                                   const int32_t *ids, const float *rows, float *table) {
  for (int64_t i = 0; i < count; ++i) {
    const float *from = rows + i * width;
    float *to = table + ids[i] * width;
    MPAR_INDEPENDENT
    for (int64_t j = begin; j < end; ++j)
      to[j] += from[j];
  }
}

} // namespace

template <typename T>
void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
            const T *table, const int32_t *ids, T *y) {
  if (Backend *const backend = device.backend())
    return backend->gather(device, table_rows, width, count, name, table, ids, y);
  require_ids(table_rows, count, name, ids);
  parallel_parts(device, count, std::max<int64_t>(1, indexing_grain / width),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i)
                     std::memcpy(y + i * width, table + ids[i] * width, width * sizeof(T));
                 });
}

template void gather(Device &, int64_t, int64_t, int64_t, const char *, const float *,
                     const int32_t *, float *);
template void gather(Device &, int64_t, int64_t, int64_t, const char *, const int32_t *,
                     const int32_t *, int32_t *);
template void gather(Device &, int64_t, int64_t, int64_t, const char *, const bool *,
                     const int32_t *, bool *);
template void gather(Device &, int64_t, int64_t, int64_t, const char *, const bfloat16 *,
                     const int32_t *, bfloat16 *);
template void gather(Device &, int64_t, int64_t, int64_t, const char *, const float16 *,
                     const int32_t *, float16 *);

void check_ids(Device &device, int64_t table_rows, int64_t count, const char *name,
               const int32_t *ids, int32_t *y) {
  if (Backend *const backend = device.backend())
    return backend->check_ids(device, table_rows, count, name, ids, y);
  require_ids(table_rows, count, name, ids);
  std::memcpy(y, ids, count * sizeof(int32_t));
}

void scatter_add(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
                 const int32_t *ids, const float *rows, float *table, Store store) {
  if (Backend *const backend = device.backend())
    return backend->scatter_add(device, table_rows, width, count, name, ids, rows, table, store);
  require_ids(table_rows, count, name, ids);
  if (store == Store::overwrite)
    parallel_parts(device, table_rows * width, indexing_grain, [&](int64_t begin, int64_t end) {
      std::fill(table + begin, table + end, 0.0f);
    });
  // Threads share the columns, so that each sum has one thread and one order.
  const int64_t columns = std::max(columns_a_grain, indexing_grain / std::max<int64_t>(1, count));
  parallel_parts(device, width, columns, [&](int64_t begin, int64_t end) {
    add_columns(begin, end, width, count, ids, rows, table);
  });
}

} // namespace mpar
