#include "ranks.h"

#include "mpar/errors.h"
#include "mpar/file.h"

#include <csignal>
#include <cstdio>
#include <unistd.h>
#include <vector>

namespace mpar {
namespace {

constexpr char between = '\0';

/// A number for the bytes of the program that runs.
std::string program_number() {
  const MappedFile program("/proc/self/exe");
  uint64_t value = 1469598103934665603u; // FNV-1a
  for (int64_t i = 0; i < program.size(); ++i)
    value = (value ^ static_cast<uint64_t>(program.bytes()[i])) * 1099511628211u;
  return std::to_string(value);
}

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> parts{""};
  for (const char c : text)
    if (c == between)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

/// Where two command lines first differ: "`--epochs 3`, rank 0 with `--epochs 2`".
std::string difference(const std::vector<std::string> &words,
                       const std::vector<std::string> &lead) {
  size_t at = 0;
  while (at < words.size() && at < lead.size() && words[at] == lead[at])
    ++at;
  auto around = [at](const std::vector<std::string> &all) {
    std::string text = at > 2 && all[at - 1].compare(0, 2, "--") == 0 ? all[at - 1] + " " : "";
    return at < all.size() ? "`" + text + all[at] + "`" : "nothing more";
  };
  return around(words) + ", rank 0 with " + around(lead);
}

/// What a signal's handler writes, which may call next to nothing.
std::string last_words;

void end_with_last_words(int) {
  if (write(STDERR_FILENO, last_words.data(), last_words.size()) < 0)
    _exit(2);
  _exit(1);
}

} // namespace

void say_when_ended(const World &world) {
  last_words = "error: rank " + std::to_string(world.rank()) +
               ": ended by its launcher, as another rank has ended\n";
  struct sigaction action{};
  action.sa_handler = end_with_last_words;
  sigaction(SIGTERM, &action, nullptr);
}

void end_without_last_words() { std::signal(SIGTERM, SIG_IGN); }

void agree(World &world, const std::string &wrong, int argc, char **argv) {
  std::string own = wrong + between + program_number();
  for (int i = 1; i < argc; ++i)
    own += between + std::string(argv[i]);
  const std::vector<std::string> all = world.gather(own);
  // The rank that speaks, and what, where it is not about its own words.
  int speaker = -1;
  std::string message;
  for (size_t rank = 0; rank < all.size() && speaker < 0; ++rank) {
    const std::vector<std::string> words = split(all[rank]), lead = split(all[0]);
    if (!words[0].empty())
      speaker = static_cast<int>(rank);
    else if (words[1] != lead[1])
      message = "rank " + std::to_string(rank) +
                " is another program than rank 0; all must be the same file";
    else if (words != lead)
      message = "rank " + std::to_string(rank) + " was started with " + difference(words, lead);
    if (!message.empty())
      speaker = 0;
  }
  world.broadcast(0, &speaker, sizeof speaker);
  if (speaker < 0)
    return;
  if (speaker != world.rank())
    throw Stopped();
  if (!message.empty())
    fail(message);
  throw WrongUse(wrong);
}

void let_speak(World &world) {
  world.set_speaker([rank = world.rank()](const std::string &message) {
    end_without_last_words();
    std::fprintf(stderr, "error: rank %d: %s\n", rank, message.c_str());
  });
}

void say(World *world, const std::string &message) {
  if (!world) {
    std::fprintf(stderr, "error: %s\n", message.c_str());
    return;
  }
  world->say(message);
  world->stop_others();
}

} // namespace mpar
