// Trains both models for a step. What a caller gets wrong is an error, not a crash.
#include "net v1.0.h"
#include "net v1.1.h"

#include "mpar/errors.h"

#include <cstring>
#include <vector>

int main() {
  First first;
  Second second;
  first.initialize(0);
  second.initialize(0);
  const std::vector<float> x(4 * 3, 0.5F), y(4, 1.0F);
  if (!(first.train_step(x.data(), y.data(), 4) > 0) ||
      !(second.train_step(x.data(), y.data(), 4) > 0))
    return 1;
  try {
    second.train_step(nullptr, y.data(), 4);
  } catch (const mpar::Error &error) {
    return std::strstr(error.what(), "`x`: its pointer is null") ? 0 : 2;
  }
  return 3;
}
