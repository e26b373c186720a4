// Runs the tasks of a problem: for every channel block the cheapest of several ways to sample it.
#pragma once

#include <cstdlib>
#include <new>

#include "cells.h"
#include "fetched.h"
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
  // The border of a padded region of this many channels is zero on return. It still is where the
  // same was asked for before.
  template <int W>
  S* zero_bordered(const Region& region) {
    const Padded padded(region);
    if (width_ == W && region_ == region) return data_;
    reserve((padded.pixels() + kSlack) * W);  // the last vector may run over
    zero_border<S, W>(data_, padded);
    width_ = W;
    region_ = region;
    return data_;
  }

  // Room for so many elements; what it holds may be anything.
  S* reserve(int64_t elements) {
    width_ = 0;
    if (elements <= size_) return data_;
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    const size_t bytes = (size_t(elements) * sizeof(S) + 63) / 64 * 64;
    if (posix_memalign((void**)&data_, 64, bytes) != 0) throw std::bad_alloc();
    size_ = elements;
    return data_;
  }

 private:
  S* data_ = nullptr;
  int64_t size_ = 0;
  int width_ = 0;
  Region region_{0, 0, 0, 0};
};

template <class S, int L>
class Runner {
 public:
  Runner(const Problem& problem, bool backward)
      : p_(problem), whole_{0, problem.height, 0, problem.width},
        points_(problem.out_height * problem.out_width), backward_(backward),
        to_input_(backward && problem.input_gradient.data),
        to_warp_(backward && problem.wants_warp_gradient) {}

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
    const int64_t count = task.end - task.begin;
    Region region = whole_;
    // Without corners a pass over the points finds what they touch: worth it where they are few.
    if (corners<mode>(task, &region))
      region = inside(region);
    else if (whole_.area() > 2 * count)
      region = inside(touched<mode>(task));
    if (4 * region.area() > 3 * whole_.area()) region = whole_;  // in one run
    if (use_planes<mode>(region, count, block.width)) {
      run_planar<mode>(task, b);
    } else if (few_points<mode>(region, count)) {
      switch_width<mode, true>(task, b, region);
    } else if (mode == kBilinear && block.width == 1) {
      run_cells(task, b, region);
    } else {
      switch_width<mode, false>(task, b, region);
    }
  }

  template <int mode, bool fetched>
  void switch_width(const Task& task, int64_t b, const Region& region) {
    switch (p_.blocks[b].width) {
      case 16:
        if constexpr (L >= 16) return run_packed<mode, 16, fetched>(task, b, region);
        break;
      case 8:
        if constexpr (L >= 8) return run_packed<mode, 8, fetched>(task, b, region);
        break;
      case 2:
        if constexpr (sizeof(S) == 8) return run_packed<mode, 2, fetched>(task, b, region);
        break;
      default:
        break;
    }
    if constexpr (L >= 4)
      run_packed<mode, 4, fetched>(task, b, region);
    else
      run_packed<mode, 2, fetched>(task, b, region);
  }

  // What scratch memory is made for: the region, or a whole input that is so small that its border
  // need not be cleared for every region anew.
  Region window(const Region& region) const {
    constexpr int64_t small = 1 << 14;
    return whole_.area() <= small ? whole_ : region;
  }

  // A copy of a larger region than this would not fit any cache.
  static constexpr int64_t kLargestCopy = 1 << 24;

  // Whether a copy of the region would cost more than to sample from the input's planes in place.
  template <int mode>
  bool use_planes(const Region& region, int64_t count, int width) const {
    if (p_.input.dtype != dtype_of<S>() || p_.input.w != 1) return false;
    if (mode == kBilinear && p_.width < 2) return false;  // it reads two pixels of a row at once
    if (p_.input.h < 0 || p_.height * p_.input.h > INT32_MAX) return false;
    const InputView& d = p_.input_gradient;
    if (to_input_ && (d.dtype != dtype_of<S>() || d.w != 1 || d.h != p_.width)) return false;
    if (region.area() > kLargestCopy) return true;
    // Only bilinear cells have a copy for single channels, which costs little.
    if (mode == kBilinear) return region.area() > (width == 1 ? 8 : to_input_ ? 10 : 5) * count;
    return width == 1 || region.area() > (mode == kNearest ? 2 : 12) * count;
  }

  // Whether it would cost more than to fetch the pixels of each point.
  template <int mode>
  bool few_points(const Region& region, int64_t count) const {
    if (to_input_ && (p_.input_gradient.dtype != dtype_of<S>() || !p_.input_gradient_is_zero))
      return false;
    constexpr int64_t taps = Kernel<mode>::taps * Kernel<mode>::taps;
    return region.area() > 3 * taps * count || region.area() > kLargestCopy;
  }

  // Coordinates this large may be off by a pixel in float32.
  static constexpr double kFarCorner = 1 << 16;

  // The corners of an affine warp say what it touches, to the pixel that a rounding error may add on
  // every side; false where they say nothing.
  template <int mode>
  bool corners(const Task& task, Region* region) const {
    if (p_.source != Source::kAffine || p_.padding == kReflection) return false;
    const double sizes[2] = {double(p_.width), double(p_.height)};
    double low[2] = {sizes[0] + 4, sizes[1] + 4}, high[2] = {-4, -4};
    for (int64_t at = task.begin; at < task.end;) {
      const int64_t k = at / points_, begin = k * points_;
      const int64_t end = begin + points_ < task.end ? begin + points_ : task.end;
      const PixelWarp<double> warp = Warp<S, L>(p_, task.n, k).matrix;
      const int64_t rows[2] = {(at - begin) / p_.out_width, (end - 1 - begin) / p_.out_width};
      for (int corner = 0; corner < 4; ++corner) {
        const double i = double(rows[corner / 2]) - 0.5 * double(p_.out_height - 1);
        const double j = (corner % 2 ? 0.5 : -0.5) * double(p_.out_width - 1);
        const double point[2] = {warp.x[0] * j + warp.x[1] * i + warp.x[2] + warp.offset_x,
                                 warp.y[0] * j + warp.y[1] * i + warp.y[2] + warp.offset_y};
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
    constexpr int before = Kernel<mode>::first - 1, after = before + Kernel<mode>::taps + 2;
    *region = {int64_t(low[1]) + before, int64_t(high[1]) + after, int64_t(low[0]) + before,
               int64_t(high[0]) + after};
    return true;
  }

  template <int mode>
  Region touched(const Task& task) {
    Region region{p_.height, 0, p_.width, 0};
    typename TapsOf<mode, S>::type taps;
    for_chunks<kChunk>(task, [&](const Warp<S, L>& t, int64_t, int64_t first, int count) {
      t.points(chunk_, first, count, false);
      taps_of<mode, S, L>(p_, whole_, chunk_, taps);
      widen(region, taps, count);
    });
    return region;
  }

  Region inside(const Region& region) const {
    const auto between = [](int64_t i, int64_t least, int64_t most) {
      return i < least ? least : i > most ? most : i;
    };
    const int64_t y0 = between(region.y0, 0, p_.height), x0 = between(region.x0, 0, p_.width);
    return {y0, between(region.y1, y0, p_.height), x0, between(region.x1, x0, p_.width)};
  }

  template <int most, class F>
  MMSTN_INLINE void for_chunks(const Task& task, F&& f) {
    int64_t at = task.begin;
    while (at < task.end) {
      const int64_t k = at / points_, stop = (k + 1) * points_ < task.end ? (k + 1) * points_ : task.end;
      const Warp<S, L> transformer(p_, task.n, k);
      for (; at < stop; at += most)
        f(transformer, k, at - k * points_, int(stop - at < most ? stop - at : most));
      at = stop;
    }
  }

  // What is done with the gradient of points once a chunk is through.
  template <int mode>
  MMSTN_INLINE void finish(const Warp<S, L>& t, const Task& task, int64_t b, int64_t k,
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
      t.template add_gradient<true>(chunk_, task.warp_gradient + 9 * (k - task.first_warp));
    else
      t.template add_gradient<false>(chunk_, task.warp_gradient + 9 * (k - task.first_warp));
  }

  // Sets the gradient of the input to zero where nothing is touched.
  void clear_around(const Task& task, const Block& block, const Region& region) const {
    if (!p_.input_gradient_is_zero && !(region == whole_))
      zero_around(p_.input_gradient, p_.height, p_.width, task.n, block, region);
  }

  // In a copy of the region or, if `fetched`, of the pixels of a few points after the other.
  template <int mode, int W, bool fetched>
  __attribute__((noinline)) void run_packed(const Task& task, int64_t b, const Region& region) {
    constexpr int T = Kernel<mode>::taps;
    const Block& block = p_.blocks[b];
    const SampleView& s = p_.samples;
    const Tile tile{s.dtype, s.c, s.point, int(block.count)};
    const Region window = fetched ? whole_ : this->window(region);
    const Padded padded(window);
    const bool reads = !backward_ || (to_warp_ && mode != kNearest);
    typename TapsOf<mode, S>::type taps;
    Places<fetched ? T : 1> places, d_places;
    S *scratch = nullptr, *d_scratch = nullptr;
    constexpr int64_t fetched_size = T * T * kFew * W;
    if (fetched) {
      if (reads) {
        scratch = scratch_.reserve(fetched_size + kSlack);
        std::memset(scratch, 0, sizeof(S) * fetched_size);  // for lanes without a channel
      }
      if (to_input_) d_scratch = d_scratch_.reserve(fetched_size + kSlack);
    } else {
      // Bilinear taps count from the border's corner, others from that of the region.
      const int64_t corner = mode == kBilinear ? 0 : padded.offset(0, 0) * W;
      if (reads) {
        scratch = scratch_.template zero_bordered<W>(window);
        pack<S, W, L>(scratch, window, p_.input, task.n, block, region);
        scratch += corner;
      }
      if (to_input_) {
        d_scratch = d_scratch_.template zero_bordered<W>(window);
        zero_inside<S, W>(d_scratch, window, region);
        d_scratch += corner;
      }
    }
    const int64_t pitch = fetched ? T * kFew : padded.pitch;
    for_chunks<fetched ? kFew : kChunk>(task, [&](const Warp<S, L>& t, int64_t k,
                                                  int64_t first, int count) {
      t.points(chunk_, first, count, to_warp_);
      taps_of<mode, S, L>(p_, window, chunk_, taps);
      if constexpr (fetched) {
        if (reads) {
          find_pixels(places, taps, count, p_, p_.input);
          fetch<S, W, T>(scratch, places, count, p_.input, task.n, block);
        }
        if (to_input_) {
          find_pixels(d_places, taps, count, p_, p_.input_gradient);
          std::memset(d_scratch, 0, sizeof(S) * fetched_size);
        }
        point_into_scratch(taps, count);
      }
      void* data = at(s.data, s.dtype,
                      task.n * s.n + k * s.k + block.first * s.c + first * s.point);
      if (!backward_) {
        sample_packed<S, W, (L > 4)>(taps, count, scratch, pitch, data, tile);
        return;
      }
      if (to_input_ && to_warp_)
        gradient_packed<S, W, true, true, (L > 4)>(taps, chunk_, scratch, d_scratch, pitch, data, tile);
      else if (to_input_)
        gradient_packed<S, W, true, false, (L > 4)>(taps, chunk_, scratch, d_scratch, pitch, data, tile);
      else
        gradient_packed<S, W, false, true, (L > 4)>(taps, chunk_, scratch, d_scratch, pitch, data, tile);
      if constexpr (fetched) {
        if (to_input_)
          scatter<S, W, T>(d_scratch, d_places, count, p_.input_gradient, task.n, block);
      }
      if (to_warp_) finish<mode>(t, task, b, k, first);
    });
    if (!fetched && to_input_) {
      clear_around(task, block, region);
      d_scratch -= mode == kBilinear ? 0 : padded.offset(0, 0) * W;
      unpack<S, W, L>(d_scratch, window, p_.input_gradient, task.n, block, region);
    }
  }

  __attribute__((noinline)) void run_cells(const Task& task, int64_t b, const Region& region) {
    const Block& block = p_.blocks[b];
    const SampleView& s = p_.samples;
    const Tile tile{s.dtype, s.c, s.point, 1};
    const Region window = this->window(region);
    CellTaps<S> taps;
    S *scratch = nullptr, *d_scratch = nullptr;
    if (!backward_ || to_warp_) {
      scratch = cells_.template zero_bordered<2>(window);
      pack_cells<S, L>(scratch, window, p_.input, task.n, block.first, region);
    }
    if (to_input_) {
      const Padded padded(window);
      d_scratch = d_scratch_.reserve(4 * GradientCells(padded).count(padded) + 4 * kSlack);
      zero_cells(d_scratch, window, region);
    }
    for_chunks<kChunk>(task, [&](const Warp<S, L>& t, int64_t k, int64_t first, int count) {
      t.points(chunk_, first, count, to_warp_);
      make_cell_taps<S, L>(p_, window, chunk_, taps, to_input_);
      void* data = at(s.data, s.dtype, task.n * s.n + k * s.k + block.first * s.c + first * s.point);
      if (!backward_) return sample_cells<S, L>(taps, count, scratch, data, tile);
      if (to_input_ && to_warp_)
        gradient_cells<S, L, true, true>(taps, chunk_, scratch, d_scratch, data, tile);
      else if (to_input_)
        gradient_cells<S, L, true, false>(taps, chunk_, scratch, d_scratch, data, tile);
      else
        gradient_cells<S, L, false, true>(taps, chunk_, scratch, d_scratch, data, tile);
      if (to_warp_) finish<kBilinear>(t, task, b, k, first);
    });
    if (to_input_) {
      clear_around(task, block, region);
      unpack_cells<S, L>(d_scratch, window, p_.input_gradient, task.n, block.first, region);
    }
  }

  template <int mode>
  __attribute__((noinline)) void run_planar(const Task& task, int64_t b) {
    const Block& block = p_.blocks[b];
    const SampleView& s = p_.samples;
    const InputView& d_input = p_.input_gradient;
    const Tile tile{s.dtype, s.c, s.point, int(block.count)};
    typename TapsOf<mode, S>::type taps;
    const S* planes = (const S*)p_.input.data + task.n * p_.input.n + block.first * p_.input.c;
    S* d_planes = nullptr;
    if (to_input_) {
      d_planes = (S*)d_input.data + task.n * d_input.n + block.first * d_input.c;
      clear_around(task, block, Region{0, 0, 0, 0});
    }
    for_chunks<kChunk>(task, [&](const Warp<S, L>& t, int64_t k, int64_t first, int count) {
      t.points(chunk_, first, count, to_warp_);
      taps_of<mode, S, L>(p_, whole_, chunk_, taps);
      void* data = at(s.data, s.dtype, task.n * s.n + k * s.k + block.first * s.c + first * s.point);
      if (!backward_) return sample_planar<S, L>(p_, taps, count, planes, data, tile);
      // Two passes: together they need more registers than there are.
      if (to_warp_) warp_gradient_planar<S, L>(p_, taps, chunk_, planes, data, tile);
      if (to_input_) input_gradient_planar<S, L>(p_, taps, count, d_planes, data, tile);
      if (to_warp_) finish<mode>(t, task, b, k, first);
    });
  }

  const Problem& p_;
  const Region whole_;
  const int64_t points_;
  const bool backward_, to_input_, to_warp_;
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
