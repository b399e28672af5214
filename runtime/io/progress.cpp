#include "mpar/progress.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

namespace mpar {

namespace {

int terminal_width() {
  winsize size{};
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

std::string duration(double seconds) {
  int64_t whole = static_cast<int64_t>(std::min(seconds, 3.5e8));
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(whole / 3600),
                  static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
  else
    std::snprintf(text, sizeof text, "%d:%02d", static_cast<int>(whole / 60),
                  static_cast<int>(whole % 60));
  return text;
}

} // namespace

Progress::Progress(bool wanted) : enabled_(wanted && isatty(STDOUT_FILENO)) {}

void Progress::update(int64_t epoch, int64_t epochs, int64_t batch, int64_t batches, float loss) {
  if (!enabled_)
    return;
  auto now = std::chrono::steady_clock::now();
  if (epoch != epoch_) {
    epoch_ = epoch;
    epoch_start_ = now;
    first_batch_ = batch;
  }
  if (now - last_ < std::chrono::milliseconds(100))
    return;
  last_ = now;

  double spent = std::chrono::duration<double>(now - epoch_start_).count();
  int64_t done = batch - first_batch_;
  std::string left =
      done > 0
          ? duration(spent * static_cast<double>(batches - batch) / static_cast<double>(done)) +
                " left"
          : "";
  char loss_text[32];
  std::snprintf(loss_text, sizeof loss_text, "%.4g", static_cast<double>(loss));
  std::string head = "Epoch " + std::to_string(epoch) + "/" + std::to_string(epochs) + " ";
  std::string tail = " " + std::to_string(batch) + "/" + std::to_string(batches) + "  loss " +
                     loss_text + "  " + left;
  int room = terminal_width() - 1 - static_cast<int>(head.size() + tail.size());
  std::string bar;
  if (room >= 8) {
    int width = std::min(room, 40) - 2;
    int filled = static_cast<int>(static_cast<double>(width) * static_cast<double>(batch) /
                                  static_cast<double>(batches));
    bar = "[" + std::string(static_cast<size_t>(filled), '#') +
          std::string(static_cast<size_t>(width - filled), '.') + "]";
  }
  std::string line = head + bar + tail;
  line.resize(std::min(line.size(), static_cast<size_t>(std::max(terminal_width() - 1, 1))));
  std::printf("\r%s\033[K", line.c_str());
  std::fflush(stdout);
  drawn_ = true;
}

void Progress::clear() {
  if (!drawn_)
    return;
  std::printf("\r\033[K");
  std::fflush(stdout);
  drawn_ = false;
}

} // namespace mpar
