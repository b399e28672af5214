// Any bytes as safetensors, and as a checkpoint: tensors that lie inside the file, or one line of
// error.
#include "input.h"

#include "mpar/checkpoint.h"
#include "mpar/errors.h"
#include "mpar/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string path = fuzz::file_of(data, size);
  try {
    mpar::SafetensorsReader reader(path);
    for (const auto &[name, entry] : reader.tensors()) {
      size_t bytes = static_cast<size_t>(entry.end - entry.begin);
      if (bytes > size)
        std::abort();
      std::string buffer(bytes, '\0');
      reader.read(entry, buffer.data());
    }
  } catch (const mpar::Error &error) {
    fuzz::check_message(error.what());
  }
  static const mpar::ModelDescription description = [] {
    mpar::ModelDescription line;
    line.name = "Line";
    line.training.optimizer.kind = mpar::OptimizerSettings::Kind::adam;
    return line;
  }();
  try {
    mpar::Checkpoint checkpoint(path, description);
    if (checkpoint.state().history.size() != static_cast<size_t>(checkpoint.state().epoch))
      std::abort();
  } catch (const mpar::Error &error) {
    fuzz::check_message(error.what());
  }
  return 0;
}
