// The sampler as a torch op: what every device implements.
//
// input is (N, C, H, W). warp is what makes the points: matrices (N, K, 2 or 3, 3), or grids
// (N, K, H', W', 2), in float32 or float64, which is the type of computation. The samples are
// (N, K, C, H', W') in a type of the caller's choice; channels innermost in memory if they are in
// `input`, contiguous if not.
#pragma once

#include <torch/types.h>

#include <tuple>

namespace mmstn {

struct Sizes {
  int64_t images, channels, height, width, transformers, out_height, out_width;

  Sizes(const at::Tensor& input, const at::Tensor& warp, int64_t out_height, int64_t out_width)
      : images(input.size(0)), channels(input.size(1)), height(input.size(2)), width(input.size(3)),
        transformers(warp.size(1)), out_height(out_height), out_width(out_width) {}
};

inline bool is_grid(const at::Tensor& warp) { return warp.dim() == 5; }
inline bool is_projective(const at::Tensor& warp) { return warp.dim() == 4 && warp.size(2) == 3; }

inline bool channels_innermost(const at::Tensor& input) {
  return input.is_contiguous(at::MemoryFormat::ChannelsLast) && !input.is_contiguous();
}

// An empty tensor of samples, and one for the gradient of the input.
inline at::Tensor empty_samples(const at::Tensor& input, const Sizes& s, at::ScalarType dtype) {
  const auto options = input.options().dtype(dtype);
  if (channels_innermost(input))
    return at::empty({s.images, s.transformers, s.out_height, s.out_width, s.channels}, options)
        .permute({0, 1, 4, 2, 3});
  return at::empty({s.images, s.transformers, s.channels, s.out_height, s.out_width}, options);
}
inline at::Tensor empty_gradient(const at::Tensor& input) {
  return at::empty(input.sizes(), input.options(),
                   channels_innermost(input) ? at::MemoryFormat::ChannelsLast
                                             : at::MemoryFormat::Contiguous);
}

// An image and a transformer may be repeated, but each warp must be contiguous in itself.
inline at::Tensor contiguous_warps(const at::Tensor& warp) {
  int64_t stride = 1;
  for (int64_t d = warp.dim() - 1; d >= 2; --d) {
    if (warp.size(d) != 1 && warp.stride(d) != stride) return warp.contiguous();
    stride *= warp.size(d);
  }
  return warp;
}

// The stride of an axis of size 1 may be anything, whatever `is_contiguous` says: it means nothing.
// How far it is from one pixel of an (H, W) tensor to the next, in the last two axes.
inline int64_t pixel_stride(const at::Tensor& t) {
  return t.size(-1) > 1 ? t.stride(-1) : t.size(-2) > 1 ? t.stride(-2) : 0;
}
// And from one row to the next.
inline int64_t row_stride(const at::Tensor& t) {
  return t.size(-2) > 1 ? t.stride(-2) : t.size(-1) * pixel_stride(t);
}

// The same for the gradient of samples, whose rows must follow each other without a gap.
inline at::Tensor gapless_rows(const at::Tensor& samples) {
  return row_stride(samples) == samples.size(4) * pixel_stride(samples) ? samples
                                                                        : samples.contiguous();
}

// Defined for each device, see DISPATCH_DEVICE_IMPL.
at::Tensor mmstn_sample_impl(const at::Tensor& input, const at::Tensor& warp, int64_t out_height,
                             int64_t out_width, int64_t mode, int64_t padding, bool align_corners,
                             at::ScalarType dtype);
std::tuple<at::Tensor, at::Tensor> mmstn_sample_backward_impl(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& warp, int64_t mode,
    int64_t padding, bool align_corners, bool wants_input, bool wants_warp);

}  // namespace mmstn
