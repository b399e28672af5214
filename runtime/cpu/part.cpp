// How threads share out the rows of a batch.
#include "mpar/part.h"

#include "fetch.h"
#include "mpar/errors.h"
#include "mpar/model.h"
#include "mpar/resident.h"
#include "multiversion.h"

#include <omp.h>

#include <exception>
#include <vector>
#if defined(__SANITIZE_THREAD__)
#include <thread>
#endif

namespace mpar {
namespace {

/// Multiplications that a further thread must take over to be worth waking: some 20 microseconds.
constexpr int64_t worth_a_thread = int64_t(2) << 20;

MPAR_MULTIVERSION void add_to(int64_t count, const float *more, float *sum) {
  MPAR_INDEPENDENT
  for (int64_t i = 0; i < count; ++i)
    sum[i] += more[i];
}

} // namespace

BatchPart::BatchPart(Model &model, int64_t rows_of_batch)
    : rows(rows_of_batch), batch_rows(rows_of_batch), model_(&model), machine_(&model.machine()) {
  const int64_t work = std::max<int64_t>(1, model.description().row_multiplications);
  const int64_t rows_of_a_thread = (worth_a_thread + work - 1) / work;
  const int64_t worth =
      work >= worth_a_thread ? machine_->threads() : std::max<int64_t>(1, rows / rows_of_a_thread);
  const int threads = static_cast<int>(std::min<int64_t>(machine_->threads(), worth));
  if (rows >= threads && threads <= machine_->sharing_threads())
    sharing_threads_ = threads;
  machine_->use_threads(threads);
  model.tell_gpus();
}

Device &BatchPart::device(int index) const {
  if (microbatch_ >= 0)
    return machine_->slot(index, microbatch_, part_);
  return thread_ < 0 ? machine_->device(index) : machine_->share(thread_, index);
}

const Schedule &BatchPart::schedule() const { return model_->description().schedule; }

int BatchPart::microbatches() const { return schedule().microbatches; }

void BatchPart::run_turns(Workers::Work work, void *context) const {
  if (model_->has_gpus())
    model_->workers()->fetch_first(model_->take_fetches());
  model_->workers()->run(work, context, batch_rows);
}

int64_t BatchPart::most_rows(int64_t part_rows) const {
  if (model_->has_gpus())
    return std::max<int64_t>(1, batch_rows); // no cache is to be kept, but many threads
  if (thread_ < 0)
    return part_rows * machine_->device(0).threads();
  return std::min(part_rows, machine_->rows_of_a_share());
}

void BatchPart::enter(int thread) {
  thread_ = thread;
  for (int index = 0; thread >= 0 && index < machine_->count(); ++index)
    machine_->share(thread, index).take_rows();
}

void BatchPart::enter_share(int thread) {
  thread_ = thread;
  for (int index = 0; index < machine_->count(); ++index)
    machine_->share(thread, index).take_share(thread, sharing_threads_);
  if (apart_)
    add_share_of_gradients();
}

void BatchPart::add_share_of_gradients() const {
  for (int index = 0; index < machine_->count(); ++index) {
    const Device &device = machine_->share(thread_, index);
    const int64_t trained = device.description().trained_floats;
    const int64_t undecayed = device.description().undecayed_floats;
    // The two groups that an optimiser updates, each shared out by itself.
    const Range decayed = device.share_of(trained - undecayed);
    Range rest = device.share_of(undecayed);
    rest.begin += trained - undecayed;
    rest.end += trained - undecayed;
    float *const sum = machine_->device(index).gradients();
    for (const Range &range : {decayed, rest})
      for (int other = 1; other < sharing_threads_; ++other)
        add_to(range.end - range.begin, machine_->share(other, index).own_gradients() + range.begin,
               sum + range.begin);
  }
}

void BatchPart::add_gradients() {
  for_each_share(*this, [](BatchPart &) {});
}

// Where there are several processes, a batch has rows of those ports alone that this one reads, and
// GPUs may have them already.
static const void *find_port(const BatchPart &part, const Batch &batch, size_t port,
                             const void *values, int64_t row_bytes) {
  Model &model = part.model();
  if (!values && !model.world() && !(batch.resident && batch.resident->has(port)))
    fail("a batch has no rows of `" + model.port(port).name + "`: its pointer is null");
  if (model.has_gpus())
    return model.stage_rows(part, batch, port, row_bytes);
  return static_cast<const std::byte *>(values) + part.first_row * row_bytes;
}

const void *find_input(const BatchPart &part, const Batch &batch, size_t input, int64_t row_bytes) {
  return find_port(part, batch, input, batch.inputs[input], row_bytes);
}

const void *find_target(const BatchPart &part, const Batch &batch, int64_t row_bytes) {
  return find_port(part, batch, batch.inputs.size(), batch.target, row_bytes);
}

void run_on_threads(int threads, void (*work)(void *context, int thread), void *context) {
  std::vector<std::exception_ptr> thrown(threads);
  const auto run = [&](int thread) {
    try {
      work(context, thread);
    } catch (...) {
      thrown[thread] = std::current_exception();
    }
  };
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer does not see how OpenMP's threads wait for one another; these it does.
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread)
    others.emplace_back([&run, thread] {
      flush_denormals();
      run(thread);
    });
  run(0);
  for (std::thread &other : others)
    other.join();
#else
  // OpenMP may grant fewer threads than were asked for; all shares are worked on nevertheless.
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; ++thread)
    run(thread);
#endif
  for (const std::exception_ptr &exception : thrown)
    if (exception)
      std::rethrow_exception(exception);
}

} // namespace mpar
