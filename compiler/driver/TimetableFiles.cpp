// A predicted step as files: a trace for Perfetto, and a drawing.
#include "driver/Timetable.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

namespace mparc {

std::string traceOf(const Timetable &table, llvm::StringRef model) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream out(stream);
  auto nameRow = [&](llvm::StringRef what, int64_t row, llvm::StringRef name) {
    out.object([&] {
      out.attribute("ph", "M");
      out.attribute("name", what);
      out.attribute("pid", 0);
      out.attribute("tid", row);
      out.attributeObject("args", [&] { out.attribute("name", name); });
    });
    stream << "\n";
  };
  out.object([&] {
    out.attributeArray("traceEvents", [&] {
      nameRow("process_name", 0, (model + ", predicted").str());
      for (size_t device = 0; device < table.idle.size(); ++device)
        nameRow("thread_name", static_cast<int64_t>(device), "device " + std::to_string(device));
      for (const Timetable::Turn &turn : table.turns) {
        out.object([&] {
          out.attribute("ph", "X");
          out.attribute("name", turn.name);
          out.attribute("pid", 0);
          out.attribute("tid", turn.device);
          out.attribute("ts", turn.begin);
          out.attribute("dur", turn.end - turn.begin);
          out.attributeObject("args", [&] {
            if (turn.microbatch >= 0)
              out.attribute("microbatch", turn.microbatch);
            if (!turn.place.empty())
              out.attribute("place", turn.place);
            if (turn.kind == Timetable::Kind::transfer || turn.movedBytes > 0)
              out.attribute("bytes", turn.movedBytes);
          });
        });
        stream << "\n";
      }
    });
    out.attribute("displayTimeUnit", "ns");
    out.attributeObject("otherData", [&] {
      out.attribute("step_us", table.time);
      out.attribute("bubble", table.bubble);
      out.attributeArray("idle", [&] {
        for (double idle : table.idle)
          out.value(idle);
      });
      out.attribute("moved_bytes_a_step", table.movedBytes);
    });
  });
  stream << "\n";
  return text;
}

static std::string escaped(llvm::StringRef text) {
  std::string result;
  llvm::raw_string_ostream out(result);
  llvm::printHTMLEscaped(text, out);
  return result;
}

static llvm::StringRef className(Timetable::Kind kind) {
  switch (kind) {
  case Timetable::Kind::forward:
    return "forward";
  case Timetable::Kind::backward:
    return "backward";
  case Timetable::Kind::weights:
    return "weights";
  case Timetable::Kind::transfer:
    return "transfer";
  case Timetable::Kind::update:
    return "update";
  }
  llvm_unreachable("all kinds have names");
}

std::string drawingOf(const Timetable &table, llvm::StringRef model) {
  constexpr double left = 70, width = 900, row = 34, box = 26, top = 64;
  constexpr double room = 9; // that a digit of a microbatch's number takes
  const double height = top + row * static_cast<double>(table.idle.size()) + 40;
  const double scale = table.time > 0 ? width / table.time : 0;
  std::string text;
  llvm::raw_string_ostream out(text);
  out << llvm::formatv("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" "
                       "font-family=\"sans-serif\" font-size=\"12\">\n",
                       left + width + 20, height)
      // The colours of boxes carry dark text on either ground; only what stands on the ground
      // itself changes with it.
      << "<style>\n"
         "  text { fill: #222 }\n"
         "  .ground { fill: #fff }\n"
         "  .row { fill: #eee }\n"
         "  .forward { fill: #7fb2e5 }\n"
         "  .backward { fill: #f0a868 }\n"
         "  .weights { fill: #f3d06a }\n"
         "  .transfer { fill: #9a9a9a }\n"
         "  .update { fill: #86c583 }\n"
         "  rect.box { stroke: #222; stroke-width: 0.4 }\n"
         "  text.number { fill: #111; text-anchor: middle }\n"
         "  @media (prefers-color-scheme: dark) {\n"
         "    text { fill: #ddd }\n"
         "    .ground { fill: #1b1b1b }\n"
         "    .row { fill: #303030 }\n"
         "  }\n"
         "</style>\n"
      << llvm::formatv("<rect class=\"ground\" width=\"{0}\" height=\"{1}\"/>\n", left + width + 20,
                       height)
      << llvm::formatv("<text x=\"10\" y=\"20\">{0}: a step of {1} rows, {2:F1} µs predicted, "
                       "bubble {3:F1} %</text>\n",
                       escaped(model), table.rows, table.time, 100 * table.bubble);
  double legend = 10;
  for (auto kind : {Timetable::Kind::forward, Timetable::Kind::backward, Timetable::Kind::weights,
                    Timetable::Kind::transfer, Timetable::Kind::update}) {
    out << llvm::formatv("<rect class=\"box {0}\" x=\"{1:F1}\" y=\"32\" width=\"14\" "
                         "height=\"14\"/><text x=\"{2:F1}\" y=\"44\">{0}</text>\n",
                         className(kind), legend, legend + 20);
    legend += 100;
  }
  for (size_t device = 0; device < table.idle.size(); ++device) {
    const double y = top + row * static_cast<double>(device);
    out << llvm::formatv("<text x=\"10\" y=\"{0:F1}\">device {1}</text>\n"
                         "<rect class=\"row\" x=\"{2}\" y=\"{3:F1}\" width=\"{4}\" "
                         "height=\"{5}\"/>\n",
                         y + 17, device, left, y, width, box);
  }
  for (const Timetable::Turn &turn : table.turns) {
    const double x = left + turn.begin * scale, wide = (turn.end - turn.begin) * scale;
    const double y = top + row * static_cast<double>(turn.device);
    std::string number = turn.microbatch < 0 ? "" : std::to_string(turn.microbatch);
    out << llvm::formatv("<g><title>{0}{1}{2}, {3:F1} to {4:F1} µs</title>", escaped(turn.name),
                         number.empty() ? "" : " of microbatch " + number,
                         turn.place.empty() ? "" : " (" + escaped(turn.place) + ")", turn.begin,
                         turn.end)
        << llvm::formatv("<rect class=\"box {0}\" x=\"{1:F2}\" y=\"{2:F1}\" width=\"{3:F2}\" "
                         "height=\"{4}\"/>",
                         className(turn.kind), x, y, wide, box);
    if (wide > room * static_cast<double>(number.size()) && !number.empty())
      out << llvm::formatv("<text class=\"number\" x=\"{0:F2}\" y=\"{1:F1}\">{2}</text>",
                           x + wide / 2, y + 17, number);
    out << "</g>\n";
  }
  const double bottom = top + row * static_cast<double>(table.idle.size()) + 14;
  for (int tick = 0; tick <= 4; ++tick)
    out << llvm::formatv("<text x=\"{0:F1}\" y=\"{1:F1}\" text-anchor=\"{2}\">{3:F1} µs</text>\n",
                         left + width * tick / 4, bottom,
                         tick == 0   ? "start"
                         : tick == 4 ? "end"
                                     : "middle",
                         table.time * tick / 4);
  out << "</svg>\n";
  return text;
}

} // namespace mparc
