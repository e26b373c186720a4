// Runs the tasks of a problem: for every channel block the cheaper of two ways to sample it.
#pragma once

#include <cstdlib>
#include <new>

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
    reserve(padded.pixels() * W);
    if (width_ != W) zero_border<S, W>(data_, padded);
    width_ = W;
    return data_;
  }

 private:
  void reserve(int64_t elements) {
    if (elements <= size_) return;
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    width_ = 0;
    const size_t bytes = (size_t(elements) * sizeof(S) + 63) / 64 * 64;
    if (posix_memalign((void**)&data_, 64, bytes) != 0) throw std::bad_alloc();
    size_ = elements;
  }
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
    if (corners(task, &region))
      region = inside(region);
    else if (area > (block.width == 1 ? 8 : 2) * count)
      region = inside(touched<mode>(task));
    if (4 * region.area() > 3 * area) region = whole;  // in one run
    if constexpr (mode == kBilinear) {
      if (use_planes(region, count, block.width)) return run_planar<MapCells<S, L>>(task, b, region);
      if (block.width == 1) return run_planar<BorderedCells<S, L>>(task, b, region);
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
    // A single channel gains nothing from a copy but a border without tests.
    return region.area() > (width == 1 ? 2 : to_input_ ? 10 : 5) * count;
  }

  // Coordinates this large may be off by a pixel in float32.
  static constexpr double kFarCorner = 1 << 16;

  // The corners of an affine map say what it touches, to a pixel more on every side than any kernel
  // reads; false where they say nothing.
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
    *region = {int64_t(low[1]) - 3, int64_t(high[1]) + 4, int64_t(low[0]) - 3, int64_t(high[0]) + 4};
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

  Region inside(Region region) const {
    if (region.y0 < 0) region.y0 = 0;
    if (region.x0 < 0) region.x0 = 0;
    if (region.y1 > p_.height) region.y1 = p_.height;
    if (region.x1 > p_.width) region.x1 = p_.width;
    if (region.y1 < region.y0) region.y1 = region.y0;
    if (region.x1 < region.x0) region.x1 = region.x0;
    return region;
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
  MMSTN_INLINE void finish(const Transformer<S, L>& t, const Task& task, int64_t b, int64_t k,
                           int64_t first) {
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
    const Tile tile{s.dtype, s.c, s.j, int(block.count)};
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
                      task.n * s.n + k * s.k + block.first * s.c + first * s.j);
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
      if (to_map_) finish(t, task, b, k, first);
    });
    if (to_input_) unpack<S, W, L>(d_scratch, padded_, p_.input_gradient, task.n, block, region);
  }

  template <class Cells>
  __attribute__((noinline)) void run_planar(const Task& task, int64_t b, const Region& region) {
    constexpr bool bordered = std::is_same<Cells, BorderedCells<S, L>>::value;
    const Block& block = p_.blocks[b];
    const SampleView& s = p_.samples;
    const MapView& d_input = p_.input_gradient;
    const Tile tile{s.dtype, s.c, s.j, int(block.count)};
    BilinearTaps<S> taps;
    const S* planes = nullptr;
    S* d_planes = nullptr;
    int64_t pitch = padded_.pitch, d_pitch = pitch;
    if (bordered) {
      if (!backward_ || to_map_) {
        S* data = scratch_.template zero_bordered<1>(padded_);
        pack_plane<S, L>(data, padded_, p_.input, task.n, block, region);
        planes = data;
      }
      if (to_input_) {
        d_planes = d_scratch_.template zero_bordered<1>(padded_);
        std::memset(d_planes, 0, sizeof(S) * padded_.pixels());
      }
    } else {
      planes = (const S*)p_.input.data + task.n * p_.input.n + block.first * p_.input.c;
      pitch = p_.input.h;
      d_pitch = p_.width;
      if (to_input_) {
        d_planes = (S*)d_input.data + task.n * d_input.n + block.first * d_input.c;
        for (int64_t c = 0; c < block.count; ++c)
          std::memset(d_planes + c * d_input.c, 0, sizeof(S) * p_.height * p_.width);
      }
    }
    for_chunks(task, [&](const Transformer<S, L>& t, int64_t k, int64_t first, int count) {
      t.points(chunk_, first, count, to_map_);
      taps_of<kBilinear, S, L>(p_, chunk_, taps);
      void* data = at(s.data, s.dtype, task.n * s.n + k * s.k + block.first * s.c + first * s.j);
      if (!backward_)
        return sample_planar<Cells, S, L>(p_, taps, count, planes, pitch, data, tile);
      // Two passes: together they need more registers than there are.
      if (to_map_)
        map_gradient_planar<Cells, S, L>(p_, taps, chunk_, planes, pitch, data, tile);
      if (to_input_)
        input_gradient_planar<Cells, S, L>(p_, taps, count, d_planes, pitch, d_pitch, data, tile);
      if (to_map_) finish(t, task, b, k, first);
    });
    if (bordered && to_input_)
      unpack_plane<S, L>(d_planes, padded_, d_input, task.n, block);
  }

  const Problem& p_;
  const Padded padded_;
  const int64_t points_;
  const bool backward_, to_input_, to_map_;
  Scratch<S> scratch_, d_scratch_;
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
