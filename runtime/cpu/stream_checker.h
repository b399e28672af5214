// Holds GPUs' streams to what the schedule claims, by the very calls that order them.
#pragma once

#include "backend.h"
#include "mpar/schedule.h"
#include "stream_order.h"
#include "touches.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace mpar {

/// Follows the steps of a schedule on streams. Vector clocks over the lanes of all GPUs and the
/// calling thread are carried on by what backends are called with: events that are recorded, waits
/// for them, and the host's own. By these, and not by what the schedule says, every turn has to
/// come after all that it waits for; and of any two that touch the same bytes, one of them writing,
/// one after the other: turns by the description's lists, copies by the addresses that they are of.
/// Where devices share a GPU, and what is sent is read where it lies, that is where it is looked
/// for. In every step lanes are delayed at random, and activations that nothing reads any more are
/// filled with poison.
class StreamChecker final : public IssueObserver {
public:
  /// `machines`: of each replica; `schedule`: of one of them, `all`: of all, which must outlive the
  /// checker.
  StreamChecker(std::vector<Machine *> machines, const Schedule &schedule, const Schedule &all);

  /// Before a step's first lane is told to wait.
  void begin_step();
  /// After what a turn waits for, before its work is issued. Fails, naming both turns, where it
  /// does not come after one that it has to.
  void begin(size_t turn, const Queue &queue);
  /// After its work, before its event is recorded.
  void end(size_t turn);
  /// After the host has waited for the end of a step. Fails where that does not come after a turn.
  void end_step();

  void recorded(const Event &event, const Backend &gpu, Lane lane) override;
  void waits(const Event &event, const Backend &gpu, Lane lane) override;
  void is_over(const Event &event) override;
  void is_over(const Backend &gpu) override;
  void copies(const Backend &gpu, Lane lane, void *to, const void *from, int64_t bytes) override;

private:
  /// A lane, or (null) the calling thread.
  using Actor = std::pair<const Backend *, Lane>;
  /// Of each actor, how much of what it was given comes before.
  using Clock = std::map<Actor, int64_t>;
  /// The place of something in an actor's order.
  struct Place {
    Actor actor;
    int64_t number;
  };
  struct Touched {
    Touch touch;
    Place place;
  };
  /// What a device received without a copy: its bytes are those at `from`.
  struct Alias {
    const std::byte *begin, *end, *from;
  };

  static constexpr Actor host() { return {nullptr, Lane::compute}; }
  static void join(Clock &clock, const Clock &other);
  static bool comes_after(const Clock &clock, const Place &place);
  /// The actor is given something more, which comes after what the host knows to be over.
  Place advance(const Actor &actor);
  void touch(const Touch &touch, const Place &place);
  void touch_where_it_lies(const std::vector<Touch> &touches, const Place &place);
  void poison_dying(size_t turn);
  bool is_settled(const std::byte *begin, const std::byte *end, const Clock &clock) const;
  /// Of the devices of all replicas that of the number.
  Device &device_of(size_t number) const;
  std::string describe(size_t turn) const { return describe_turn(all_, all_.turns[turn]); }

  const std::vector<Machine *> machines_;
  const Schedule &schedule_, &all_;
  const Touches touches_;
  const std::vector<std::vector<Dying>> dying_; // by stage of one replica
  std::vector<Backend *> gpus_;
  std::map<Actor, Clock> clocks_;
  std::map<const Event *, Clock> events_;
  std::map<const Backend *, Place> begins_; // what was issued before the step
  std::vector<Place> places_;               // by turn; of the step at hand
  std::vector<std::vector<size_t>> turns_;  // by device of all, those issued in the step
  std::vector<Touched> touched_;
  std::vector<Alias> aliases_;
  bool in_turn_ = false;
  size_t turn_ = 0; // at hand
  std::mt19937 random_;
};

} // namespace mpar
