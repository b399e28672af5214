// The products of attention: of matrices whose rows lie apart, by the kernels of product.h where
// the processor has some. Included by attention.cpp alone.
#pragma once

#include "multiversion.h"
#include "product.h"

#include <cstdint>

namespace mpar {
namespace {

/// A product where there are no kernels for the processor.
MPAR_MULTIVERSION void multiply_plainly(const Product &product) {
  for (int64_t i = 0; i < product.m; ++i) {
    float *c = product.c + i * product.c_row;
    if (!product.add)
      for (int64_t j = 0; j < product.n; ++j)
        c[j] = 0;
    for (int64_t p = 0; p < product.k; ++p) {
      const float a = product.a[i * product.a_row + p * product.a_depth];
      const float *b = product.b + p * product.b_depth;
      if (product.b_column == 1) {
        MPAR_INDEPENDENT
        for (int64_t j = 0; j < product.n; ++j)
          c[j] += a * b[j];
      } else {
        for (int64_t j = 0; j < product.n; ++j)
          c[j] += a * b[j * product.b_column];
      }
    }
  }
}

/// `packing`: what kernels pack into; see product_scratch.
void multiply(const Product &product, float *packing) {
  if (const auto kernel = product_kernels().multiply)
    kernel(product, 0, product.m, 0, product.n, packing);
  else
    multiply_plainly(product);
}

/// A matrix whose rows lie `step` floats apart.
template <typename T> struct Rows {
  T *data;
  int64_t step;

  Rows from(int64_t row) const { return {data + row * step, step}; }
  operator Rows<const T>() const { return {data, step}; }
};
using ReadRows = Rows<const float>;
using WriteRows = Rows<float>;

/// c[m, n] = a · bᵀ for rows of a and b; c is contiguous.
Product rows_by_rows(int64_t m, int64_t n, int64_t k, ReadRows a, ReadRows b, float *c) {
  return {m, n, k, a.data, a.step, 1, b.data, 1, b.step, c};
}

/// c[m, n] = a · b, or that added to c, where a lies in rows and is contiguous.
Product rows_by_columns(int64_t m, int64_t n, int64_t k, const float *a, ReadRows b, WriteRows c,
                        bool add) {
  Product product{m, n, k, a, k, 1, b.data, b.step, 1, c.data};
  product.add = add;
  product.c_row = c.step;
  return product;
}

/// c[m, n] = a · b, or that added to c, where a lies in columns and is contiguous.
Product columns_by_rows(int64_t m, int64_t n, int64_t k, const float *a, ReadRows b, WriteRows c,
                        bool add) {
  Product product{m, n, k, a, 1, m, b.data, b.step, 1, c.data};
  product.add = add;
  product.c_row = c.step;
  return product;
}

} // namespace
} // namespace mpar
