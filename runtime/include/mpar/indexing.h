// Operations that take positions from another tensor: rows of a table by their numbers, and the
// cross-entropy of classes. A number that is outside of what it counts fails (see errors.h), naming
// it; nothing has been written then.
#pragma once

#include "mpar/device.h"
#include "mpar/low_precision.h"

#include <cstdint>

namespace mpar {

/// y[i] = table[ids[i]] for `count` ids: rows of `width` elements, of a table of `table_rows` rows.
/// `name` is the table's, for messages. T: float, int32_t,
/// bool, bfloat16 or float16.
template <typename T>
void gather(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
            const T *table, const int32_t *ids, T *y);

/// table[ids[i]] += rows[i] for `count` ids, in ascending order of i whatever the number of
/// threads, from zero on or, with `Store::add`, from what lies in the table.
void scatter_add(Device &device, int64_t table_rows, int64_t width, int64_t count, const char *name,
                 const int32_t *ids, const float *rows, float *table,
                 Store store = Store::overwrite);

/// y[i] = ids[i] for `count` ids, after it has been checked that each is a row of a table of
/// `table_rows` rows, of which no device has all.
void check_ids(Device &device, int64_t table_rows, int64_t count, const char *name,
               const int32_t *ids, int32_t *y);

/// y[i] = target[i] for `count` targets, after it has been checked that each is one of `classes`.
void check_targets(Device &device, int64_t classes, int64_t count, const int32_t *target,
                   int32_t *y);

/// y[i] = log Σ exp(x[i]) − x[i][target[i]] of x [count, classes].
void cross_entropy(Device &device, int64_t count, int64_t classes, const float *x,
                   const int32_t *target, float *y);
void cross_entropy(Device &device, int64_t count, int64_t classes, const bfloat16 *x,
                   const int32_t *target, float *y);
void cross_entropy(Device &device, int64_t count, int64_t classes, const float16 *x,
                   const int32_t *target, float *y);

/// dx[i] = g[i] · (softmax(x[i]) − [class = target[i]]). `dx` may be `x`.
void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, const float *x,
                            const int32_t *target, const float *g, float *dx);
/// The same, rounded once.
void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, const bfloat16 *x,
                            const int32_t *target, const float *g, bfloat16 *dx);
void cross_entropy_gradient(Device &device, int64_t count, int64_t classes, const float16 *x,
                            const int32_t *target, const float *g, float16 *dx);

} // namespace mpar
