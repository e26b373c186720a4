// The sampler on a GPU. Compiled for sm_80 and sm_90, and run on a CPU, thread by thread, by
// tests/ops/cuda_on_cpu; not run on a GPU yet.
//
// One launch serves all N images and K transformers. A thread has one output pixel and a run of
// channels: its point and its weights are computed once. With channels innermost 32 threads that run
// together walk over the channels of one pixel, so that all their loads are of whole cache lines; in
// planes they walk over neighbouring pixels.
//
// The gradient of a warp is summed inside the block before it leaves it. The gradient of the input is
// scattered with atomics, or, where PyTorch asks for deterministic algorithms, gathered: a block owns
// a tile of the input, looks through the points of its image in a fixed order, and adds those that
// touch the tile.
#include "../sampler.h"
#include "../sampler_math.h"
#include "pytorch_cuda_helper.hpp"
#include "pytorch_device_registry.hpp"

namespace mmstn {
namespace {

using namespace generic;

constexpr int kThreads = 256;
constexpr int kRun = 8;  // channels of a thread in planes

struct Shape {
  int64_t images, channels, height, width, transformers, out_height, out_width, points;
  int64_t padding;
  bool align_corners, projective, grid;

  Shape(const Sizes& s, const at::Tensor& warp, int64_t padding, bool align_corners)
      : images(s.images), channels(s.channels), height(s.height), width(s.width),
        transformers(s.transformers), out_height(s.out_height), out_width(s.out_width),
        points(s.out_height * s.out_width), padding(padding), align_corners(align_corners),
        projective(is_projective(warp)), grid(is_grid(warp)) {}
};

struct Strides {
  int64_t n, k, c, y, x;
};
Strides input_strides(const at::Tensor& t) {
  return {t.stride(0), 0, t.stride(1), t.stride(2), t.stride(3)};
}
Strides sample_strides(const at::Tensor& t) {
  return {t.stride(0), t.stride(1), t.stride(2), t.stride(3), t.stride(4)};
}

// How a block's threads are laid out over (channels, points): whole warps along what is innermost.
struct Tiling {
  dim3 threads, blocks;
  int64_t channel_step, channels_per_thread;

  Tiling(const Shape& s, bool channels_inner) {
    int64_t lanes = 1;
    channels_per_thread = s.channels < kRun ? s.channels : kRun;
    if (channels_inner) {
      while (lanes < 32 && lanes < s.channels) lanes *= 2;
      channels_per_thread = (s.channels + lanes - 1) / lanes;
      if (channels_per_thread > kRun) channels_per_thread = kRun;
    }
    channel_step = channels_inner ? lanes : 1;
    const int64_t per_block = lanes * channels_per_thread;
    threads = dim3(unsigned(lanes), unsigned(kThreads / lanes));
    blocks = dim3(unsigned((s.points + threads.y - 1) / threads.y),
                  unsigned((s.channels + per_block - 1) / per_block), 1);
  }
};

// The point of output pixel (i, j). `warp` is in shared memory for matrices.
template <class S>
struct PointOf {
  Point<S> point;
  S dj, di;

  __device__ PointOf(const Shape& s, const PixelWarp<S>& warp, const S* grid, int64_t p) {
    if (s.grid) {
      point.x = Axis<S>(s.width, s.align_corners).pixel(grid[2 * p]);
      point.y = Axis<S>(s.height, s.align_corners).pixel(grid[2 * p + 1]);
      return;
    }
    const int64_t i = p / s.out_width, j = p - i * s.out_width;
    dj = S(j) - S(0.5) * S(s.out_width - 1);
    di = S(i) - S(0.5) * S(s.out_height - 1);
    const Row<S> row(warp, di, s.projective);
    point = s.projective ? row_point<true>(row, dj) : row_point<false>(row, dj);
  }
};

template <class S>
__device__ void shared_warp(PixelWarp<S>* shared, const Shape& s, const S* matrix) {
  if (s.grid) return;
  if (threadIdx.x == 0 && threadIdx.y == 0) {
    const PixelWarp<double> warp = pixel_warp(matrix, s.projective, s.height, s.width, s.out_height,
                                           s.out_width, s.align_corners);
    for (int c = 0; c < 3; ++c) {
      shared->x[c] = S(warp.x[c]);
      shared->y[c] = S(warp.y[c]);
      shared->w[c] = S(warp.w[c]);
    }
    shared->scale = S(warp.scale);
    shared->offset_x = S(warp.offset_x);
    shared->offset_y = S(warp.offset_y);
  }
  __syncthreads();
}

// The taps of a point on one axis: pixels (-1 where there is none), weights and their derivatives. A
// point of which a coordinate is NaN is not `known`: it has no pixels, and weights of NaN.
template <int mode, class S>
struct AxisTaps {
  static constexpr int taps = Kernel<mode>::taps;
  int64_t index[taps];
  S weight[taps], slope[taps];

  __device__ AxisTaps(S x, bool known, int64_t size, bool align_corners, int64_t padding) {
    if (padding == kZeros)
      make<kZeros>(x, known, size, align_corners);
    else if (padding == kBorder)
      make<kBorder>(x, known, size, align_corners);
    else
      make<kReflection>(x, known, size, align_corners);
  }

 private:
  template <int padding>
  __device__ void make(S x, bool known, int64_t size, bool align_corners) {
    using K = Kernel<mode>;
    const Axis<S> axis(size, align_corners);
    S turn = S(1);
    if (mode == kBilinear) {
      x = place<padding>(x, axis, &turn);
    } else {
      const S near = clip(x, axis.low, axis.high);
      turn = near == x ? S(1) : S(0);
      x = near;
    }
    const S base = K::base(x, axis.rounding);
    K::weights(x - base, weight);
    K::slopes(x - base, slope);
    for (int t = 0; t < taps; ++t) {
      const S at = base + S(K::first + t);
      // Bilinear points were placed inside the input already: what lies outside now is nothing.
      const S shown = mode == kBilinear ? pad_index<kZeros>(at, axis, S(-1))
                                        : pad_index<padding>(at, axis, S(-1));
      index[t] = known ? int64_t(shown) : int64_t(-1);
      weight[t] = known ? weight[t] : S(NAN);
      slope[t] = known ? slope[t] * turn : S(NAN);
    }
  }
};

template <class T, class S>
__device__ S value(const T* plane, int64_t y, int64_t x, const Strides& s) {
  return y >= 0 && x >= 0 ? S(plane[y * s.y + x * s.x]) : S(0);
}

template <int mode, class T, class O, class S>
__global__ void __launch_bounds__(kThreads)
    sample_kernel(Shape shape, Tiling tiling, const T* input, Strides in, const S* warps,
                  int64_t warp_n, int64_t warp_k, O* samples, Strides out) {
  __shared__ PixelWarp<S> shared;
  const int64_t p = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  const int64_t first =
      int64_t(blockIdx.y) * blockDim.x * tiling.channels_per_thread + threadIdx.x;
  for (int64_t nk = blockIdx.z; nk < shape.images * shape.transformers; nk += gridDim.z) {
    const int64_t n = nk / shape.transformers, k = nk % shape.transformers;
    const S* warp = warps + n * warp_n + k * warp_k;
    __syncthreads();
    shared_warp(&shared, shape, warp);
    if (p >= shape.points) continue;
    const PointOf<S> at(shape, shared, warp, p);
    const bool known = is_number(at.point.x) && is_number(at.point.y);
    const AxisTaps<mode, S> tx(at.point.x, known, shape.width, shape.align_corners, shape.padding);
    const AxisTaps<mode, S> ty(at.point.y, known, shape.height, shape.align_corners, shape.padding);
    const int64_t i = p / shape.out_width, j = p - i * shape.out_width;
    O* to = samples + n * out.n + k * out.k + i * out.y + j * out.x;
    const T* image = input + n * in.n;
#pragma unroll 4
    for (int64_t r = 0; r < tiling.channels_per_thread; ++r) {
      const int64_t c = first + r * tiling.channel_step;
      if (c >= shape.channels) break;
      const T* plane = image + c * in.c;
      S sum = S(0);
#pragma unroll
      for (int b = 0; b < Kernel<mode>::taps; ++b) {
        S line = S(0);
#pragma unroll
        for (int a = 0; a < Kernel<mode>::taps; ++a)
          line += tx.weight[a] * value<T, S>(plane, ty.index[b], tx.index[a], in);
        sum += ty.weight[b] * line;
      }
      to[c * out.c] = O(sum);
    }
  }
}

// What takes the nine sums from the gradient of the warp in pixels to that of the matrix.
struct Factors {
  double of[9];

  explicit Factors(const Shape& s) {
    double ones[9];
    for (double& one : ones) one = 1.0;
    matrix_gradient(ones, of, true, 1.0, s.height, s.width, s.out_height, s.out_width, s.align_corners);
  }
};

// Sums a number over the block; every thread must come here, thread 0 has the result.
template <class S>
__device__ S block_sum(S v, S* scratch) {
  const int id = threadIdx.y * blockDim.x + threadIdx.x;
  for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
  __syncthreads();
  if (id % 32 == 0) scratch[id / 32] = v;
  __syncthreads();
  if (id >= 32) return v;
  v = id < kThreads / 32 ? scratch[id] : S(0);
  for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
  return v;
}

// Gradients of the warps (if `d_warps`) and, by atomics, of the input (if `d_input`, in type S,
// contiguous). For matrices every block writes its nine sums to a place of its own, (N K, blocks, 9);
// for grids d_warps is (N, K, H', W', 2), and the blocks of one point's channels add to it: `shares`
// of them, each in a copy of its own.
template <int mode, class T, class O, class S>
__global__ void __launch_bounds__(kThreads)
    gradient_kernel(Shape shape, Tiling tiling, const T* input, Strides in, const S* warps,
                    int64_t warp_n, int64_t warp_k, const O* gradients, Strides out, S* d_input,
                    Strides d_in, Factors factors, S* d_warps) {
  __shared__ PixelWarp<S> shared;
  __shared__ S scratch[32];
  const int64_t p = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  const int64_t first =
      int64_t(blockIdx.y) * blockDim.x * tiling.channels_per_thread + threadIdx.x;
  for (int64_t nk = blockIdx.z; nk < shape.images * shape.transformers; nk += gridDim.z) {
    const int64_t n = nk / shape.transformers, k = nk % shape.transformers;
    const S* warp = warps + n * warp_n + k * warp_k;
    __syncthreads();
    shared_warp(&shared, shape, warp);
    const bool live = p < shape.points;
    const PointOf<S> at(shape, shared, warp, live ? p : 0);
    const bool known = is_number(at.point.x) && is_number(at.point.y);
    const AxisTaps<mode, S> tx(at.point.x, known, shape.width, shape.align_corners, shape.padding);
    const AxisTaps<mode, S> ty(at.point.y, known, shape.height, shape.align_corners, shape.padding);
    S gx = S(0), gy = S(0);
    if (live) {
      const int64_t i = p / shape.out_width, j = p - i * shape.out_width;
      const O* from = gradients + n * out.n + k * out.k + i * out.y + j * out.x;
      for (int64_t r = 0; r < tiling.channels_per_thread; ++r) {
        const int64_t c = first + r * tiling.channel_step;
        if (c >= shape.channels) break;
        const S g = S(from[c * out.c]);
        const T* plane = input + n * in.n + c * in.c;
        S* d_plane = d_input ? d_input + n * d_in.n + c * d_in.c : nullptr;
        S sx = S(0), sy = S(0);
#pragma unroll
        for (int b = 0; b < Kernel<mode>::taps; ++b) {
          S line = S(0), slope = S(0);
#pragma unroll
          for (int a = 0; a < Kernel<mode>::taps; ++a) {
            if (d_warps) {
              const S v = value<T, S>(plane, ty.index[b], tx.index[a], in);
              line += tx.weight[a] * v;
              slope += tx.slope[a] * v;
            }
            if (d_plane && ty.index[b] >= 0 && tx.index[a] >= 0)
              gpuAtomicAddNoReturn(d_plane + ty.index[b] * d_in.y + tx.index[a] * d_in.x,
                                   g * (tx.weight[a] * ty.weight[b]));
          }
          sx += ty.weight[b] * slope;
          sy += ty.slope[b] * line;
        }
        gx += g * sx;
        gy += g * sy;
      }
    }
    if (!d_warps) continue;
    if (shape.grid) {
      // Over the lanes that share a point, which are neighbours among the 32 that run together.
      for (int d = int(blockDim.x) / 2; d > 0; d /= 2) {
        gx += __shfl_down_sync(0xffffffffu, gx, d);
        gy += __shfl_down_sync(0xffffffffu, gy, d);
      }
      if (live && threadIdx.x == 0) {
        const int64_t to =
            2 * ((int64_t(blockIdx.y) * shape.images * shape.transformers + nk) * shape.points + p);
        d_warps[to] = gx * Axis<S>(shape.width, shape.align_corners).half;
        d_warps[to + 1] = gy * Axis<S>(shape.height, shape.align_corners).half;
      }
      continue;
    }
    WarpSums<S> sums;
    if (live) {
      if (shape.projective)
        sums.template add<true>(at.point, at.dj, at.di, gx, gy);
      else
        sums.template add<false>(at.point, at.dj, at.di, gx, gy);
    }
    S* to = d_warps +
            9 * ((nk * gridDim.y + blockIdx.y) * int64_t(gridDim.x) + blockIdx.x);
    const bool writes = threadIdx.x == 0 && threadIdx.y == 0;
    for (int e = 0; e < 9; ++e) {
      const S* row = e < 3 ? sums.x : e < 6 ? sums.y : sums.w;
      const S total = block_sum(row[e % 3], scratch);
      if (writes) to[e] = total * S(factors.of[e]) / shared.scale;
    }
  }
}

// The gradient of the input without atomics. A block owns kTile x kTile pixels of one image and a run
// of channels, held in shared memory; it goes through the points of its image in their order, in
// rounds: all threads test one point each, those that touch the tile are kept in order, and then
// added one after the other, a thread to a channel.
constexpr int kTile = 8, kTileChannels = 32;

template <int mode, class O, class S>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(Shape shape, const S* warps, int64_t warp_n, int64_t warp_k, const O* gradients,
                  Strides out, S* d_input, Strides d_in) {
  __shared__ S tile[kTile * kTile][kTileChannels + 1];
  __shared__ PixelWarp<S> shared;
  __shared__ int kept[kThreads];
  __shared__ int counts_of_warps[kThreads / 32];
  const int id = threadIdx.x;
  const int64_t tiles_x = (shape.width + kTile - 1) / kTile;
  const int64_t y0 = int64_t(blockIdx.x) / tiles_x * kTile, x0 = int64_t(blockIdx.x) % tiles_x * kTile;
  const int64_t c0 = int64_t(blockIdx.y) * kTileChannels;
  for (int64_t n = blockIdx.z; n < shape.images; n += gridDim.z) {
    for (int e = id; e < kTile * kTile * (kTileChannels + 1); e += kThreads) (&tile[0][0])[e] = S(0);
    for (int64_t k = 0; k < shape.transformers; ++k) {
      const S* warp = warps + n * warp_n + k * warp_k;
      __syncthreads();
      shared_warp(&shared, shape, warp);
      for (int64_t round = 0; round < shape.points; round += kThreads) {
        const int64_t p = round + id;
        bool touches = false;
        if (p < shape.points) {
          const PointOf<S> at(shape, shared, warp, p);
          const bool known = is_number(at.point.x) && is_number(at.point.y);
          const AxisTaps<mode, S> tx(at.point.x, known, shape.width, shape.align_corners, shape.padding);
          const AxisTaps<mode, S> ty(at.point.y, known, shape.height, shape.align_corners, shape.padding);
          bool in_x = false, in_y = false;
          for (int t = 0; t < Kernel<mode>::taps; ++t) {
            in_x |= tx.index[t] >= x0 && tx.index[t] < x0 + kTile;
            in_y |= ty.index[t] >= y0 && ty.index[t] < y0 + kTile;
          }
          touches = in_x && in_y;
        }
        const unsigned vote = __ballot_sync(0xffffffffu, touches);
        if (id % 32 == 0) counts_of_warps[id / 32] = __popc(vote);
        __syncthreads();
        int before = 0, all = 0;
        for (int w = 0; w < kThreads / 32; ++w) {
          before += w < id / 32 ? counts_of_warps[w] : 0;
          all += counts_of_warps[w];
        }
        if (touches) kept[before + __popc(vote & ((1u << (id % 32)) - 1u))] = id;
        __syncthreads();
        // A group of 32 threads to a row of the tile, modulo the groups: no two of them write to the same pixel.
        const int lane = id % 32, group = id / 32;
        const int64_t c = c0 + lane;
        for (int q = 0; q < all; ++q) {
          const int64_t point = round + kept[q];
          const PointOf<S> at(shape, shared, warp, point);
          const AxisTaps<mode, S> tx(at.point.x, true, shape.width, shape.align_corners, shape.padding);
          const AxisTaps<mode, S> ty(at.point.y, true, shape.height, shape.align_corners, shape.padding);
          S g = S(0);
          bool read = false;
          for (int b = 0; b < Kernel<mode>::taps; ++b) {
            const int64_t y = ty.index[b] - y0;
            if (ty.index[b] < 0 || y < 0 || y >= kTile || y % (kThreads / 32) != group) continue;
            if (!read && c < shape.channels) {
              const int64_t i = point / shape.out_width, j = point - i * shape.out_width;
              g = S(gradients[n * out.n + k * out.k + c * out.c + i * out.y + j * out.x]);
            }
            read = true;
            for (int a = 0; a < Kernel<mode>::taps; ++a) {
              const int64_t x = tx.index[a] - x0;
              if (tx.index[a] < 0 || x < 0 || x >= kTile) continue;
              tile[y * kTile + x][lane] += g * (tx.weight[a] * ty.weight[b]);
            }
          }
        }
        __syncthreads();
      }
    }
    __syncthreads();
    for (int e = id; e < kTile * kTile * kTileChannels; e += kThreads) {
      const int64_t y = y0 + e / kTileChannels / kTile, x = x0 + e / kTileChannels % kTile;
      const int64_t c = c0 + e % kTileChannels;
      if (y < shape.height && x < shape.width && c < shape.channels)
        d_input[n * d_in.n + c * d_in.c + y * d_in.y + x * d_in.x] =
            tile[e / kTileChannels][e % kTileChannels];
    }
    __syncthreads();
  }
}

unsigned grid_z(int64_t wanted) { return unsigned(std::min<int64_t>(wanted, 65535)); }

// Calls f with the mode as a type.
template <class F>
void with_mode(int64_t mode, F&& f) {
  if (mode == kNearest)
    f(std::integral_constant<int, kNearest>{});
  else if (mode == kBilinear)
    f(std::integral_constant<int, kBilinear>{});
  else
    f(std::integral_constant<int, kBicubic>{});
}

// Calls f with (type of the input's pixels, type of computation).
template <class F>
void with_types(at::ScalarType pixels, at::ScalarType computed, F&& f) {
  if (computed == at::kDouble) {
    if (pixels == at::kDouble) return f(double(), double());
    TORCH_CHECK_TYPE(pixels == at::kFloat, "half precision is sampled in float32");
    return f(float(), double());
  }
  if (pixels == at::kFloat) return f(float(), float());
  if (pixels == at::kHalf) return f(at::Half(), float());
  return f(at::BFloat16(), float());
}

// Samples and their gradients have the type of the input or, under autocast, the wider one, which is
// the type of computation.
template <class T, class S, class F>
void with_samples(at::ScalarType samples, F&& f) {
  if (samples == c10::CppTypeToScalarType<T>::value) return f(T());
  TORCH_CHECK_TYPE(samples == c10::CppTypeToScalarType<S>::value, "samples must be ",
                   c10::CppTypeToScalarType<T>::value, " or ", c10::CppTypeToScalarType<S>::value,
                   ", got ", samples);
  f(S());
}

at::Tensor sample_cuda(const at::Tensor& input, const at::Tensor& any_warp, int64_t out_height,
                       int64_t out_width, int64_t mode, int64_t padding, bool align_corners,
                       at::ScalarType dtype) {
  const at::cuda::CUDAGuard guard(input.device());
  const at::Tensor warp = contiguous_warps(any_warp);
  const Sizes s(input, warp, out_height, out_width);
  at::Tensor samples = empty_samples(input, s, dtype);
  if (samples.numel() == 0) return samples;
  const Shape shape(s, warp, padding, align_corners);
  Tiling tiling(shape, input.stride(1) == 1 && s.channels > 1);
  tiling.blocks.z = grid_z(s.images * s.transformers);
  const auto stream = at::cuda::getCurrentCUDAStream();
  with_types(input.scalar_type(), warp.scalar_type(), [&](auto pixel, auto number) {
    using T = decltype(pixel);
    using S = decltype(number);
    with_samples<T, S>(dtype, [&](auto sample) {
      using O = decltype(sample);
      with_mode(mode, [&](auto m) {
        sample_kernel<decltype(m)::value, T, O, S>
            <<<tiling.blocks, tiling.threads, 0, stream>>>(
                shape, tiling, input.const_data_ptr<T>(), input_strides(input),
                warp.const_data_ptr<S>(), warp.stride(0), warp.stride(1), samples.data_ptr<O>(),
                sample_strides(samples));
      });
    });
  });
  AT_CUDA_CHECK(cudaGetLastError());
  return samples;
}

std::tuple<at::Tensor, at::Tensor> sample_backward_cuda(const at::Tensor& gradient,
                                                        const at::Tensor& input,
                                                        const at::Tensor& any_warp, int64_t mode,
                                                        int64_t padding, bool align_corners,
                                                        bool wants_input, bool wants_warp) {
  const at::cuda::CUDAGuard guard(input.device());
  const at::Tensor warp = contiguous_warps(any_warp);
  const Sizes s(input, warp, gradient.size(3), gradient.size(4));
  const auto number_options = input.options().dtype(warp.scalar_type());
  at::Tensor d_warp = at::zeros(wants_warp ? warp.sizes() : at::IntArrayRef{0}, warp.options());
  const bool deterministic = at::globalContext().deterministicAlgorithms();
  at::Tensor d_input = at::empty({0}, input.options());
  if (wants_input) {  // summed in the type of computation, whatever the type of the input
    d_input = empty_gradient(input).to(warp.scalar_type());
    d_input.zero_();
  }
  if (mode == kNearest) wants_warp = false;
  if (gradient.numel() == 0 || !(wants_input || wants_warp))
    return {d_input.to(input.scalar_type()), d_warp};

  const Shape shape(s, warp, padding, align_corners);
  Tiling tiling(shape, input.stride(1) == 1 && s.channels > 1);
  tiling.blocks.z = grid_z(s.images * s.transformers);
  // A partial sum for every block, added up afterwards in a fixed order.
  at::Tensor sums;
  if (wants_warp && is_grid(warp))
    sums = at::empty({tiling.blocks.y, s.images, s.transformers, s.out_height, s.out_width, 2},
                     number_options);
  else if (wants_warp)
    sums = at::empty({s.images, s.transformers, tiling.blocks.y * int64_t(tiling.blocks.x), 9},
                     number_options);
  const bool gathers = wants_input && deterministic, scatters = wants_input && !deterministic;
  const auto stream = at::cuda::getCurrentCUDAStream();
  with_types(input.scalar_type(), warp.scalar_type(), [&](auto pixel, auto number) {
    using T = decltype(pixel);
    using S = decltype(number);
    with_samples<T, S>(gradient.scalar_type(), [&](auto sample) {
      using O = decltype(sample);
      with_mode(mode, [&](auto m) {
        constexpr int kMode = decltype(m)::value;
        S* d = wants_input ? d_input.data_ptr<S>() : nullptr;
        const Strides d_strides = wants_input ? input_strides(d_input) : Strides{};
        if (gathers) {
          const int64_t tiles =
              ((s.height + kTile - 1) / kTile) * ((s.width + kTile - 1) / kTile);
          const dim3 blocks(unsigned(tiles),
                            unsigned((s.channels + kTileChannels - 1) / kTileChannels),
                            grid_z(s.images));
          gather_kernel<kMode, O, S><<<blocks, kThreads, 0, stream>>>(
              shape, warp.const_data_ptr<S>(), warp.stride(0), warp.stride(1),
              gradient.const_data_ptr<O>(), sample_strides(gradient), d, d_strides);
        }
        if (scatters || wants_warp)
          gradient_kernel<kMode, T, O, S><<<tiling.blocks, tiling.threads, 0, stream>>>(
              shape, tiling, input.const_data_ptr<T>(), input_strides(input),
              warp.const_data_ptr<S>(), warp.stride(0), warp.stride(1), gradient.const_data_ptr<O>(),
              sample_strides(gradient), scatters ? d : nullptr, d_strides, Factors(shape),
              wants_warp ? sums.data_ptr<S>() : nullptr);
      });
    });
  });
  AT_CUDA_CHECK(cudaGetLastError());
  if (wants_warp && is_grid(warp)) {
    d_warp = sums.sum(0);
  } else if (wants_warp) {
    const int64_t rows = is_projective(warp) ? 3 : 2;
    d_warp = sums.sum(2).narrow(2, 0, 3 * rows).reshape({s.images, s.transformers, rows, 3});
  }
  return {d_input.to(input.scalar_type()), d_warp};
}

}  // namespace

REGISTER_DEVICE_IMPL(mmstn_sample_impl, CUDA, sample_cuda)
REGISTER_DEVICE_IMPL(mmstn_sample_backward_impl, CUDA, sample_backward_cuda)

}  // namespace mmstn
