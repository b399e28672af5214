// Groups of devices, and what they cut.
#include "random/ForwardWriter.h"

#include <algorithm>
#include <numeric>

namespace mparc::random {

void Annotator::group(Statement &statement, const std::vector<Cuttable> &names) {
  std::vector<int64_t> numbers(static_cast<size_t>(devices_));
  std::iota(numbers.begin(), numbers.end(), 0);
  int64_t count = std::min<int64_t>(devices_, groups_.between(2, 4));
  statement.device.clear();
  for (int64_t each = 0; each < count; ++each) {
    const int64_t at = groups_.below(static_cast<int64_t>(numbers.size()));
    statement.device += (each ? ", " : "") + std::to_string(numbers[at]);
    numbers.erase(numbers.begin() + at);
  }
  auto cuttable = [&](int64_t pieces) {
    std::vector<std::string> found;
    for (const Cuttable &each : names)
      if (each.size == 0 || each.size >= pieces)
        found.push_back(each.name);
    return found;
  };
  if (std::vector<std::string> found = cuttable(2);
      count == 4 && found.size() > 1 && groups_.chance(0.5)) {
    const std::string first = groups_.pick(found);
    found.erase(std::find(found.begin(), found.end(), first));
    statement.split = first + ": 2, " + groups_.pick(found) + ": 2";
  } else if (found = cuttable(count); !found.empty() && groups_.chance(0.85)) {
    statement.split = groups_.pick(found);
  }
}

} // namespace mparc::random
