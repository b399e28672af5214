// Exit status 0: the functions were called.
#include "doubled.h"

int main() {
  mpar::Settings settings;
  settings.batch = 2;
  Doubled model(settings);
  const float x[] = {1, 2, 3, -4};
  const float *y = model.forward(x, 2);
  return y[0] == -2 && y[3] == 8 ? 0 : 1;
}
