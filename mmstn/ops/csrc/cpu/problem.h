// What is asked of a CPU kernel, in plain data: the kernels are compiled once for every instruction
// set and must not share inline functions of ATen.
#pragma once

#include <cstdint>

namespace mmstn {

enum class DType : int32_t { kFloat, kDouble, kHalf, kBFloat16 };
enum class Source : int32_t { kAffine, kProjective, kGrid };

struct InputView {  // (N, C, H, W), strides in elements
  void* data = nullptr;
  DType dtype = DType::kFloat;
  int64_t n = 0, c = 0, h = 0, w = 0;
};

struct SampleView {  // (N, K, C, H' W')
  void* data = nullptr;
  DType dtype = DType::kFloat;
  int64_t n = 0, k = 0, c = 0, point = 0;
};

struct Block {  // channels that are sampled together, and how many lanes they take
  int64_t first, count;
  int32_t width;
};

// One unit of work: channel blocks of an image at the points [begin, end) of its K H' W'.
struct Task {
  int64_t n, first_block, last_block, begin, end;
  int64_t first_warp;     // of the transformers that these points belong to
  double* warp_gradient;  // (transformers of this task, 9), sums of this task only
};

struct Problem {
  int64_t channels, height, width, transformers, out_height, out_width;
  int64_t mode, padding;
  bool align_corners;
  Source source;
  const void* warp;  // matrices or grids in the type of computation, contiguous but for n and k
  int64_t warp_n, warp_k;
  InputView input;
  SampleView samples;     // the output, or its gradient
  InputView input_gradient;  // without data: not wanted
  bool input_gradient_is_zero;  // it was cleared already, so that only what is touched is written
  bool wants_warp_gradient;
  void* grid_gradient;  // (N, K, H', W', 2), in the type of computation
  const Block* blocks;
};

// Runs tasks [begin, end) on the calling thread.
using RunTasks = void (*)(const Problem&, const Task* tasks, int64_t begin, int64_t end);

struct Kernels {
  const char* name;
  int32_t float_lanes, double_lanes;  // the widest block
  RunTasks forward_float, forward_double, backward_float, backward_double;
};

const Kernels* kernels_portable();
const Kernels* kernels_avx2();    // null where the compiler cannot make them
const Kernels* kernels_avx512();

}  // namespace mmstn
