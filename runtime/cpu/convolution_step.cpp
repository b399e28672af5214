// Steps of convolutions by oneDNN. One step's tensors, in the layout that oneDNN's fastest kernels
// ask for, stay in the second cache: tensors lie in memory as everywhere else, and what a step
// needs of them is laid out anew where its kernel wants it.
#include "convolution_step.h"

#include "multiversion.h"
#include "scratch.h"

#include <algorithm>
#include <map>

namespace mpar::convolution_steps {

using dnnl::memory;

namespace {

const dnnl::engine &processor() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream &stream() {
  thread_local dnnl::stream stream(processor());
  return stream;
}

/// Primitives are given what to work in, rather than allocating it.
dnnl::primitive_attr without_allocation() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

/// Floats of 64 bytes each that a tensor of this layout fills.
int64_t floats_of(const memory::desc &layout) {
  return (static_cast<int64_t>(layout.get_size()) + 63) / 64 * 16;
}

void execute(const dnnl::primitive &primitive, std::initializer_list<dnnl_exec_arg_t> arguments) {
  dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive.get(), stream().get(),
                                                 static_cast<int>(arguments.size()),
                                                 arguments.begin()),
                          "a step could not be executed");
}

} // namespace

/// One tensor of a step: as it lies in memory, and in the layout that the step asks for.
class Operand {
public:
  Operand(int argument, const memory::desc &plain, const memory::desc &wanted, bool is_read)
      : argument_(argument), moves_(plain != wanted), count_(floats_of(wanted)),
        outside_(plain, processor(), nullptr), inside_(wanted, processor(), nullptr) {
    if (!moves_)
      return;
    const memory &from = is_read ? outside_ : inside_, &to = is_read ? inside_ : outside_;
    const dnnl::reorder::primitive_desc description(from, to, without_allocation());
    reorder_ = dnnl::reorder(description);
    work_floats_ = floats_of(description.scratchpad_desc());
  }

  /// Floats in the layout that the step asks for.
  int64_t count() const { return count_; }
  int64_t work_floats() const { return work_floats_; }
  bool moves() const { return moves_; }

  void set_outside(const float *data) { outside_.set_data_handle(const_cast<float *>(data)); }
  void set_inside(float *data) { inside_.set_data_handle(data); }
  void move_in(const memory &work) { move(outside_, inside_, work); }
  void move_out(const memory &work) { move(inside_, outside_, work); }
  dnnl_exec_arg_t argument() const { return {argument_, (moves_ ? inside_ : outside_).get()}; }

private:
  void move(const memory &from, const memory &to, const memory &work) {
    if (moves_)
      execute(reorder_, {{DNNL_ARG_FROM, from.get()},
                         {DNNL_ARG_TO, to.get()},
                         {DNNL_ARG_SCRATCHPAD, work.get()}});
  }

  int argument_;
  bool moves_;
  int64_t count_;
  int64_t work_floats_ = 0;
  memory outside_, inside_;
  dnnl::reorder reorder_;
};

MPAR_MULTIVERSION void add(int64_t count, const float *from, float *to) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    to[i] += from[i];
}

int64_t work_of(const Convolution &convolution) {
  return convolution.out * (convolution.in / convolution.groups) * convolution.kernel.count() *
         convolution.positions().count();
}

int64_t rows_of_a_step(const Convolution &convolution) {
  constexpr int64_t most = 16, most_floats = 1 << 15, most_work = 1 << 20;
  const int64_t row_floats = convolution.in * convolution.extents.count() +
                             convolution.out * convolution.positions().count();
  int64_t rows = 1;
  while (2 * rows <= most && 2 * rows * row_floats <= most_floats &&
         2 * rows * work_of(convolution) <= most_work)
    rows *= 2;
  return rows;
}

namespace {

memory::dims dims_of(std::initializer_list<int64_t> first, const Shape &spatial) {
  memory::dims dims(first);
  dims.insert(dims.end(), spatial.at, spatial.at + spatial.rank);
  return dims;
}

int64_t product(const memory::dims &dims) {
  int64_t elements = 1;
  for (int64_t size : dims)
    elements *= size;
  return elements;
}

/// Contiguous, the last dimension fastest.
memory::desc plain_layout(const memory::dims &dims) {
  memory::dims strides(dims.size(), 1);
  for (size_t i = dims.size() - 1; i > 0; --i)
    strides[i - 1] = strides[i] * dims[i];
  return {dims, memory::data_type::f32, strides};
}

memory::desc any_layout(const memory::dims &dims) {
  return {dims, memory::data_type::f32, memory::format_tag::any};
}

} // namespace

Step::~Step() = default;

template <typename Description> void Step::set(const Description &description) {
  work_floats_ = floats_of(description.scratchpad_desc());
  work_ = std::make_unique<memory>(description.scratchpad_desc(), processor(), nullptr);
}

void Step::set_up(const std::array<int, 3> &arguments, const Descriptions &plain,
                  const Descriptions &wanted) {
  a_ = std::make_unique<Operand>(arguments[0], plain[0], wanted[0], true);
  b_ = std::make_unique<Operand>(arguments[1], plain[1], wanted[1], true);
  c_ = std::make_unique<Operand>(arguments[2], plain[2], wanted[2], false);
  for (const auto *operand : {&a_, &b_, &c_})
    work_floats_ = std::max(work_floats_, (*operand)->work_floats());
  a_step_ = product(plain[0].dims());
  b_step_ = product(plain[1].dims());
  c_step_ = product(plain[2].dims());
}

Step::Step(Direction direction, const Convolution &convolution)
    : rows_(rows_of_a_step(convolution)) {
  const memory::dims x = dims_of({rows_, convolution.in}, convolution.extents);
  const memory::dims y = dims_of({rows_, convolution.out}, convolution.positions());
  const int64_t groups = convolution.groups;
  const memory::dims weight =
      groups == 1 ? dims_of({convolution.out, convolution.in}, convolution.kernel)
                  : dims_of({groups, convolution.out / groups, convolution.in / groups},
                            convolution.kernel);
  const memory::dims stride = dims_of({}, convolution.stride);
  const memory::dims padding = dims_of({}, convolution.padding);
  memory::dims dilation = dims_of({}, convolution.dilation);
  for (int64_t &each : dilation)
    --each; // oneDNN counts the elements between
  const memory::desc plain_x = plain_layout(x), plain_y = plain_layout(y),
                     plain_weight = plain_layout(weight);
  const auto direct = dnnl::algorithm::convolution_direct;
  const dnnl::primitive_attr attributes = without_allocation();
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, direct, any_layout(x), any_layout(weight), any_layout(y),
       stride, dilation, padding, padding},
      attributes, processor());
  switch (direction) {
  case Direction::forward:
    primitive_ = dnnl::convolution_forward(forward);
    set(forward);
    set_up({DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}, {plain_x, plain_weight, plain_y},
           {forward.src_desc(), forward.weights_desc(), forward.dst_desc()});
    return;
  case Direction::input_gradient: {
    const dnnl::convolution_backward_data::primitive_desc description(
        {direct, any_layout(x), any_layout(weight), any_layout(y), stride, dilation, padding,
         padding},
        attributes, processor(), forward);
    primitive_ = dnnl::convolution_backward_data(description);
    set(description);
    set_up({DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC},
           {plain_y, plain_weight, plain_x},
           {description.diff_dst_desc(), description.weights_desc(), description.diff_src_desc()});
    return;
  }
  case Direction::weight_gradient: {
    const dnnl::convolution_backward_weights::primitive_desc description(
        {direct, any_layout(x), any_layout(weight), any_layout(y), stride, dilation, padding,
         padding},
        attributes, processor(), forward);
    primitive_ = dnnl::convolution_backward_weights(description);
    set(description);
    set_up({DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS},
           {plain_x, plain_y, plain_weight},
           {description.src_desc(), description.diff_dst_desc(), description.diff_weights_desc()});
    return;
  }
  }
}

float *Step::lend(int64_t further) {
  float *at =
      scratch(work_floats_ + a_->count() + b_->count() + c_->count() + further, "a convolution");
  work_->set_data_handle(at);
  at += work_floats_;
  for (const auto *operand : {&a_, &b_, &c_}) {
    (*operand)->set_inside(at);
    at += (*operand)->count();
  }
  return at;
}

void Step::compute() {
  execute(primitive_,
          {a_->argument(), b_->argument(), c_->argument(), {DNNL_ARG_SCRATCHPAD, work_->get()}});
}

const float *Step::pad(int64_t rows, const float *from, int64_t step, float *padded) const {
  if (rows >= rows_)
    return from;
  std::copy_n(from, step / rows_ * rows, padded);
  std::fill_n(padded + step / rows_ * rows, step / rows_ * (rows_ - rows), 0.0f);
  return padded;
}

void Step::run(int64_t rows, const float *a, const float *b, float *c) {
  float *const padded_a = lend(a_step_ + c_step_), *const padded_c = padded_a + a_step_;
  b_->set_outside(b);
  b_->move_in(*work_);
  for (; rows > 0; rows -= rows_, a += a_step_, c += c_step_) {
    a_->set_outside(pad(rows, a, a_step_, padded_a));
    a_->move_in(*work_);
    c_->set_outside(rows < rows_ ? padded_c : c);
    compute();
    c_->move_out(*work_);
    if (rows < rows_)
      std::copy_n(padded_c, c_step_ / rows_ * rows, c);
  }
}

const float *Step::sum(int64_t rows, const float *a, const float *b) {
  const int64_t count = c_->count();
  float *const total = lend(2 * count + a_step_ + b_step_), *const plain = total + count;
  float *const padded_a = plain + count, *const padded_b = padded_a + a_step_;
  float *const one = total - count; // where the sum of one step is laid out
  for (int64_t step = 0; step * rows_ < rows; ++step) {
    const int64_t left = rows - step * rows_;
    a_->set_outside(pad(left, a + step * a_step_, a_step_, padded_a));
    a_->move_in(*work_);
    b_->set_outside(pad(left, b + step * b_step_, b_step_, padded_b));
    b_->move_in(*work_);
    float *const here = step == 0 ? total : one;
    if (step < 2 && c_->moves())
      c_->set_inside(here);
    else if (step < 2)
      c_->set_outside(here);
    compute();
    if (step > 0)
      add(count, one, total);
  }
  if (!c_->moves())
    return total;
  c_->set_inside(total);
  c_->set_outside(plain);
  c_->move_out(*work_);
  return plain;
}

namespace {

using Sizes = std::array<int64_t, 20>;

Sizes sizes_of(Direction direction, const Convolution &convolution) {
  Sizes sizes{static_cast<int64_t>(direction), convolution.in, convolution.out, convolution.groups,
              convolution.extents.rank};
  int next = 5;
  for (const Shape *shape : {&convolution.extents, &convolution.kernel, &convolution.stride,
                             &convolution.padding, &convolution.dilation})
    for (int i = 0; i < shape->rank; ++i)
      sizes[next++] = (*shape)[i];
  return sizes;
}

} // namespace

Step &find_step(Direction direction, const Convolution &convolution) {
  thread_local std::map<Sizes, std::unique_ptr<Step>> steps;
  std::unique_ptr<Step> &step = steps[sizes_of(direction, convolution)];
  if (!step)
    step = std::make_unique<Step>(direction, convolution);
  return *step;
}

} // namespace mpar::convolution_steps
