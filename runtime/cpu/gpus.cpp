// The GPUs that a program built with nvcc may use.
#include "backend.h"
#include "mpar/errors.h"

#include <map>

namespace mpar {

const GpuLibrary *&gpu_library() {
  static const GpuLibrary *library = nullptr;
  return library;
}

int count_gpus(std::string &why) {
  if (!gpu_library()) {
    why = "this program was built for processors alone; nvcc builds it for GPUs too";
    return 0;
  }
  return gpu_library()->count(why);
}

bool is_built_for_gpus() { return gpu_library() != nullptr; }

Backend &gpu(int number) {
  // Open until the process ends, whose last moments are no time to speak to a GPU: models come and
  // go, and opening one takes longer than a step.
  static std::map<int, std::unique_ptr<Backend>> &open =
      *new std::map<int, std::unique_ptr<Backend>>();
  std::unique_ptr<Backend> &found = open[number];
  if (found)
    return *found;
  std::string why;
  const int count = count_gpus(why);
  if (number >= count)
    fail("`cuda:" + std::to_string(number) + "`: " +
         (count == 0   ? why
          : count == 1 ? "there is 1 GPU, numbered from 0"
                       : "there are " + std::to_string(count) + " GPUs, numbered from 0"));
  found = gpu_library()->open(number);
  return *found;
}

} // namespace mpar
