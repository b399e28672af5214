// The products by oneDNN, for processors without AVX-512.
#include "kernels.h"

#include <oneapi/dnnl/dnnl.h>

namespace yardstick {

std::size_t packed_size(int, int) { return 0; }

void pack(const float *, int, int, float *) {}

void forward(const float *x, const float *w, const float *, const float *bias, int rows, int in,
             int out, bool relu, float *y) {
  dnnl_sgemm('N', 'T', rows, out, in, 1, x, in, w, in, 0, y, out);
  for (int r = 0; r < rows; ++r)
    for (int o = 0; o < out; ++o) {
      float &value = y[std::size_t(r) * out + o];
      value += bias[o];
      value = relu && !(value > 0) ? 0 : value;
    }
}

void input_gradient(const float *dy, const float *w, const float *gate, int rows, int in, int out,
                    float *dx) {
  dnnl_sgemm('N', 'N', rows, in, out, 1, dy, out, w, in, 0, dx, in);
  for (std::size_t i = 0; i < std::size_t(rows) * in; ++i)
    dx[i] = gate[i] > 0 ? dx[i] : 0;
}

void weight_gradient(const float *dy, const float *x, int rows, int in, int out, bool add,
                     float *dw, float *dbias) {
  dnnl_sgemm('T', 'N', out, in, rows, 1, dy, out, x, in, add ? 1 : 0, dw, in);
  for (int o = 0; o < out; ++o)
    dbias[o] = add ? dbias[o] : 0;
  for (int r = 0; r < rows; ++r)
    for (int o = 0; o < out; ++o)
      dbias[o] += dy[std::size_t(r) * out + o];
}

} // namespace yardstick
