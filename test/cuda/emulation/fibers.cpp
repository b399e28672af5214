// A grid's blocks, one after another, and a block's threads, as fibers.
//
// A thread runs until it waits for others. Which runs first is drawn for each block, so that what
// is read without waiting for who writes it shows.
#undef _FORTIFY_SOURCE // its longjmp refuses to change stacks
#include "emulation.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulation {

namespace {

constexpr size_t stack_bytes = size_t(256) << 10;
constexpr size_t shared_capacity = size_t(227) << 10;

enum class State { ready, at_barrier, at_exchange, done };

struct Fiber {
  ucontext_t context;
  jmp_buf jump;
  bool started = false;
  State state = State::done;
  uint3 thread{};
};

struct Warp {
  uint64_t values[2][32];
  unsigned arrived = 0;
  unsigned present = 0; // lanes that have not ended
  unsigned rounds = 0;
};

std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Warp> warps;
alignas(256) unsigned char shared_memory[shared_capacity];
size_t shared_bytes_now;
const std::function<void()> *thread_body;
size_t current;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Sanitizers follow changes of context, and not jumps.
ucontext_t scheduler;
void leave(Fiber &fiber) { swapcontext(&fiber.context, &scheduler); }
void enter(Fiber &fiber) {
  fiber.started = true;
  swapcontext(&scheduler, &fiber.context);
}
#else
jmp_buf scheduler;
__attribute__((noinline)) void leave(Fiber &fiber) {
  if (_setjmp(fiber.jump) == 0)
    _longjmp(scheduler, 1);
}
__attribute__((noinline)) void enter(Fiber &fiber) {
  if (_setjmp(scheduler) != 0)
    return;
  if (fiber.started)
    _longjmp(fiber.jump, 1);
  fiber.started = true;
  setcontext(&fiber.context);
}
#endif

void end_thread() {
  Fiber &fiber = *fibers[current];
  fiber.state = State::done;
  warps[current / 32].present &= ~(1u << (current % 32));
  leave(fiber);
}

void run_fiber() {
  while (true) {
    (*thread_body)();
    end_thread();
  }
}

void make_fibers(size_t count) {
  while (fibers.size() < count) {
    auto fiber = std::make_unique<Fiber>();
    void *stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
      give_up("no memory for the stack of a thread");
    // A page that faults, below.
    mprotect(stack, 4096, PROT_NONE);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = stack;
    fiber->context.uc_stack.ss_size = stack_bytes;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, run_fiber, 0);
    fibers.push_back(std::move(fiber));
  }
}

/// Lets those go on that wait for the block, where all that have not ended do.
bool open_barrier(size_t count) {
  size_t waiting = 0, alive = 0;
  for (size_t i = 0; i < count; ++i) {
    waiting += fibers[i]->state == State::at_barrier;
    alive += fibers[i]->state != State::done;
  }
  if (waiting == 0 || waiting < alive)
    return false;
  for (size_t i = 0; i < count; ++i)
    if (fibers[i]->state == State::at_barrier)
      fibers[i]->state = State::ready;
  return true;
}

void run_block(size_t count, size_t shared_bytes) {
  // What a block finds in shared memory is nothing it can use: NaN.
  std::memset(shared_memory, 0xff, shared_bytes);
  shared_bytes_now = shared_bytes;
  warps.assign((count + 31) / 32, Warp{});
  for (size_t i = 0; i < count; ++i) {
    Fiber &fiber = *fibers[i];
    fiber.state = State::ready;
    const dim3 size = blockDim;
    fiber.thread = {static_cast<unsigned>(i % size.x), static_cast<unsigned>(i / size.x % size.y),
                    static_cast<unsigned>(i / size.x / size.y)};
    warps[i / 32].present |= 1u << (i % 32);
  }
  const uint32_t order = random_numbers()();
  const size_t first = order % count;
  const bool backwards = (order >> 31) != 0;
  while (true) {
    bool ran = false, alive = false;
    for (size_t number = 0; number < count; ++number) {
      const size_t forward = (first + number) % count;
      const size_t i = backwards ? count - 1 - forward : forward;
      alive |= fibers[i]->state != State::done;
      if (fibers[i]->state != State::ready)
        continue;
      ran = true;
      current = i;
      threadIdx = fibers[i]->thread;
      enter(*fibers[i]);
    }
    if (ran || open_barrier(count))
      continue;
    if (!alive)
      return;
    give_up("a block's threads wait for one another for ever: some are at __syncthreads, some at a "
            "shuffle, or some of a warp have ended");
  }
}

} // namespace

void *dynamic_shared_memory() { return shared_memory; }
size_t shared_memory_bytes() { return shared_bytes_now; }
int lane() { return static_cast<int>(current % 32); }

void wait_for_block() {
  const size_t self = current;
  fibers[self]->state = State::at_barrier;
  leave(*fibers[self]);
}

const uint64_t *exchange(unsigned mask, uint64_t value) {
  if (mask != 0xffffffffu)
    give_up("a shuffle among some lanes (mask %#x) is not emulated", mask);
  Fiber &fiber = *fibers[current];
  Warp &warp = warps[current / 32];
  if (warp.present != mask)
    give_up("a shuffle of all lanes where some have ended or never were (there are %#x)",
            warp.present);
  const unsigned round = warp.rounds;
  uint64_t *values = warp.values[round % 2];
  values[current % 32] = value;
  warp.arrived |= 1u << (current % 32);
  if (warp.arrived != mask) {
    fiber.state = State::at_exchange;
    leave(fiber);
    return values;
  }
  warp.arrived = 0;
  ++warp.rounds;
  const size_t begin = current / 32 * 32;
  for (size_t i = begin; i < begin + 32; ++i)
    fibers[i]->state = State::ready;
  return values;
}

void run_grid(const cudaLaunchConfig_t &config, const std::function<void()> &thread) {
  const dim3 size = config.blockDim;
  const size_t count = size_t(size.x) * size.y * size.z;
  make_fibers(count);
  thread_body = &thread;
  blockDim = size;
  gridDim = config.gridDim;
  // Blocks have no order either.
  const uint64_t blocks = uint64_t(config.gridDim.x) * config.gridDim.y * config.gridDim.z;
  const uint64_t first = random_numbers()() % blocks;
  for (uint64_t number = 0; number < blocks; ++number) {
    const uint64_t block = (first + number) % blocks;
    blockIdx = {static_cast<unsigned>(block % config.gridDim.x),
                static_cast<unsigned>(block / config.gridDim.x % config.gridDim.y),
                static_cast<unsigned>(block / config.gridDim.x / config.gridDim.y)};
    run_block(count, config.dynamicSmemBytes);
  }
}

} // namespace emulation
