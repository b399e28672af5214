#include "RandomModel.h"

#include "dialect/MpDialect.h"

#include "mlir/Parser/Parser.h"

#include <cstdlib>
#include <random>
#include <vector>

using namespace mlir;

namespace mparc {

namespace {

/// A value of the program being written: a row of `width` features.
struct Row {
  std::string name;
  int width;
};

struct Layer {
  std::string name;
  int in, out, device;
};

class Writer {
public:
  Writer(uint64_t seed, const RandomModelOptions &options) : random(seed), options(options) {}
  std::string write();

private:
  int pick(int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); }
  /// Recent values more often than old ones, as in real models; old ones make long lifetimes.
  const Row &pickRow() {
    size_t back = pick(3) ? 1 + pick(2) : 1 + pick(static_cast<int>(rows.size()));
    return rows[rows.size() - std::min(back, rows.size())];
  }
  std::string place() {
    if (pick(3) == 0)
      device = pick(options.devices);
    return "{mp.device = " + std::to_string(device) + " : i64}";
  }
  static std::string type(int width) {
    return "tensor<?x" + std::to_string(width) + "xf32, #mp.dims<batch, " + std::to_string(width) +
           ">>";
  }
  static std::string vector(int width) {
    return "tensor<" + std::to_string(width) + "xf32, #mp.dims<" + std::to_string(width) + ">>";
  }
  static std::string matrix(int rows, int columns) {
    return "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "xf32, #mp.dims<" +
           std::to_string(rows) + ", " + std::to_string(columns) + ">>";
  }
  std::string define(const std::string &text) {
    std::string name = "%v" + std::to_string(next++);
    body += "    " + name + " = " + text + "\n";
    return name;
  }
  void add(const std::string &text, int width) { rows.push_back({define(text), width}); }

  void linear();
  void unary();
  void binary();
  void concat();
  void slice();
  void centre();

  std::mt19937_64 random;
  RandomModelOptions options;
  std::vector<Row> rows;
  std::vector<Layer> layers;
  std::string parameters, body;
  int next = 0, device = 0;
};

} // namespace

void Writer::linear() {
  Row x = pickRow();
  Layer layer;
  for (const Layer &known : layers)
    if (known.in == x.width && pick(2))
      layer = known;
  if (layer.name.empty()) {
    layer = {"l" + std::to_string(layers.size()), x.width, 1 + pick(options.widest),
             pick(options.devices)};
    layers.push_back(layer);
    parameters += "  mp.parameter @" + layer.name + ".weight : " + matrix(layer.out, layer.in) +
                  " init zeros []\n  mp.parameter @" + layer.name + ".bias : " + vector(layer.out) +
                  " init zeros []\n";
  }
  std::string own = "{mp.device = " + std::to_string(layer.device) + " : i64}";
  // Now and then an operation of a layer is placed by itself.
  std::string elsewhere = pick(6) ? own : place();
  std::string weight =
      define("mp.read @" + layer.name + ".weight " + own + " : " + matrix(layer.out, layer.in));
  std::string bias = define("mp.read @" + layer.name + ".bias " + own + " : " + vector(layer.out));
  std::string product =
      define("mp.matmul " + x.name + ", " + weight + " transpose_b " + elsewhere + " : " +
             type(x.width) + ", " + matrix(layer.out, layer.in) + " -> " + type(layer.out));
  std::string spread = define("mp.broadcast " + bias + " [-1, 0] " + own + " : " +
                              vector(layer.out) + " -> " + type(layer.out));
  std::string y = type(layer.out);
  add("mp.add " + product + ", " + spread + " " + own + " : " + y + ", " + y + " -> " + y,
      layer.out);
  if (pick(2))
    add("mp.relu " + rows.back().name + " " + own + " : " + y + " -> " + y, layer.out);
}

void Writer::unary() {
  static const char *const kinds[] = {"relu", "tanh", "exp", "sin", "gelu", "neg"};
  Row x = pickRow();
  add(std::string("mp.") + kinds[pick(6)] + " " + x.name + " " + place() + " : " + type(x.width) +
          " -> " + type(x.width),
      x.width);
}

void Writer::binary() {
  Row a = pickRow();
  std::vector<Row> fitting;
  for (const Row &row : rows)
    if (row.width == a.width)
      fitting.push_back(row);
  Row b = fitting[pick(static_cast<int>(fitting.size()))];
  std::string t = type(a.width);
  add(std::string(pick(2) ? "mp.add " : "mp.mul ") + a.name + ", " + b.name + " " + place() +
          " : " + t + ", " + t + " -> " + t,
      a.width);
}

void Writer::concat() {
  Row a = pickRow(), b = pickRow();
  int width = a.width + b.width;
  if (width <= 2 * options.widest)
    add("mp.concat " + a.name + ", " + b.name + " dimension 1 " + place() + " : (" + type(a.width) +
            ", " + type(b.width) + ") -> " + type(width),
        width);
}

void Writer::slice() {
  Row x = pickRow();
  int from = pick(x.width), to = from + 1 + pick(x.width - from);
  add("mp.slice " + x.name + " dimension 1 from " + std::to_string(from) + " to " +
          std::to_string(to) + " " + place() + " : " + type(x.width) + " -> " + type(to - from),
      to - from);
}

/// x - mean(x) over all: a value of constant size, read by the rows again.
void Writer::centre() {
  Row x = pickRow();
  std::string t = type(x.width), scalar = "tensor<f32, #mp.dims<>>";
  std::string mean =
      define("mp.reduce mean " + x.name + " [0, 1] " + place() + " : " + t + " -> " + scalar);
  std::string spread =
      define("mp.broadcast " + mean + " [-1, -1] " + place() + " : " + scalar + " -> " + t);
  add("mp.sub " + x.name + ", " + spread + " " + place() + " : " + t + ", " + t + " -> " + t,
      x.width);
}

std::string Writer::write() {
  rows.push_back({"%x", 1 + pick(options.widest)});
  int inputs = rows.front().width;
  linear();
  while (next < 3 * options.operations) {
    switch (pick(8)) {
    case 0:
    case 1:
    case 2:
      linear();
      break;
    case 3:
      unary();
      break;
    case 4:
    case 5:
      binary();
      break;
    case 6:
      pick(2) ? concat() : slice();
      break;
    case 7:
      centre();
      break;
    }
  }
  Row output = rows.back();
  std::string t = type(output.width), of = " {mp.layer = \"loss\"} : ";
  std::string difference =
      define("mp.sub " + output.name + ", %target" + of + t + ", " + t + " -> " + t);
  std::string square =
      define("mp.mul " + difference + ", " + difference + of + t + ", " + t + " -> " + t);
  std::string scalar = "tensor<f32, #mp.dims<>>";
  std::string loss = define("mp.reduce mean " + square + " [0, 1]" + of + t + " -> " + scalar);
  return "mp.model @Random {\n" + parameters +
         "  mp.training optimizer \"adam\" {} loss \"mse\" epochs 1 batch 1 shuffle true seed 0 "
         "classes 0 data {} test_data {}\n"
         "  mp.program @train [\"x\", \"target\"] {\n  ^bb0(%x: " +
         type(inputs) + ", %target: " + t + "):\n" + body + "    mp.return " + loss + " : " +
         scalar + "\n  }\n}\n";
}

std::string makeRandomModel(uint64_t seed, const RandomModelOptions &options) {
  return Writer(seed, options).write();
}

OwningOpRef<ModuleOp> compile(MLIRContext &context, const std::string &text, Phase phase) {
  auto module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return {};
  PassManager passes(&context);
  addPasses(passes, Phase::graph, phase);
  if (failed(passes.run(*module)))
    return {};
  return module;
}

static long fromEnvironment(const char *name, long otherwise) {
  const char *text = std::getenv(name);
  return text ? std::atol(text) : otherwise;
}

int countOfPrograms(int programs) {
  return static_cast<int>(fromEnvironment("MPARC_RANDOM_PROGRAMS", programs));
}

uint64_t firstSeed() { return static_cast<uint64_t>(fromEnvironment("MPARC_RANDOM_SEED", 1)); }

} // namespace mparc
