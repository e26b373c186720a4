// Runs the tasks of a problem: for every channel block the cheaper of two ways to sample it.
#pragma once

#include <cstdlib>
#include <new>

#include "cells.h"
#include "packed.h"
#include "planar.h"

namespace mmstn {
namespace MMSTN_ARCH {

// Scratch memory of one thread, aligned to cache lines.
template <class S>
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  ~Scratch() { std::free(data_); }
  // The border of a padded map of this many channels is zero on return.
  template <int W>
  S* zero_bordered(const Padded& padded) {
    reserve((padded.pixels() + kSlack) * W);  // the last vector may run over
    if (width_ != W) zero_border<S, W>(data_, padded);
    width_ = W;
    return data_;
  }

  // Room for so many elements; what it holds may be anything.
  S* reserve(int64_t elements) {
    if (elements <= size_) return data_;
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    width_ = 0;
    const size_t bytes = (size_t(elements) * sizeof(S) + 63) / 64 * 64;
    if (posix_memalign((void**)&data_, 64, bytes) != 0) throw std::bad_alloc();
    size_ = elements;
    return data_;
  }

 private:
  S* data_ = nullptr;
  int64_t size_ = 0;
  int width_ = 0;
};

template <class S, int L>
class Runner {
 public:
  Runner(const Problem& problem, bool backward)
      : p_(problem), padded_(problem), points_(problem.out_height * problem.out_width),
        backward_(backward), to_input_(backward && problem.input_gradient.data),
        to_map_(backward && problem.wants_map_gradient) {}

  void run(const Task& task) {
    for (int64_t b = task.first_block; b < task.last_block; ++b) {
      if (p_.mode == kNearest)
        run_mode<kNearest>(task, b);
      else if (p_.mode == kBicubic)
        run_mode<kBicubic>(task, b);
      else
        run_mode<kBilinear>(task, b);
    }
  }

 private:
  template <int mode>
  __attribute__((noinline)) void run_mode(const Task& task, int64_t b) {
    const Block& block = p_.blocks[b];
    const int64_t area = p_.height * p_.width, count = task.end - task.begin;
    const Region whole{0, p_.height, 0, p_.width};
    Region region = whole;
    // Without corners a pass over the points finds what they touch: worth it where they are few.
    if (corners<mode>(task, &region))
      region = inside(region);
    else if (area > 2 * count)
      region = inside(touched<mode>(task));
    if (4 * region.area() > 3 * area) region = whole;  // in one run
    if constexpr (mode == kBilinear) {
      if (use_planes(region, count, block.width)) return run_planar(task, b);
      if (block.width == 1) return run_cells(task, b, region);
    }
    switch (block.width) {
      case 16:
        if constexpr (L >= 16) return run_packed<mode, 16>(task, b, region);
        break;
      case 8:
        if constexpr (L >= 8) return run_packed<mode, 8>(task, b, region);
        break;
      case 2:
        if constexpr (sizeof(S) == 8) return run_packed<mode, 2>(task, b, region);
        break;
      default:
        break;
    }
    if constexpr (L >= 4)
      run_packed<mode, 4>(task, b, region);
    else
      run_packed<mode, 2>(task, b, region);
  }

  bool use_planes(const Region& region, int64_t count, int width) const {
    if (p_.input.dtype != dtype_of<S>() || p_.input.w != 1 || p_.width < 2) return false;
    if (p_.input.h < 0 || p_.height * p_.input.h > INT32_MAX) return false;
    const MapView& d = p_.input_gradient;
    if (to_input_ && (d.dtype != dtype_of<S>() || d.w != 1 || d.h != p_.width)) return false;
    // A copy of a single channel costs little.
    return region.area() > (width == 1 ? 8 : to_input_ ? 10 : 5) * count;
  }

  // Coordinates this large may be off by a pixel in float32.
  static constexpr double kFarCorner = 1 << 16;

  // The corners of an affine map say what it touches, to the pixel that a rounding error may add on
  // every side; false where they say nothing.
  template <int mode>
  bool corners(const Task& task, Region* region) const {
    if (p_.source != Source::kAffine || p_.padding == kReflection) return false;
    const double sizes[2] = {double(p_.width), double(p_.height)};
    double low[2] = {sizes[0] + 4, sizes[1] + 4}, high[2] = {-4, -4};
    for (int64_t at = task.begin; at < task.end;) {
      const int64_t k = at / points_, begin = k * points_;
      const int64_t end = begin + points_ < task.end ? begin + points_ : task.end;
      const PixelMap<double> map = Transformer<S, L>(p_, task.n, k).map;
      const int64_t rows[2] = {(at - begin) / p_.out_width, (end - 1 - begin) / p_.out_width};
      for (int corner = 0; corner < 4; ++corner) {
        const double i = double(rows[corner / 2]) - 0.5 * double(p_.out_height - 1);
        const double j = (corner % 2 ? 0.5 : -0.5) * double(p_.out_width - 1);
        const double point[2] = {map.x[0] * j + map.x[1] * i + map.x[2] + map.offset_x,
                                 map.y[0] * j + map.y[1] * i + map.y[2] + map.offset_y};
        for (int a = 0; a < 2; ++a) {
          if (!(absolute(point[a]) < kFarCorner)) return false;
          const double edge = p_.padding == kBorder ? 0 : 4;
          const double held = clip(point[a], -edge, sizes[a] - 1 + edge);
          low[a] = held < low[a] ? held : low[a];
          high[a] = held > high[a] ? held : high[a];
        }
      }
      at = end;
    }
    constexpr int before = Kernel<mode>::first - 1, behind = before + Kernel<mode>::taps + 2;
    *region = {int64_t(low[1]) + before, int64_t(high[1]) + behind, int64_t(low[0]) + before,
               int64_t(high[0]) + behind};
    return true;
  }

  template <int mode>
  Region touched(const Task& task) {
    Region region{p_.height, 0, p_.width, 0};
    typename TapsOf<mode, S>::type taps;
    for_chunks(task, [&](const Transformer<S, L>& t, int64_t, int64_t first, int count) {
      t.points(chunk_, first, count, false);
      taps_of<mode, S, L>(p_, chunk_, taps);
      widen(region, taps, count);
    });
    return region;
  }

  Region inside(const Region& region) const {
    const auto hold = [](int64_t i, int64_t least, int64_t most) {
      return i < least ? least : i > most ? most : i;
    };
    const int64_t y0 = hold(region.y0, 0, p_.height), x0 = hold(region.x0, 0, p_.width);
    return {y0, hold(region.y1, y0, p_.height), x0, hold(region.x1, x0, p_.width)};
  }

  template <class F>
  MMSTN_INLINE void for_chunks(const Task& task, F&& f) {
    int64_t at = task.begin;
    while (at < task.end) {
      const int64_t k = at / points_, stop = (k + 1) * points_ < task.end ? (k + 1) * points_ : task.end;
      const Transformer<S, L> transformer(p_, task.n, k);
      for (; at < stop; at += kChunk)
        f(transformer, k, at - k * points_, int(stop - at < kChunk ? stop - at : kChunk));
      at = stop;
    }
  }

  // What is done with the gradient of points once a chunk is through.
  template <int mode>
  MMSTN_INLINE void finish(const Transformer<S, L>& t, const Task& task, int64_t b, int64_t k,
                           int64_t first) {
    if (mode == kBilinear && p_.padding != kZeros)
      for (int q = 0; q < chunk_.count; ++q) {
        chunk_.gx[q] *= chunk_.slope_x[q];
        chunk_.gy[q] *= chunk_.slope_y[q];
      }
    if (p_.source == Source::kGrid)
      t.write_grid_gradient(
          chunk_, (S*)p_.grid_gradient + 2 * ((task.n * p_.transformers + k) * points_ + first),
          b > task.first_block);
    else if (p_.source == Source::kProjective)
      t.template add_gradient<true>(chunk_, task.map_gradient + 9 * k);
    else
      t.template add_gradient<false>(chunk_, task.map_gradient + 9 * k);
  }

  template <int mode, int W>
  __attribute__((noinline)) void run_packed(const Task& task, int64_t b, const Region& region) {
    const Block& block = p_.blocks[b];
    const SampleView& s = p_.samples;
    const Tile tile{s.dtype, s.c, s.point, int(block.count)};
    typename TapsOf<mode, S>::type taps;
    const S* scratch = nullptr;
    S* d_scratch = nullptr;
    if (!backward_ || (to_map_ && mode != kNearest)) {
      S* data = scratch_.template zero_bordered<W>(padded_);
      pack<S, W, L>(data, padded_, p_.input, task.n, block, region);
      scratch = data;
    }
    if (to_input_) {
      d_scratch = d_scratch_.template zero_bordered<W>(padded_);
      zero_region<S, W>(d_scratch, padded_, region);
    }
    const int64_t pitch = padded_.pitch;
    for_chunks(task, [&](const Transformer<S, L>& t, int64_t k, int64_t first, int count) {
      t.points(chunk_, first, count, to_map_);
      taps_of<mode, S, L>(p_, chunk_, taps);
      void* data = at(s.data, s.dtype,
                      task.n * s.n + k * s.k + block.first * s.c + first * s.point);
      if (!backward_) {
        sample_packed<S, W, (L > 4)>(taps, count, scratch, pitch, data, tile);
        return;
      }
      if (to_input_ && to_map_)
        gradient_packed<S, W, true, true, (L > 4)>(taps, chunk_, scratch, d_scratch, pitch, data, tile);
      else if (to_input_)
        gradient_packed<S, W, true, false, (L > 4)>(taps, chunk_, scratch, d_scratch, pitch, data, tile);
      else
        gradient_packed<S, W, false, true, (L > 4)>(taps, chunk_, scratch, d_scratch, pitch, data, tile);
      if (to_map_) finish<mode>(t, task, b, k, first);
    });
    if (to_input_) unpack<S, W, L>(d_scratch, padded_, p_.input_gradient, task.n, block, region);
  }

  __attribute__((noinline)) void run_cells(const Task& task, int64_t b, const Region& region) {
    const Block& block = p_.blocks[b];
    const SampleView& s = p_.samples;
    const Tile tile{s.dtype, s.c, s.point, 1};
    CellTaps<S> taps;
    const S* scratch = nullptr;
    S* d_scratch = nullptr;
    if (!backward_ || to_map_) {
      S* data = cells_.template zero_bordered<2>(padded_);
      pack_cells<S, L>(data, padded_, p_.input, task.n, block.first, region);
      scratch = data;
    }
    if (to_input_) {
      const GradientCells cells(padded_);
      d_scratch = d_scratch_.reserve(4 * cells.count(padded_) + 4 * kSlack);
      zero_cells(d_scratch, cells, region);
    }
    for_chunks(task, [&](const Transformer<S, L>& t, int64_t k, int64_t first, int count) {
      t.points(chunk_, first, count, to_map_);
      make_cell_taps<S, L>(p_, padded_, chunk_, taps, to_input_);
      void* data = at(s.data, s.dtype, task.n * s.n + k * s.k + block.first * s.c + first * s.point);
      if (!backward_) return sample_cells<S, L>(taps, count, scratch, data, tile);
      if (to_input_ && to_map_)
        gradient_cells<S, L, true, true>(taps, chunk_, scratch, d_scratch, data, tile);
      else if (to_input_)
        gradient_cells<S, L, true, false>(taps, chunk_, scratch, d_scratch, data, tile);
      else
        gradient_cells<S, L, false, true>(taps, chunk_, scratch, d_scratch, data, tile);
      if (to_map_) finish<kBilinear>(t, task, b, k, first);
    });
    if (to_input_)
      unpack_cells<S, L>(d_scratch, padded_, p_.input_gradient, task.n, block.first, region);
  }

  __attribute__((noinline)) void run_planar(const Task& task, int64_t b) {
    const Block& block = p_.blocks[b];
    const SampleView& s = p_.samples;
    const MapView& d_input = p_.input_gradient;
    const Tile tile{s.dtype, s.c, s.point, int(block.count)};
    BilinearTaps<S> taps;
    const S* planes = (const S*)p_.input.data + task.n * p_.input.n + block.first * p_.input.c;
    S* d_planes = nullptr;
    if (to_input_) {
      d_planes = (S*)d_input.data + task.n * d_input.n + block.first * d_input.c;
      for (int64_t c = 0; c < block.count; ++c)
        std::memset(d_planes + c * d_input.c, 0, sizeof(S) * p_.height * p_.width);
    }
    for_chunks(task, [&](const Transformer<S, L>& t, int64_t k, int64_t first, int count) {
      t.points(chunk_, first, count, to_map_);
      make_taps<S, L>(p_, chunk_, taps);
      void* data = at(s.data, s.dtype, task.n * s.n + k * s.k + block.first * s.c + first * s.point);
      if (!backward_) return sample_planar<S, L>(p_, taps, count, planes, data, tile);
      // Two passes: together they need more registers than there are.
      if (to_map_) map_gradient_planar<S, L>(p_, taps, chunk_, planes, data, tile);
      if (to_input_) input_gradient_planar<S, L>(p_, taps, count, d_planes, data, tile);
      if (to_map_) finish<kBilinear>(t, task, b, k, first);
    });
  }

  const Problem& p_;
  const Padded padded_;
  const int64_t points_;
  const bool backward_, to_input_, to_map_;
  Scratch<S> scratch_, cells_, d_scratch_;
  Chunk<S> chunk_;
};

template <class S, int L, bool backward>
static void run_tasks(const Problem& problem, const Task* tasks, int64_t begin, int64_t end) {
  Runner<S, L> runner(problem, backward);
  for (int64_t t = begin; t < end; ++t) runner.run(tasks[t]);
}

template <int float_lanes, int double_lanes>
static const Kernels* make_kernels(const char* name) {
  static const Kernels kernels = {
      name,
      float_lanes,
      double_lanes,
      run_tasks<float, float_lanes, false>,
      run_tasks<double, double_lanes, false>,
      run_tasks<float, float_lanes, true>,
      run_tasks<double, double_lanes, true>,
  };
  return &kernels;
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
