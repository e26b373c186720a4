// Stands in for mmcv's header of this name and runs CUDA kernels on a CPU, for tests.
//
// The blocks of a launch run one after the other. The threads of a block are coroutines that give way
// to each other at barriers and shuffles only; a barrier that not all of them reach is an error. What
// this cannot show are races between barriers.
#pragma once

#include <setjmp.h>
#include <torch/extension.h>
#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(threads)
#define AT_CUDA_CHECK(error) (error)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

inline int cudaGetLastError() { return 0; }
namespace at::cuda {
struct CUDAGuard {
  explicit CUDAGuard(at::Device) {}
};
inline int getCurrentCUDAStream() { return 0; }
}  // namespace at::cuda

namespace cuda_on_cpu {

constexpr unsigned kWarp = 32, kMostThreads = 1024;
constexpr size_t kStack = 1 << 16;
enum class State { fresh, running, at_barrier, at_shuffle, done };

struct Thread {
  ucontext_t start;
  jmp_buf place;  // where it gave way; swapcontext would call the kernel of the system each time
  std::vector<char> stack = std::vector<char>(kStack);
  State state;
  dim3 id;
  double given;  // to the other lanes of the warp
};

inline std::vector<Thread> threads(kMostThreads);
inline jmp_buf scheduler;
inline unsigned current;
inline std::function<void()> kernel;

inline void wait_as(State state) {
  threads[current].state = state;
  if (!_setjmp(threads[current].place)) _longjmp(scheduler, 1);
}

inline void thread_main() {
  kernel();
  threads[current].state = State::done;
  _longjmp(scheduler, 1);
}

// Lets the current thread run until it waits or ends.
inline void run_thread() {
  Thread& thread = threads[current];
  if (_setjmp(scheduler)) return;
  if (thread.state == State::running) _longjmp(thread.place, 1);
  thread.state = State::running;
  setcontext(&thread.start);
}

inline unsigned count(State state, unsigned first, unsigned end) {
  unsigned n = 0;
  for (unsigned t = first; t < end; ++t) n += threads[t].state == state;
  return n;
}

inline void release(State state, unsigned first, unsigned end) {
  for (unsigned t = first; t < end; ++t)
    if (threads[t].state == state) threads[t].state = State::running;
}

inline void run_block() {
  const unsigned n = blockDim.x * blockDim.y * blockDim.z;
  for (unsigned t = 0; t < n; ++t) {
    Thread& thread = threads[t];
    thread.id = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
    thread.state = State::fresh;
    getcontext(&thread.start);
    thread.start.uc_stack.ss_sp = thread.stack.data();
    thread.start.uc_stack.ss_size = kStack;
    makecontext(&thread.start, thread_main, 0);
  }
  while (count(State::done, 0, n) < n) {
    bool moved = false;
    for (current = 0; current < n; ++current) {
      if (threads[current].state > State::running) continue;
      threadIdx = threads[current].id;
      run_thread();
      moved = true;
    }
    // A thread that has left no longer counts at a barrier; in a full-mask shuffle it is missed.
    for (unsigned first = 0; first < n; first += kWarp) {
      const unsigned end = std::min(first + kWarp, n);
      if (count(State::at_shuffle, first, end) == end - first) {
        release(State::at_shuffle, first, end);
        moved = true;
      }
    }
    const unsigned waiting = count(State::at_barrier, 0, n);
    if (waiting && waiting + count(State::done, 0, n) == n) {
      release(State::at_barrier, 0, n);
      moved = true;
    }
    if (!moved) throw std::runtime_error("threads wait for others that do not come");
  }
}

template <class F>
auto launch(F* function, dim3 blocks, dim3 block, size_t, int) {
  return [=](auto... arguments) {
    gridDim = blocks;
    blockDim = block;
    kernel = [=] { function(arguments...); };
    for (unsigned z = 0; z < blocks.z; ++z)
      for (unsigned y = 0; y < blocks.y; ++y)
        for (unsigned x = 0; x < blocks.x; ++x) {
          blockIdx = {x, y, z};
          run_block();
        }
  };
}

}  // namespace cuda_on_cpu

inline void __syncthreads() { cuda_on_cpu::wait_as(cuda_on_cpu::State::at_barrier); }

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance) {
  using namespace cuda_on_cpu;
  TORCH_INTERNAL_ASSERT(mask == 0xffffffffu);
  const unsigned me = current, other = me % kWarp + distance;
  threads[me].given = value;
  wait_as(State::at_shuffle);  // until all have given
  const T taken = other < kWarp ? T(threads[me + distance].given) : value;
  wait_as(State::at_shuffle);  // until all have taken
  return taken;
}

inline unsigned __ballot_sync(unsigned mask, bool vote) {
  using namespace cuda_on_cpu;
  TORCH_INTERNAL_ASSERT(mask == 0xffffffffu);
  const unsigned me = current, first = me / kWarp * kWarp;
  threads[me].given = vote;
  wait_as(State::at_shuffle);
  unsigned votes = 0;
  for (unsigned lane = 0; lane < kWarp; ++lane) votes |= unsigned(threads[first + lane].given) << lane;
  wait_as(State::at_shuffle);
  return votes;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

template <class T>
void gpuAtomicAddNoReturn(T* to, T value) {
  *to += value;
}
