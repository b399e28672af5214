// What `--devices` says.
#include "mpar/device.h"

#include "mpar/errors.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

namespace mpar {
namespace {

constexpr char forms[] = "`auto`, `cpu`, `cpu:K`, `cuda`, `cuda:K` or `rank:R`";

/// The cores that this process may run on, again and again.
std::vector<int> cores_in_turn(int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> all, cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set))
        all.push_back(core);
  if (all.empty())
    fail("the cores that this process may run on are not known");
  for (int index = 0; index < count; ++index)
    cores.push_back(all[static_cast<size_t>(index) % all.size()]);
  return cores;
}

/// The number after a prefix of `name`; nothing where it has not that prefix.
std::optional<int> number_after(const std::string &name, const std::string &prefix,
                                const char *what) {
  if (name.compare(0, prefix.size(), prefix) != 0)
    return std::nullopt;
  int number = -1;
  const char *const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, number);
  if (error != std::errc() || rest != end || number < 0)
    fail("`" + name + "`: expected a " + what + "'s number after `" + prefix + "`");
  return number;
}

/// One entry: `cpu`, `cpu:K`, `cuda:K`, `rank:R`, `rank:R/cpu:K` or `rank:R/cuda:K`.
struct Entry {
  std::string text;
  int core = DeviceMap::calling_thread;
  int gpu = DeviceMap::no_gpu;
  std::optional<int> rank;
};

/// Refuses a GPU that there is not.
void check_gpu(const std::string &text, int number) {
  std::string why;
  const int count = count_gpus(why);
  if (count == 0)
    fail("`" + text + "`: " + why);
  if (number >= count)
    fail("`" + text + "`: there " +
         (count == 1 ? "is 1 GPU" : "are " + std::to_string(count) + " GPUs") +
         ", numbered from 0");
}

/// The GPUs there are for so many devices, which they take in contiguous blocks; of several
/// processes the one of this process, for all.
std::vector<Entry> gpus_in_blocks(int count, const Process &process) {
  std::string why;
  const int there = count_gpus(why), gpus = std::min(there, count);
  std::vector<Entry> entries(static_cast<size_t>(count));
  for (int index = 0; index < count; ++index)
    entries[index].gpu = process.ranks > 1 ? process.local_rank % std::max(1, there)
                                           : static_cast<int>(int64_t(index) * gpus / count);
  return entries;
}

Entry parse_entry(const std::string &text, int ranks) {
  Entry entry;
  entry.text = text;
  std::string name = text;
  if (text.compare(0, 5, "rank:") == 0) {
    const size_t slash = text.find('/');
    entry.rank = number_after(text.substr(0, slash), "rank:", "rank");
    if (*entry.rank >= ranks)
      fail("`" + text + "`: there " +
           (ranks == 1 ? "is 1 rank" : "are " + std::to_string(ranks) + " ranks") +
           ", numbered from 0");
    if (slash == std::string::npos)
      return entry;
    name = text.substr(slash + 1);
  }
  if (name == "cpu")
    return entry;
  if (const std::optional<int> core = number_after(name, "cpu:", "core")) {
    entry.core = *core;
    return entry;
  }
  if (const std::optional<int> number = number_after(name, "cuda:", "GPU")) {
    entry.gpu = *number;
    return entry;
  }
  if (name == "cuda")
    fail("`" + text + "`: in a list each GPU has a number, as in `cuda:0`");
  fail("`" + text + "`: no such device; expected " + forms);
}

/// Refuses GPUs that this process has not, and what several processes cannot do with them.
void check_gpus(const std::string &devices, const std::vector<Entry> &entries, const DeviceMap &map,
                const Process &process) {
  for (size_t index = 0; index < entries.size(); ++index)
    if (map.gpus[index] != DeviceMap::no_gpu && map.ranks[index] == process.rank)
      check_gpu(entries[index].text.empty() ? devices : entries[index].text, map.gpus[index]);
  if (process.ranks == 1)
    return;
  std::vector<int> gpu_of(static_cast<size_t>(process.ranks), DeviceMap::no_gpu);
  for (size_t index = 0; index < map.gpus.size(); ++index) {
    int &own = gpu_of[map.ranks[index]];
    if (map.gpus[index] == DeviceMap::no_gpu)
      fail("`" + devices + "`: of several ranks either all devices are GPUs or none is");
    if (own != DeviceMap::no_gpu && own != map.gpus[index])
      fail("`" + devices + "`: rank " + std::to_string(map.ranks[index]) +
           " has cuda:" + std::to_string(own) + " and cuda:" + std::to_string(map.gpus[index]) +
           "; of several ranks each has one GPU");
    own = map.gpus[index];
  }
}

} // namespace

bool DeviceMap::has_gpus() const {
  return std::any_of(gpus.begin(), gpus.end(), [](int gpu) { return gpu != no_gpu; });
}

bool DeviceMap::is_plain() const {
  return !has_gpus() &&
         std::all_of(cores.begin(), cores.end(), [](int core) { return core == calling_thread; }) &&
         std::all_of(ranks.begin(), ranks.end(), [](int rank) { return rank == 0; });
}

DeviceMap map_devices(const std::string &devices, int count, const Process &process) {
  const int ranks = process.ranks;
  std::vector<Entry> entries;
  std::string why;
  if (devices == "cuda" || (devices == "auto" && ranks == 1 && count_gpus(why) > 0))
    entries = gpus_in_blocks(count, process);
  std::istringstream list(!entries.empty() ? "" : devices == "auto" ? "cpu" : devices);
  for (std::string text; std::getline(list, text, ',');)
    entries.push_back(parse_entry(text, ranks));
  if (entries.empty() || devices.back() == ',')
    fail("`" + devices + "`: a device is missing; expected " + forms);
  if (entries.size() != 1 && static_cast<int>(entries.size()) != count)
    fail("`" + devices + "`: " + std::to_string(entries.size()) + " devices for a program of " +
         std::to_string(count));
  const auto on_core = [](const Entry &entry) { return entry.core != DeviceMap::calling_thread; };
  const auto has_rank = [](const Entry &entry) { return entry.rank.has_value(); };
  const bool named = std::any_of(entries.begin(), entries.end(), has_rank);
  if (named && !std::all_of(entries.begin(), entries.end(), has_rank))
    fail("`" + devices + "`: either all devices have a rank or none");
  entries.resize(count, entries.front());

  DeviceMap map;
  for (int index = 0; index < count; ++index) {
    map.cores.push_back(entries[index].core);
    map.gpus.push_back(entries[index].gpu);
    map.ranks.push_back(named ? *entries[index].rank
                              : static_cast<int>(int64_t(index) * ranks / count));
  }
  for (const Entry &entry : entries)
    if (map.has_gpus() && on_core(entry))
      fail("`" + devices + "`: beside GPUs a device of a processor is the calling thread's, `cpu`");
  for (int rank = 0; rank < ranks; ++rank) {
    int own = 0, workers = 0;
    for (int index = 0; index < count; ++index)
      if (map.ranks[index] == rank) {
        ++own;
        workers += on_core(entries[index]);
      }
    if (own == 0 && !named && ranks > count)
      fail(std::to_string(ranks) + " ranks for a program of " + std::to_string(count) +
           (count == 1 ? " device" : " devices"));
    if (own == 0)
      fail("`" + devices + "`: rank " + std::to_string(rank) + " has no device");
    if (workers > 0 && workers < own)
      fail("`" + devices + "`: either all devices are `cpu` or all have workers, `cpu:K`");
  }
  if (map.has_gpus())
    check_gpus(devices, entries, map, process);
  return map;
}

std::vector<int> choose_cores(const std::string &devices, int count, bool apart) {
  DeviceMap map = map_devices(devices, count);
  if (map.has_gpus())
    return {};
  if (!map.is_plain())
    return map.cores;
  return apart ? cores_in_turn(count) : std::vector<int>();
}

} // namespace mpar
