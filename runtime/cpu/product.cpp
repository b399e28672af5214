// Which kernel of our own this processor can run.
#include "product.h"

namespace mpar {
namespace {

ProductKernel choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (avx512::product && __builtin_cpu_supports("avx512f"))
    return avx512::product;
  if (avx2::product && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return avx2::product;
#endif
  return nullptr;
}

} // namespace

ProductKernel product_kernel() {
  static const ProductKernel kernel = choose();
  return kernel;
}

} // namespace mpar
