// Whole programs: layers of their own, a model, a train block.
#include "random/Generate.h"

#include "random/ForwardWriter.h"

namespace mparc::random {

/// A layer from `n` to `m` features, with parameters, sub-layers in a loop, and choices.
static Statement writeLayer(Random &random, Annotator &annotator, OwnLayer &layer) {
  Statement text = makeBlock("layer " + layer.name +
                             "(n: int, m: int, deep: bool = true, times: int = 2, "
                             "scale: float = 0.5, sizes: [int] = [2], act: layer = Tanh())");
  layer.options = {"deep: false",   "times: 1",       "scale: 0.25",
                   "sizes: [1, 3]", "act: Sigmoid()", "act: Sequential([SiLU(), Tanh()])"};
  auto add = [&](std::vector<Statement> &into, const std::string &line, bool inLoop = false) {
    Statement statement(line);
    annotator.annotate(statement, inLoop);
    into.push_back(std::move(statement));
  };
  const bool hidden = random.chance(0.5), shift = random.chance(0.6), norm = random.chance(0.5),
             loops = random.chance(0.6), named = random.chance(0.4);
  if (hidden)
    text.body.emplace_back("k = 2 * m");
  else
    text.body.emplace_back("k = m");
  text.body.emplace_back("param weight: f32[k, n] = kaiming_uniform(fan: n)");
  if (shift)
    text.body.emplace_back("param shift: f32[k] = uniform(-scale, scale)");
  if (norm) {
    Statement choice = makeBlock("if deep");
    add(choice.body, "norm = LayerNorm(k, eps: 0.125)");
    text.body.push_back(std::move(choice));
  }
  if (loops) {
    Statement loop = makeBlock("for i in 0..times");
    add(loop.body, "inner[i] = Linear(k, k, bias: i == 0)", true);
    text.body.push_back(std::move(loop));
  }
  const bool lists = random.chance(0.4);
  if (lists) {
    Statement loop = makeBlock("for i in 0..len(sizes)");
    add(loop.body, "side[i] = Residual(MLP([k, sizes[i], k], activation: act))", true);
    text.body.push_back(std::move(loop));
  }
  add(text.body, "last = Linear(k, m)");
  const bool counts = random.chance(0.3);
  if (counts) {
    text.body.emplace_back("buffer calls: i32[] = constant(3)");
    text.body.emplace_back("buffer decay: f32[k] = uniform(-0.5, 0.5)");
  }

  Statement forward = makeBlock(std::string("forward(x: f32[..., n]) -> ") +
                                (layer.isPair ? "(f32[..., m], f32[..., m])" : "f32[..., m]"));
  add(forward.body, std::string(counts ? "product" : "h") + " = matmul(x, transpose(weight))" +
                        (shift ? " + shift" : "") +
                        (named ? " + 0.25 * mean(x, dim: n, keepdim: true)" : ""));
  if (counts) {
    // Before it is set and after; gradients do not flow through either.
    add(forward.body, "before = decay * 0.5 + cast(calls % 3, f32) * 0.125");
    add(forward.body, "update(decay, 0.5 * decay + 0.125)");
    add(forward.body, "update(calls, calls + 1)");
    add(forward.body, "h = product + before + 0.25 * decay");
  }
  if (loops) {
    Statement loop = makeBlock("for i in 0..times");
    add(loop.body, "h = tanh(inner[i](h)) + h * scale", true);
    annotator.annotate(loop);
    forward.body.push_back(std::move(loop));
  }
  if (lists) {
    Statement loop = makeBlock("for i in 0..len(side)");
    add(loop.body, "h = tanh(side[i](h))", true);
    annotator.annotate(loop);
    forward.body.push_back(std::move(loop));
  }
  if (norm) {
    Statement choice = makeBlock("if deep");
    add(choice.body, "h = norm(h)");
    add(choice.other, "h = relu(h)");
    annotator.annotate(choice);
    forward.body.push_back(std::move(choice));
  }
  if (random.chance(0.4)) {
    Statement group = makeBlock("");
    annotator.annotate(group);
    if (group.isAnnotated()) {
      add(group.body, "a = sigmoid(h)");
      add(group.body, "g = a * h");
      forward.body.push_back(std::move(group));
      add(forward.body, "r = tanh(last(g)) + mean(h, dim: -1, keepdim: true) * 0.25");
    }
  }
  if (forward.body.back().text.rfind("r = ", 0) != 0)
    add(forward.body, "r = sin(last(gelu(h)))");
  if (layer.isPair)
    add(forward.body, "s = sigmoid(last(h * 0.5))");
  forward.body.emplace_back(layer.isPair ? "return r, s" : "return r");
  text.body.push_back(std::move(forward));
  return text;
}

static Statement writeLoss(Random &random, Annotator &annotator) {
  Statement loss = makeBlock("layer OwnLoss(scale: float = 0.25)");
  Statement forward = makeBlock("forward(y: f32[...], t: f32[...]) -> f32[]");
  auto add = [&](const std::string &line) {
    Statement statement(line);
    annotator.annotate(statement);
    forward.body.push_back(std::move(statement));
  };
  add("d = y - t");
  static const std::vector<std::string> terms = {
      "d * d + scale * abs(d)", "where(abs(d) < scale, 0.5 * d * d, abs(d) - scale)",
      "log(exp(d) + exp(-d))", "sqrt(d * d + scale)"};
  add("e = " + random.pick(terms));
  forward.body.emplace_back(random.chance(0.3) ? "return sum(e)" : "return mean(e)");
  loss.body.push_back(std::move(forward));
  return loss;
}

/// Parameters of the model itself, and buffers: of ranks 1 to 4, values without rows.
static void writeParameters(Random &random, ForwardWriter &writer, std::vector<Statement> &body) {
  for (int64_t each = random.below(3); each > 0; --each) {
    Shape shape;
    for (int64_t rank = random.between(1, 4); rank > 0; --rank)
      shape.push_back({random.between(1, 3), false});
    const std::string name = "w" + std::to_string(each);
    static const std::vector<std::string> initializers = {
        "uniform(-0.5, 0.5)", "normal(0.0, 0.5)", "ones()",
        "constant(0.25)",     "zeros()",          "xavier_uniform(fan_in: 3, fan_out: 2)"};
    const bool isBuffer = random.chance(0.3);
    body.emplace_back((isBuffer ? "buffer " : "param ") + name + ": f32" + list(shape) + " = " +
                      random.pick(initializers));
    if (isBuffer)
      writer.addBuffer({name, shape, 1});
    else
      writer.addVariable({name, shape, 1});
  }
}

/// What products may be rounded to: of most programs nothing, of some f16 alone, so that much of
/// the gradient is scaled.
static std::vector<std::string> choosePrecisions(Random &random) {
  static const std::vector<std::vector<std::string>> choices = {
      {}, {}, {}, {"bf16"}, {"f16"}, {"bf16", "f16", "f32"}};
  return random.pick(choices);
}

/// A model that is not trained, so that the train block chooses.
static Statement writeFurtherModel(Random &random) {
  Statement model =
      makeBlock("model Further(width: int = " + std::to_string(random.between(1, 4)) + ")");
  model.body.emplace_back("only = Linear(width, 2)");
  Statement forward = makeBlock("forward(x: f32[batch, width]) -> f32[batch, 2]");
  forward.body.emplace_back("return only(x) |> relu");
  model.body.push_back(std::move(forward));
  return model;
}

/// What reads the rows of a program.
static std::string dataCall(const Program &program, int64_t context) {
  switch (program.source) {
  case DataSource::csv:
    return "csv(\"data.csv\")";
  case DataSource::numpy:
    return std::string("npy(") +
           (program.second ? "inputs: [\"x.npy\", \"z.npy\"]" : "inputs: \"x.npy\"") +
           ", targets: \"y.npy\")";
  case DataSource::text:
    return "text(\"data.txt\", context: " + std::to_string(context) + ")";
  }
  return {};
}

Program generate(uint64_t seed, bool foreign) {
  Random random(seed);
  const int64_t devices = random.between(2, 8);
  static const std::vector<double> densities = {0.1, 0.3, 0.6, 0.9};
  const double recomputed = random.chance(0.5) ? 0 : random.pick(densities) / 3;
  // Drawn apart, so that programs without groups are what they were.
  Random groups(seed + 0x517cc1b727220a95ULL);
  const double grouped = foreign || groups.chance(0.6) ? 0 : groups.chance(0.5) ? 0.3 : 0.7;
  std::vector<std::string> precisions = choosePrecisions(random);
  const double density = random.pick(densities);
  Annotator annotator(random, devices, density, recomputed, std::move(precisions), groups, grouped);
  std::vector<Statement> file;
  if (foreign)
    for (const std::string &declaration : foreignDeclarations())
      file.emplace_back(declaration);
  std::vector<OwnLayer> layers;
  for (int64_t each = random.below(3); each > 0; --each) {
    layers.push_back({"Mix" + std::to_string(each), {}, random.chance(0.4)});
    file.push_back(writeLayer(random, annotator, layers.back()));
  }

  ForwardWriter writer(random, annotator, layers, foreign);
  Statement model = makeBlock("model Net(width: int = " + std::to_string(random.between(2, 5)) +
                              ", deep: bool = " + (random.chance(0.5) ? "true" : "false") + ")");
  Program program;
  Shape input = {{1, true}};
  const bool isText = random.chance(0.1);
  int64_t words = random.chance(0.2) ? random.between(2, 9) : 0;
  if (isText)
    words = 256; // bytes
  for (int64_t rank = isText ? 1 : random.between(1, words ? 2 : 3); rank > 0; --rank)
    input.push_back({random.between(1, 4), false});
  const int64_t context = count(input);
  if (words)
    writer.addWords("x", input, words);
  else
    writer.addVariable({"x", input, 1});
  std::string signature = std::string("x: ") + (words ? "i32" : "f32") + list(input);
  program.words = words;
  program.inputs = context;
  if (!isText && random.chance(0.3)) {
    // A second input, of numbers, integers or truths; a statement makes numbers of these.
    const Shape second = {{1, true}, {random.between(1, 4), false}};
    const std::string element = random.pick(std::vector<std::string>{"f32", "i32", "bool"});
    signature += ", z: " + element + list(second);
    program.second = count(second);
    program.inputs += program.second;
    program.integers = element != "f32" ? program.second : 0;
    program.truths = element == "bool";
    if (program.truths)
      writer.addTruths("z", second);
    else if (program.integers)
      writer.addIntegers("z", second);
    else
      writer.addVariable({"z", second, 1});
  }
  writeParameters(random, writer, model.body);
  const bool hasParameters = !model.body.empty();
  const Variable output = writer.write(random.between(3, 20), 5);
  for (Statement &member : writer.takeMembers())
    model.body.push_back(std::move(member));

  const std::string loss = isText ? "cross_entropy"
                                  : random.pick(std::vector<std::string>{
                                        "mse", "mse", "l1", "bce", "cross_entropy", "OwnLoss"});
  const std::string window = std::to_string(context);
  Statement forward = makeBlock("forward(" + signature + ") -> f32" +
                                (isText ? "[batch, " + window + ", 256]" : list(output.shape)));
  forward.body = writer.takeStatements();
  if (isText) { // the next byte after each
    Statement head("letters = Linear(" + std::to_string(count(output.shape)) + ", " + window +
                   " * 256)");
    annotator.annotate(head);
    model.body.push_back(std::move(head));
    forward.body.emplace_back("return reshape(letters(" + output.name + "), [batch, " + window +
                              ", 256])");
  } else {
    forward.body.emplace_back("return " +
                              (loss == "bce" ? "sigmoid(" + output.name + ")" : output.name));
  }
  model.body.push_back(std::move(forward));
  if (random.chance(0.2))
    annotator.annotate(model);
  file.push_back(std::move(model));
  if (loss == "OwnLoss")
    file.push_back(writeLoss(random, annotator));
  if (random.chance(0.2))
    file.insert(file.end() - random.below(2), writeFurtherModel(random));

  // The larger ones are worked through in parts; the largest, more than there are rows, has
  // microbatches that share memory.
  program.batch = random.chance(0.5) ? 4 : random.chance(0.5) ? 100 : 600;
  if (isText)
    program.source = DataSource::text;
  else if (random.chance(0.25))
    program.source = DataSource::numpy;
  program.imports = random.chance(0.3);
  Statement train = makeBlock("train Net");
  static const std::vector<std::string> optimizers = {
      "adam(lr: 1e-2)",
      "sgd(lr: 0.05, momentum: 0.5)",
      "sgd(lr: 0.1, weight_decay: 0.125)",
      "adamw(lr: 1e-2, amsgrad: true)",
      "sgd(lr: 0.05, momentum: 0.5, nesterov: true)",
      "adagrad(lr: 1e-2)",
      "rmsprop(lr: 1e-3, momentum: 0.5, centered: true)"};
  static const std::vector<std::string> schedules = {
      "cosine(min: 1e-4)", "cosine(steps: 8, warmup: 2)", "linear(steps: 5)",
      "step(every: 2, gamma: 0.5)", "constant(warmup: 3)"};
  for (const std::string &entry :
       {"data = " + dataCall(program, context), "loss = " + loss,
        "optimizer = " + random.pick(optimizers), std::string("epochs = 1"),
        "batch = " + std::to_string(program.batch),
        std::string("seed = ") + std::to_string(seed % 1000)})
    train.body.emplace_back(entry);
  if (random.chance(0.3))
    train.body.emplace_back("lr_schedule = " + random.pick(schedules));
  if (random.chance(0.3))
    train.body.emplace_back(random.chance(0.5) ? "clip_norm = 0.01" : "clip_norm = 1.5");
  if (hasParameters && random.chance(0.5)) // a pattern that matches nothing is an error
    train.body.emplace_back("no_weight_decay = [\"*\"]");
  static const std::vector<std::string> pipelines = {"gpipe", "1f1b", "interleaved", "zero-bubble"};
  if (random.chance(0.4)) {
    // More than there are rows now and then.
    static const std::vector<std::string> counts = {"2", "3", "5", "8", "120"};
    train.body.emplace_back("microbatches = " + random.pick(counts));
    train.body.emplace_back("schedule = \"" + random.pick(pipelines) + "\"");
  }
  file.push_back(std::move(train));
  const bool classes = loss == "cross_entropy";
  program.targets = classes ? 1 : count(output.shape);
  program.classes = classes ? count(output.shape) : 0;
  program.file = std::move(file);
  return program;
}

} // namespace mparc::random
