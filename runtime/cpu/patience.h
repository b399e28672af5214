// Waiting for what another thread or process is about to do.
#pragma once

#include <chrono>
#include <cstdio>
#include <sched.h>
#include <string>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mpar {

/// Waits for what is about to happen: spins, then yields, then naps. A handoff is a cache line's
/// way from core to core where both sides are busy; a thread that waits for long leaves its core to
/// others.
class Patience {
public:
  /// `spins`: how often it looks before it yields; some 50 microseconds where looking is reading a
  /// cache line.
  explicit Patience(int spins = 4000) : spins_(spins) {}
  void wait() {
    if (count_ < spins_ + yields)
      ++count_;
    if (count_ < spins_)
      return pause();
    if (count_ < spins_ + yields) {
      sched_yield();
      return;
    }
    const timespec nap{0, nap_nanoseconds};
    nanosleep(&nap, nullptr);
  }
  bool spinning() const { return count_ < spins_ + yields; }
  /// Whether it has waited so long. Looks at a clock only between naps.
  bool is_over(double seconds) {
    if (spinning())
      return false;
    const Clock::time_point now = Clock::now();
    if (!napping_) {
      napping_ = true;
      since_ = now;
    }
    return std::chrono::duration<double>(now - since_).count() > seconds;
  }

private:
  static constexpr int yields = 200; // a core shared with others is given to them
  static constexpr long nap_nanoseconds = 20'000;

  static void pause() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  using Clock = std::chrono::steady_clock;
  int spins_;
  int count_ = 0;
  bool napping_ = false;
  Clock::time_point since_;
};

inline std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", seconds);
  return text;
}

} // namespace mpar
