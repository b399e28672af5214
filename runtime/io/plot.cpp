// The plot of a run's losses: one SVG, its numbers placed by hand.
#include "mpar/csv.h"
#include "mpar/file.h"
#include "mpar/history.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace mpar {

namespace {

constexpr double width = 720, height = 420;
constexpr double left = 76, right = 24, top = 48, bottom = 56;
constexpr char train_color[] = "#1f6fb4";
constexpr char test_color[] = "#d1603d";

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string label(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

// A tick's number with as many decimals as its neighbours: 2.0 beside 2.2.
std::string tick_label(double value, double step) {
  int decimals = static_cast<int>(std::max(0.0, std::ceil(-std::log10(step) - 1e-9)));
  if (decimals > 5 || std::fabs(value) >= 1e6)
    return label(value);
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string escape(const std::string &text) {
  std::string result;
  for (char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '&')
      result += "&amp;";
    else
      result += c;
  }
  return result;
}

// The step between ticks: 1, 2 or 5 times a power of ten, so that about `wanted` fit.
double tick_step(double extent, double wanted, double least) {
  double rough = extent / wanted;
  double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (double factor : {1.0, 2.0, 5.0, 10.0})
    if (factor * power >= rough)
      return std::max(factor * power, least);
  return std::max(rough, least);
}

// An axis: which values lie between its ends, and which of them carry a tick.
struct Axis {
  double low, high;
  double from, to; // pixels of the two ends
  std::vector<double> ticks;

  double at(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

Axis loss_axis(double low, double high) {
  // A flat curve still needs an axis of some extent.
  if (high - low < 1e-12 * std::max(std::fabs(high), 1e-300)) {
    double margin = high == 0 ? 1 : std::fabs(high) * 0.1;
    low -= margin;
    high += margin;
  }
  // Losses near zero are read against zero.
  if (low > 0 && low < 0.4 * high)
    low = 0;
  double step = tick_step(high - low, 6, 0);
  Axis axis{std::floor(low / step) * step, std::ceil(high / step) * step, height - bottom, top, {}};
  int count = static_cast<int>(std::lround((axis.high - axis.low) / step));
  for (int i = 0; i <= count; ++i) {
    double tick = axis.low + i * step;
    axis.ticks.push_back(std::fabs(tick) < step * 1e-9 ? 0 : tick);
  }
  return axis;
}

Axis epoch_axis(size_t epochs) {
  double last = static_cast<double>(epochs);
  if (epochs < 2)
    return {0, 2, left, width - right, {1}};
  Axis axis{1, last, left, width - right, {}};
  double step = std::ceil(tick_step(last - 1, 8, 1));
  if (step == 1)
    axis.ticks.push_back(1);
  for (double tick = std::max(step, 2.0); tick <= last; tick += step)
    axis.ticks.push_back(tick);
  return axis;
}

// One curve, a gap where nothing was computed, and points where there are few enough to tell apart.
std::string curve(const std::vector<EpochResult> &history, double EpochResult::*member,
                  const Axis &x, const Axis &y, const char *color) {
  std::string path, points;
  bool pen_down = false;
  for (size_t i = 0; i < history.size(); ++i) {
    double value = history[i].*member;
    if (!std::isfinite(value)) {
      pen_down = false;
      continue;
    }
    std::string px = number(x.at(static_cast<double>(i + 1))), py = number(y.at(value));
    path += pen_down ? "L" : "M";
    path.append(px).append(" ").append(py).append(" ");
    pen_down = true;
    if (history.size() <= 40)
      points.append("  <circle cx=\"")
          .append(px)
          .append("\" cy=\"")
          .append(py)
          .append("\" r=\"3\" fill=\"")
          .append(color)
          .append("\"/>\n");
  }
  return "  <path d=\"" + path + "\" fill=\"none\" stroke=\"" + color +
         "\" stroke-width=\"2\" stroke-linejoin=\"round\"/>\n" + points;
}

std::string text(double x, double y, const char *anchor, const std::string &attributes,
                 const std::string &content) {
  return "  <text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" " +
         attributes + ">" + escape(content) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const std::string &attributes) {
  return "  <line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
         "\" y2=\"" + number(y2) + "\" " + attributes + "/>\n";
}

std::string legend(bool test) {
  std::string result;
  double x = width - right - (test ? 152 : 72), y = top - 18;
  auto entry = [&](const char *color, const char *name) {
    result +=
        line(x, y - 4, x + 20, y - 4, std::string("stroke=\"") + color + "\" stroke-width=\"2\"");
    result += text(x + 26, y, "start", "fill=\"#333\"", name);
    x += 80;
  };
  entry(train_color, "train");
  if (test)
    entry(test_color, "test");
  return result;
}

} // namespace

void write_plot(const std::string &path, const std::string &title,
                const std::vector<EpochResult> &history) {
  double low = 0, high = 0;
  bool any = false, test = false;
  for (const EpochResult &result : history)
    for (double value : {result.train_loss, result.test_loss})
      if (std::isfinite(value)) {
        low = any ? std::min(low, value) : value;
        high = any ? std::max(high, value) : value;
        any = true;
      }
  for (const EpochResult &result : history)
    test |= std::isfinite(result.test_loss);

  Axis x = epoch_axis(history.size());
  Axis y = loss_axis(low, high);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + label(width) +
                    " " + label(height) + "\" width=\"" + label(width) + "\" height=\"" +
                    label(height) +
                    "\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\">\n"
                    "  <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (double tick : y.ticks) {
    svg += line(left, y.at(tick), width - right, y.at(tick), "stroke=\"#e4e4e4\"");
    svg += text(left - 9, y.at(tick) + 4.5, "end", "fill=\"#555\"",
                tick_label(tick, y.ticks[1] - y.ticks[0]));
  }
  for (double tick : x.ticks) {
    svg += line(x.at(tick), height - bottom, x.at(tick), height - bottom + 5, "stroke=\"#777\"");
    svg += text(x.at(tick), height - bottom + 21, "middle", "fill=\"#555\"", label(tick));
  }
  svg += line(left, height - bottom, width - right, height - bottom, "stroke=\"#777\"");
  svg += line(left, top, left, height - bottom, "stroke=\"#777\"");
  svg += text((left + width - right) / 2, height - 12, "middle", "fill=\"#333\"", "epoch");
  svg += text(0, 0, "middle",
              "fill=\"#333\" transform=\"translate(20 " + number((top + height - bottom) / 2) +
                  ") rotate(-90)\"",
              "loss");
  svg +=
      text(left, top - 18, "start", "fill=\"#222\" font-size=\"15\" font-weight=\"bold\"", title);
  svg += curve(history, &EpochResult::train_loss, x, y, train_color);
  if (test)
    svg += curve(history, &EpochResult::test_loss, x, y, test_color);
  svg += legend(test) + "</svg>\n";

  OutputFile file(path);
  file.write(svg);
  file.commit();
}

} // namespace mpar
