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
constexpr int64_t kLargeMap = 1 << 14;        // pixels; such a map is not in the nearest cache
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

MapView map_view(const at::Tensor& t) {
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

  Plan(const at::Tensor& input, const at::Tensor& map, const at::Tensor& samples, const Sizes& s,
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
    problem.source = is_grid(map)         ? Source::kGrid
                     : is_projective(map) ? Source::kProjective
                                          : Source::kAffine;
    problem.map = map.data_ptr();
    problem.map_n = map.stride(0);
    problem.map_k = map.stride(1);
    problem.input = map_view(input);
    problem.samples = sample_view(samples);
    const Kernels* kernels = cpu_kernels();
    blocks = channel_blocks(
        s.channels, map.scalar_type() == at::kFloat ? kernels->float_lanes : kernels->double_lanes);
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
    // The window of one transformer is a smaller part of a large map than all of them together.
    if (parts && s.height * s.width > kLargeMap) cuts = std::max(cuts, s.transformers);
    // What a part touches is copied: so that the copy of a huge map stays small.
    if (parts) cuts = std::max({cuts, points / kMostPoints, int64_t(1)});
    tasks.clear();
    for (int64_t n = 0; n < s.images; ++n)
      for (int64_t b = 0; b < count; b += step)
        for (int64_t c = 0; c < cuts; ++c)
          tasks.push_back(
              {n, b, b + step, points * c / cuts, points * (c + 1) / cuts, 0, nullptr});
    if (problem.wants_map_gradient && problem.source != Source::kGrid) {
      int64_t total = 0;
      for (Task& task : tasks) {
        task.first_map = task.begin / (s.out_height * s.out_width);
        total += maps_of(task, s);
      }
      sums.assign(total * 9, 0.0);
      double* next = sums.data();
      for (Task& task : tasks) {
        task.map_gradient = next;
        next += maps_of(task, s) * 9;
      }
    }
  }

  // How many transformers its points belong to.
  static int64_t maps_of(const Task& task, const Sizes& s) {
    const int64_t points = s.out_height * s.out_width;
    return task.begin < task.end ? (task.end - 1) / points - task.first_map + 1 : 0;
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
      const int64_t at = n * problem.map_n + k * problem.map_k;
      return gradient.scalar_type() == at::kFloat
                 ? generic::homography_scale((const float*)problem.map + at, projective)
                 : generic::homography_scale((const double*)problem.map + at, projective);
    };
    const auto write = [&](auto* out) {
      for (int64_t n = 0; n < s.images; ++n)
        for (int64_t k = 0; k < s.transformers; ++k) {
          double total[9] = {}, matrix[9];
          for (int64_t t = n * per_image; t < (n + 1) * per_image; ++t) {
            const int64_t at = k - tasks[t].first_map;
            if (at < 0 || at >= maps_of(tasks[t], s)) continue;
            for (int e = 0; e < 9; ++e) total[e] += tasks[t].map_gradient[at * 9 + e];
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

at::Tensor sample_cpu(const at::Tensor& input, const at::Tensor& any_map, int64_t out_height,
                      int64_t out_width, int64_t mode, int64_t padding, bool align_corners,
                      at::ScalarType dtype) {
  const at::Tensor map = contiguous_maps(any_map);
  const Sizes s(input, map, out_height, out_width);
  at::Tensor samples = empty_samples(input, s, dtype);
  if (samples.numel() == 0) return samples;
  Plan plan(input, map, samples, s, mode, padding, align_corners);
  plan.make_tasks(s, false, true);
  const Kernels* kernels = cpu_kernels();
  plan.run(map.scalar_type() == at::kFloat ? kernels->forward_float : kernels->forward_double);
  return samples;
}

std::tuple<at::Tensor, at::Tensor> sample_backward_cpu(const at::Tensor& any_gradient,
                                                       const at::Tensor& input,
                                                       const at::Tensor& any_map, int64_t mode,
                                                       int64_t padding, bool align_corners,
                                                       bool wants_input, bool wants_map) {
  const at::Tensor map = contiguous_maps(any_map), gradient = gapless_rows(any_gradient);
  const Sizes s(input, map, gradient.size(3), gradient.size(4));
  at::Tensor d_input = wants_input ? empty_gradient(input) : at::empty({0}, input.options());
  at::Tensor d_map = at::empty(wants_map ? map.sizes() : at::IntArrayRef{0}, map.options());
  if (gradient.numel() == 0 || (mode == generic::kNearest && !wants_input)) {
    d_input.zero_();
    d_map.zero_();
    return {d_input, d_map};
  }
  if (mode == generic::kNearest) {
    d_map.zero_();
    wants_map = false;
  }
  Plan plan(input, map, gradient, s, mode, padding, align_corners);
  // Where a few points touch a little of a large map, most of its gradient is zero.
  plan.problem.input_gradient_is_zero =
      wants_input && s.height * s.width > 4 * s.transformers * s.out_height * s.out_width;
  if (plan.problem.input_gradient_is_zero) d_input.zero_();
  const Kernels* kernels = cpu_kernels();
  const auto kernel =
      map.scalar_type() == at::kFloat ? kernels->backward_float : kernels->backward_double;
  const auto pass = [&](bool for_input, bool for_map, bool whole_images) {
    plan.problem.input_gradient = for_input ? map_view(d_input) : MapView();
    plan.problem.wants_map_gradient = for_map;
    plan.problem.grid_gradient = for_map && is_grid(map) ? d_map.data_ptr() : nullptr;
    plan.make_tasks(s, whole_images, !for_input);
    plan.run(kernel);
  };
  // The gradient of a grid sums over all channel blocks: a task does the whole image, or with few
  // images each gradient has a pass of its own.
  const bool whole_images = is_grid(map) && wants_map;
  if (whole_images && wants_input && s.images < kEnoughTasks && plan.blocks.size() > 1) {
    pass(true, false, false);
    pass(false, true, true);
  } else {
    pass(wants_input, wants_map, whole_images);
  }
  if (wants_map && !is_grid(map)) plan.write_matrix_gradient(d_map, s);
  return {d_input, d_map};
}

}  // namespace

REGISTER_DEVICE_IMPL(mmstn_sample_impl, CPU, sample_cpu)
REGISTER_DEVICE_IMPL(mmstn_sample_backward_impl, CPU, sample_backward_cpu)

}  // namespace mmstn
