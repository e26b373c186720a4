// The sampler on a CPU: cuts the work into tasks and hands them to the kernels.
//
// The tasks follow from shapes alone, never from the number of threads, and no two of them write to
// the same place: so the result is bitwise the same at any number of threads.
#include <ATen/Parallel.h>

#include <vector>

#include "../sampler.h"
#include "../sampler_math.h"
#include "isa.h"
#include "pytorch_cpp_helper.hpp"
#include "pytorch_device_registry.hpp"

namespace mmstn {
namespace {

constexpr int64_t kEnoughTasks = 8;           // with fewer, images are cut into parts
constexpr int64_t kPartPoints = 4096;         // of at least so many points
constexpr int64_t kMostPoints = 1 << 20;
constexpr int64_t kLargeInput = 1 << 14;        // pixels; such an input is not in the nearest cache
constexpr int64_t kSerialElements = 1 << 15;  // fewer of all channels: one thread does it all

DType dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return DType::kFloat;
    case at::kDouble:
      return DType::kDouble;
    case at::kHalf:
      return DType::kHalf;
    case at::kBFloat16:
      return DType::kBFloat16;
    default:
      TORCH_CHECK_TYPE(false, "expected float16, bfloat16, float32 or float64, got ",
                       tensor.scalar_type());
  }
}

int64_t axis_stride(const at::Tensor& t, int64_t axis) { return t.size(axis) > 1 ? t.stride(axis) : 0; }

InputView input_view(const at::Tensor& t) {
  return {t.data_ptr(), dtype_of(t), axis_stride(t, 0), axis_stride(t, 1), row_stride(t), pixel_stride(t)};
}

SampleView sample_view(const at::Tensor& t) {
  return {t.data_ptr(), dtype_of(t), axis_stride(t, 0), axis_stride(t, 1), axis_stride(t, 2), pixel_stride(t)};
}

// Channel blocks: as wide as the vectors are, the last one as narrow as it can be.
std::vector<Block> channel_blocks(int64_t channels, int32_t lanes) {
  const int32_t narrowest = lanes < 4 ? lanes : 4;
  std::vector<Block> blocks;
  for (int64_t first = 0; first < channels;) {
    const int64_t left = channels - first;
    int32_t width = left == 1 ? 1 : narrowest;
    while (left > 1 && width < lanes && width < left) width *= 2;
    const int64_t count = left < width ? left : width;
    blocks.push_back({first, count, width});
    first += count;
  }
  return blocks;
}

struct Plan {
  Problem problem;
  std::vector<Block> blocks;
  std::vector<Task> tasks;
  std::vector<double> sums;  // of the gradients of matrices, those of one task after the other

  Plan(const at::Tensor& input, const at::Tensor& warp, const at::Tensor& samples, const Sizes& s,
       int64_t mode, int64_t padding, bool align_corners)
      : problem() {
    problem.channels = s.channels;
    problem.height = s.height;
    problem.width = s.width;
    problem.transformers = s.transformers;
    problem.out_height = s.out_height;
    problem.out_width = s.out_width;
    problem.mode = mode;
    problem.padding = padding;
    problem.align_corners = align_corners;
    problem.source = is_grid(warp)         ? Source::kGrid
                     : is_projective(warp) ? Source::kProjective
                                          : Source::kAffine;
    problem.warp = warp.data_ptr();
    problem.warp_n = warp.stride(0);
    problem.warp_k = warp.stride(1);
    problem.input = input_view(input);
    problem.samples = sample_view(samples);
    const Kernels* kernels = cpu_kernels();
    blocks = channel_blocks(
        s.channels, warp.scalar_type() == at::kFloat ? kernels->float_lanes : kernels->double_lanes);
    problem.blocks = blocks.data();
  }

  // Tasks of one image each. `whole_images`: all blocks in one task. `parts`: images may be cut.
  void make_tasks(const Sizes& s, bool whole_images, bool parts) {
    const int64_t points = s.transformers * s.out_height * s.out_width;
    const int64_t count = int64_t(blocks.size());
    const int64_t step = whole_images ? count : 1;
    const int64_t found = s.images * ((count + step - 1) / std::max<int64_t>(step, 1));
    int64_t cuts = 1;
    if (parts && found > 0 && found < kEnoughTasks)
      cuts = std::min((kEnoughTasks + found - 1) / found, points / kPartPoints);
    // The window of one transformer is a smaller part of a large input than all of them together.
    if (parts && s.height * s.width > kLargeInput) cuts = std::max(cuts, s.transformers);
    // What a part touches is copied: so that the copy of a huge input stays small.
    if (parts) cuts = std::max({cuts, points / kMostPoints, int64_t(1)});
    tasks.clear();
    for (int64_t n = 0; n < s.images; ++n)
      for (int64_t b = 0; b < count; b += step)
        for (int64_t c = 0; c < cuts; ++c)
          tasks.push_back(
              {n, b, b + step, points * c / cuts, points * (c + 1) / cuts, 0, nullptr});
    if (problem.wants_warp_gradient && problem.source != Source::kGrid) {
      int64_t total = 0;
      for (Task& task : tasks) {
        task.first_warp = task.begin / (s.out_height * s.out_width);
        total += warps_of(task, s);
      }
      sums.assign(total * 9, 0.0);
      double* next = sums.data();
      for (Task& task : tasks) {
        task.warp_gradient = next;
        next += warps_of(task, s) * 9;
      }
    }
  }

  // How many transformers its points belong to.
  static int64_t warps_of(const Task& task, const Sizes& s) {
    const int64_t points = s.out_height * s.out_width;
    return task.begin < task.end ? (task.end - 1) / points - task.first_warp + 1 : 0;
  }

  void run(RunTasks kernel) const {
    const int64_t count = int64_t(tasks.size());
    const int64_t cleared = problem.input_gradient.data ? problem.height * problem.width : 0;
    int64_t elements = 0;
    for (const Task& task : tasks)
      for (int64_t b = task.first_block; b < task.last_block; ++b)
        elements += blocks[b].count * (task.end - task.begin + cleared);
    at::parallel_for(0, count, elements < kSerialElements ? count : 1,
                     [&](int64_t begin, int64_t end) {
                       if (begin < end) kernel(problem, tasks.data(), begin, end);
                     });
  }

  // The sums of all tasks of an image, in their order, as gradients of its matrices.
  void write_matrix_gradient(const at::Tensor& gradient, const Sizes& s) const {
    const bool projective = problem.source == Source::kProjective;
    const int64_t rows = projective ? 3 : 2;
    const int64_t per_image = s.images ? int64_t(tasks.size()) / s.images : 0;
    const auto scale = [&](int64_t n, int64_t k) {
      const int64_t at = n * problem.warp_n + k * problem.warp_k;
      return gradient.scalar_type() == at::kFloat
                 ? generic::homography_scale((const float*)problem.warp + at, projective)
                 : generic::homography_scale((const double*)problem.warp + at, projective);
    };
    const auto write = [&](auto* out) {
      for (int64_t n = 0; n < s.images; ++n)
        for (int64_t k = 0; k < s.transformers; ++k) {
          double total[9] = {}, matrix[9];
          for (int64_t t = n * per_image; t < (n + 1) * per_image; ++t) {
            const int64_t at = k - tasks[t].first_warp;
            if (at < 0 || at >= warps_of(tasks[t], s)) continue;
            for (int e = 0; e < 9; ++e) total[e] += tasks[t].warp_gradient[at * 9 + e];
          }
          generic::matrix_gradient(total, matrix, projective, scale(n, k), s.height, s.width,
                                   s.out_height, s.out_width, problem.align_corners);
          for (int e = 0; e < rows * 3; ++e) *out++ = matrix[e];
        }
    };
    if (gradient.scalar_type() == at::kFloat)
      write(gradient.data_ptr<float>());
    else
      write(gradient.data_ptr<double>());
  }
};

at::Tensor sample_cpu(const at::Tensor& input, const at::Tensor& any_warp, int64_t out_height,
                      int64_t out_width, int64_t mode, int64_t padding, bool align_corners,
                      at::ScalarType dtype) {
  const at::Tensor warp = contiguous_warps(any_warp);
  const Sizes s(input, warp, out_height, out_width);
  at::Tensor samples = empty_samples(input, s, dtype);
  if (samples.numel() == 0) return samples;
  Plan plan(input, warp, samples, s, mode, padding, align_corners);
  plan.make_tasks(s, false, true);
  const Kernels* kernels = cpu_kernels();
  plan.run(warp.scalar_type() == at::kFloat ? kernels->forward_float : kernels->forward_double);
  return samples;
}

std::tuple<at::Tensor, at::Tensor> sample_backward_cpu(const at::Tensor& any_gradient,
                                                       const at::Tensor& input,
                                                       const at::Tensor& any_warp, int64_t mode,
                                                       int64_t padding, bool align_corners,
                                                       bool wants_input, bool wants_warp) {
  const at::Tensor warp = contiguous_warps(any_warp), gradient = gapless_rows(any_gradient);
  const Sizes s(input, warp, gradient.size(3), gradient.size(4));
  at::Tensor d_input = wants_input ? empty_gradient(input) : at::empty({0}, input.options());
  at::Tensor d_warp = at::empty(wants_warp ? warp.sizes() : at::IntArrayRef{0}, warp.options());
  if (gradient.numel() == 0 || (mode == generic::kNearest && !wants_input)) {
    d_input.zero_();
    d_warp.zero_();
    return {d_input, d_warp};
  }
  if (mode == generic::kNearest) {
    d_warp.zero_();
    wants_warp = false;
  }
  Plan plan(input, warp, gradient, s, mode, padding, align_corners);
  // Where a few points touch a little of a large input, most of its gradient is zero.
  plan.problem.input_gradient_is_zero =
      wants_input && s.height * s.width > 4 * s.transformers * s.out_height * s.out_width;
  if (plan.problem.input_gradient_is_zero) d_input.zero_();
  const Kernels* kernels = cpu_kernels();
  const auto kernel =
      warp.scalar_type() == at::kFloat ? kernels->backward_float : kernels->backward_double;
  const auto pass = [&](bool for_input, bool for_warp, bool whole_images) {
    plan.problem.input_gradient = for_input ? input_view(d_input) : InputView();
    plan.problem.wants_warp_gradient = for_warp;
    plan.problem.grid_gradient = for_warp && is_grid(warp) ? d_warp.data_ptr() : nullptr;
    plan.make_tasks(s, whole_images, !for_input);
    plan.run(kernel);
  };
  // The gradient of a grid sums over all channel blocks: a task does the whole image, or with few
  // images each gradient has a pass of its own.
  const bool whole_images = is_grid(warp) && wants_warp;
  if (whole_images && wants_input && s.images < kEnoughTasks && plan.blocks.size() > 1) {
    pass(true, false, false);
    pass(false, true, true);
  } else {
    pass(wants_input, wants_warp, whole_images);
  }
  if (wants_warp && !is_grid(warp)) plan.write_matrix_gradient(d_warp, s);
  return {d_input, d_warp};
}

}  // namespace

REGISTER_DEVICE_IMPL(mmstn_sample_impl, CPU, sample_cpu)
REGISTER_DEVICE_IMPL(mmstn_sample_backward_impl, CPU, sample_backward_cpu)

}  // namespace mmstn
