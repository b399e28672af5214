// Who carries out the turns of a schedule: threads, or the streams of GPUs.
#pragma once

#include "fetch.h"
#include "mpar/device.h"
#include "mpar/errors.h"
#include "mpar/schedule.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mpar {

/// What Workers are to who makes them. Its functions are theirs.
class Workers::Runner {
public:
  virtual ~Runner() = default;
  virtual void run(Work work, void *context, int64_t rows) = 0;
  virtual void run_on_devices(const std::vector<int> &devices,
                              void (*work)(void *context, size_t item), void *context) {
    for (size_t item = 0; item < devices.size(); ++item)
      work(context, item);
  }
  virtual void fetch_first(const std::vector<Fetch> & /*fetches*/) {}
  virtual void do_meanwhile(const std::function<void()> & /*work*/) {}
  virtual void forget_recordings() {}
  virtual void check_streams(const std::vector<Machine *> & /*machines*/,
                             const Schedule & /*schedule*/) {
    fail("a check of streams where no device is a GPU");
  }
  void set_timeout(double seconds, std::function<void(const std::string &)> stalled) {
    timeout_ = seconds;
    stalled_ = std::move(stalled);
  }
  void observe(TurnObserver &observer) { observers_.push_back(&observer); }
  void ignore(TurnObserver &observer) {
    observers_.erase(std::remove(observers_.begin(), observers_.end(), &observer),
                     observers_.end());
  }

protected:
  double timeout_ = default_timeout;
  std::function<void(const std::string &)> stalled_;
  std::vector<TurnObserver *> observers_;
};

std::unique_ptr<Workers::Runner> make_streams(const std::vector<const Device *> &devices,
                                              const Schedule &schedule, bool recorded,
                                              World *world);

} // namespace mpar
