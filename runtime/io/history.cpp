#include "mpar/history.h"

#include "mpar/csv.h"
#include "mpar/file.h"

#include <algorithm>
#include <cmath>

namespace mpar {

void write_history(const std::string &path, const std::vector<EpochResult> &history) {
  auto any = [&](double EpochResult::*member) {
    return std::any_of(history.begin(), history.end(),
                       [&](const EpochResult &result) { return !std::isnan(result.*member); });
  };
  bool losses = any(&EpochResult::test_loss);
  bool accuracies = any(&EpochResult::test_accuracy);
  bool skipped = any(&EpochResult::skipped_steps);
  // An epoch of a resumed run may lack what later ones have: its field stays empty.
  auto field = [](double value) { return std::isnan(value) ? std::string() : shortest(value); };

  OutputFile file(path);
  std::string header = "epoch,train_loss";
  header += losses ? ",test_loss" : "";
  header += accuracies ? ",test_accuracy" : "";
  header += ",lr";
  header += skipped ? ",skipped_steps" : "";
  file.write(header + "\n");
  for (size_t i = 0; i < history.size(); ++i) {
    std::string line = std::to_string(i + 1) + "," + field(history[i].train_loss);
    if (losses)
      line += "," + field(history[i].test_loss);
    if (accuracies)
      line += "," + field(history[i].test_accuracy);
    line += "," + field(history[i].lr);
    if (skipped)
      line += "," + field(history[i].skipped_steps);
    file.write(line + "\n");
  }
  file.commit();
}

} // namespace mpar
