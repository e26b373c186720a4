// Sampling straight from the planes (H, W) of the input, one channel after the other: for points so few
// that a copy of the region would cost more.
#pragma once

#include "taps.h"
#include "tiles.h"

namespace mmstn {
namespace MMSTN_ARCH {

// Pairs of neighbours base[offset[q]], base[offset[q] + 1]: one load of two numbers is faster than
// the CPU's gather instructions, and a list of loads makes better code than one lane after another.
MMSTN_INLINE int64_t read_pair(const float* p) {
  int64_t pair;
  std::memcpy(&pair, p, 8);
  return pair;
}
template <int L, int... I>
MMSTN_INLINE void load_pairs_(const float* base, const int32_t* offset, Vec<float, L>* left,
                              Vec<float, L>* right, std::integer_sequence<int, I...>) {
  using Pairs = Vec<int64_t, L / 2>;
  const Pairs a = {read_pair(base + offset[I])...};
  const Pairs b = {read_pair(base + offset[L / 2 + I])...};
  const auto fa = (Vec<float, L>)a, fb = (Vec<float, L>)b;
  *left = shuffle<PickStrided<L, 0>>(fa, fb);
  *right = shuffle<PickStrided<L, 1>>(fa, fb);
}
template <int L, int... I>
MMSTN_INLINE void load_pairs_(const double* base, const int32_t* offset, Vec<double, L>* left,
                              Vec<double, L>* right, std::integer_sequence<int, I...>) {
  *left = Vec<double, L>{base[offset[I]]..., base[offset[L / 2 + I]]...};
  *right = Vec<double, L>{base[offset[I] + 1]..., base[offset[L / 2 + I] + 1]...};
}
template <int L, class S>
MMSTN_INLINE void load_pairs(const S* base, const int32_t* offset, Vec<S, L>* left,
                             Vec<S, L>* right) {
  load_pairs_<L>(base, offset, left, right, std::make_integer_sequence<int, L / 2>{});
}

// The 2 x 2 cells of L points. Every load is inside the plane; what is not part of the input is then
// chosen to be zero, whatever was read.
template <class S, int L>
struct InputCells {
  using V = Vec<S, L>;
  using Mask = typename VecOps<V>::Int;
  alignas(64) int32_t above[L], below[L];
  bool inside;  // all cells are
  int64_t width;
  Mask left_left, left_right, right_left, right_right, has_above, has_below;

  InputCells() = default;
  MMSTN_INLINE InputCells(const BilinearTaps<S>& taps, int first, const Problem& p) {
    using Index = Vec<int32_t, L>;
    const Index ix = load<Index>(taps.ix.v + first), iy = load<Index>(taps.iy.v + first);
    const int32_t last_x = int32_t(p.width - 2), last_y = int32_t(p.height - 1);
    const Index x = clip_(ix, last_x), y0 = clip_(iy, last_y), y1 = clip_(iy + 1, last_y);
    width = p.width;
    store(above, y0 * int32_t(p.input.h) + x);
    store(below, y1 * int32_t(p.input.h) + x);
    const Index in = (ix == x) & (iy == y0) & (iy + 1 == y1);
    inside = all(in);
    if (!inside) {
      left_left = widen(ix == x);
      left_right = widen(ix == x + 1);
      right_left = widen(ix + 1 == x);
      right_right = left_left;
      has_above = widen(iy == y0);
      has_below = widen(iy + 1 == y1);
    }
  }

  MMSTN_INLINE int64_t cell(const BilinearTaps<S>& taps, int first, int q) const {
    return int64_t(taps.iy.v[first + q]) * width + taps.ix.v[first + q];
  }
  MMSTN_INLINE void values(const S* plane, V* v00, V* v01, V* v10, V* v11) const {
    load_pairs<L>(plane, above, v00, v01);
    load_pairs<L>(plane, below, v10, v11);
    if (!inside) {
      choose(has_above, v00, v01);
      choose(has_below, v10, v11);
    }
  }

 private:
  using Index = Vec<int32_t, L>;
  static MMSTN_INLINE Index clip_(Index i, int32_t last) {
    i = i > 0 ? i : Index{};
    return i < last ? i : Index{} + last;
  }
  static MMSTN_INLINE Mask widen(Index i) { return __builtin_convertvector(i, Mask); }
  static MMSTN_INLINE bool all(Index i) {
    int64_t words[L * 4 / 8], every = -1;
    std::memcpy(words, &i, sizeof(words));
    for (unsigned w = 0; w < L * 4 / 8; ++w) every &= words[w];
    return every == -1;
  }
  MMSTN_INLINE void choose(Mask has, V* left, V* right) const {
    const V l = select(left_left & has, *left, select(left_right & has, *right, V{}));
    const V r = select(right_right & has, *right, select(right_left & has, *left, V{}));
    *left = l;
    *right = r;
  }
};

// The cells of a chunk, L points at a time. Channels are the loop around them, so that reads follow
// each other in one plane: from plane to plane each would touch another page of memory.
template <class S, int L>
struct ChunkCells {
  InputCells<S, L> cells[kChunk / L];
  int first[kChunk / L], groups = 0;

  // `overlap`: the last group may begin inside the one before, so that it is a full one.
  MMSTN_INLINE ChunkCells(const Problem& p, const BilinearTaps<S>& taps, int count,
                          bool overlap) {
    for (int q = 0; q < count; q += L, ++groups) {
      first[groups] = overlap && q + L > count && count >= L ? count - L : q;
      cells[groups] = InputCells<S, L>(taps, first[groups], p);
    }
  }
};

template <class S, int L>
static void sample_planar(const Problem& p, const BilinearTaps<S>& taps, int count,
                          const S* planes, void* out, const Tile& tile) {
  using V = Vec<S, L>;
  const ChunkCells<S, L> chunk(p, taps, count, true);
  for (int c = 0; c < tile.channels; ++c)
    for (int g = 0; g < chunk.groups; ++g) {
      const int first = chunk.first[g], pixels = count - first < L ? count - first : L;
      V v00, v01, v10, v11;
      chunk.cells[g].values(planes + c * p.input.c, &v00, &v01, &v10, &v11);
      const V v = v00 * load<V>(taps.w00.v + first) + v01 * load<V>(taps.w01.v + first) +
                  (v10 * load<V>(taps.w10.v + first) + v11 * load<V>(taps.w11.v + first));
      write_pixels<S, L>(at(out, tile.dtype, first * tile.pixel + c * tile.channel), tile.dtype,
                         tile.pixel, pixels, v);
    }
}

// Writes (gx, gy).
template <class S, int L>
static void warp_gradient_planar(const Problem& p, const BilinearTaps<S>& taps, Chunk<S>& points,
                                const S* planes, const void* gradient, const Tile& tile) {
  using V = Vec<S, L>;
  const ChunkCells<S, L> chunk(p, taps, points.count, true);
  V gx[kChunk / L], gy[kChunk / L];
  for (int c = 0; c < tile.channels; ++c)
    for (int g = 0; g < chunk.groups; ++g) {
      const int first = chunk.first[g], left = points.count - first;
      const V dv = read_pixels<S, L>(
          at(gradient, tile.dtype, first * tile.pixel + c * tile.channel), tile.dtype, tile.pixel,
          left);
      V v00, v01, v10, v11;
      chunk.cells[g].values(planes + c * p.input.c, &v00, &v01, &v10, &v11);
      const V tx = load<V>(taps.tx.v + first), ty = load<V>(taps.ty.v + first);
      const V x = dv * ((v01 - v00) * (1 - ty) + (v11 - v10) * ty);
      const V y = dv * ((v10 - v00) * (1 - tx) + (v11 - v01) * tx);
      gx[g] = c ? gx[g] + x : x;
      gy[g] = c ? gy[g] + y : y;
    }
  for (int g = 0; g < chunk.groups; ++g) {
    const int first = chunk.first[g];
    store(points.gx + first, gx[g]);
    store(points.gy + first, gy[g]);
  }
}

// Adds to `d_planes`, the gradient of the planes, whose rows have no gaps.
template <class S, int L>
static void input_gradient_planar(const Problem& p, const BilinearTaps<S>& taps, int count,
                                  S* d_planes, const void* gradient, const Tile& tile) {
  using V = Vec<S, L>;
  const int32_t width = int32_t(p.width), height = int32_t(p.height);
  const ChunkCells<S, L> chunk(p, taps, count, false);
  for (int c = 0; c < tile.channels; ++c)
    for (int g = 0; g < chunk.groups; ++g) {
      const int first = chunk.first[g], pixels = count - first < L ? count - first : L;
      const V dv = read_pixels<S, L>(
          at(gradient, tile.dtype, first * tile.pixel + c * tile.channel), tile.dtype, tile.pixel,
          pixels);
      alignas(64) S d00[L], d01[L], d10[L], d11[L];
      store(d00, dv * load<V>(taps.w00.v + first));
      store(d01, dv * load<V>(taps.w01.v + first));
      store(d10, dv * load<V>(taps.w10.v + first));
      store(d11, dv * load<V>(taps.w11.v + first));
      S* d = d_planes + c * p.input_gradient.c;
      const InputCells<S, L>& cells = chunk.cells[g];
      if (cells.inside) {
        for (int o = 0; o < L; ++o) {
          const int q = (o % 2) * (L / 2) + o / 2;  // neighbours not one after the other
          if (q >= pixels) continue;
          S* cell = d + cells.cell(taps, first, q);
          cell[0] += d00[q];
          cell[1] += d01[q];
          cell[width] += d10[q];
          cell[width + 1] += d11[q];
        }
        continue;
      }
      for (int q = 0; q < pixels; ++q) {
        const int32_t y = taps.iy.v[first + q], x = taps.ix.v[first + q];
        S* cell = d + int64_t(y) * width + x;
        const bool left = x >= 0 && x < width, right = x >= -1 && x < width - 1;
        if (y >= 0 && y < height) {
          if (left) cell[0] += d00[q];
          if (right) cell[1] += d01[q];
        }
        if (y >= -1 && y < height - 1) {
          if (left) cell[width] += d10[q];
          if (right) cell[width + 1] += d11[q];
        }
      }
    }
}

// Kernels of T x T taps. Where each of them is in a plane, for all points of a chunk; taps outside the
// input read its first pixel, which is then replaced by zero.
template <int T>
struct TapOffsets {
  Line<int32_t> of[T][T];
  bool inside;  // all of them are

  template <class S>
  TapOffsets(const KernelTaps<S, T>& taps, int count, const Problem& p, int64_t pitch) {
    const int32_t height = int32_t(p.height), width = int32_t(p.width);
    int32_t outside = 0;
    for (int t = 0; t < T; ++t)
      for (int q = 0; q < count; ++q)
        outside |= (taps.row[t].v[q] >= height) | (taps.column[t].v[q] >= width);
    inside = !outside;
    for (int b = 0; b < T; ++b)
      for (int a = 0; a < T; ++a)
        for (int q = 0; q < count + kSlack; ++q) {
          const int32_t y = taps.row[b].v[q], x = taps.column[a].v[q];
          of[b][a].v[q] = (q < count) & (y < height) & (x < width) ? y * int32_t(pitch) + x : 0;
        }
  }
};

template <int L, class S, int... I>
MMSTN_INLINE Vec<S, L> load_each_(const S* base, const int32_t* offset,
                                  std::integer_sequence<int, I...>) {
  return Vec<S, L>{base[offset[I]]...};
}
// Calls f(value, a) for the taps of L points in row b of the kernel.
template <class S, int L, int T, class F>
MMSTN_INLINE void for_taps(const S* plane, const TapOffsets<T>& offsets,
                           const KernelTaps<S, T>& taps, const Problem& p, int first, int b, F&& f) {
  using V = Vec<S, L>;
  using Index = Vec<int32_t, L>;
  using Mask = typename VecOps<V>::Int;
  for (int a = 0; a < T; ++a) {
    V v = load_each_<L>(plane, offsets.of[b][a].v + first, std::make_integer_sequence<int, L>{});
    if (!offsets.inside) {
      const Index in = (load<Index>(taps.row[b].v + first) < int32_t(p.height)) &
                       (load<Index>(taps.column[a].v + first) < int32_t(p.width));
      v = select(__builtin_convertvector(in, Mask), v, V{});
    }
    f(v, a);
  }
}

template <class S, int L, int T>
static void sample_planar(const Problem& p, const KernelTaps<S, T>& taps, int count,
                          const S* planes, void* out, const Tile& tile) {
  using V = Vec<S, L>;
  const TapOffsets<T> offsets(taps, count, p, p.input.h);
  for (int c = 0; c < tile.channels; ++c)
    for (int first = 0; first < count; first += L) {
      V v = {};
      for (int b = 0; b < T; ++b) {
        V line = {};
        for_taps<S, L, T>(planes + c * p.input.c, offsets, taps, p, first, b, [&](V pixel, int a) {
          line += pixel * load<V>(taps.wx[a].v + first);
        });
        v += line * load<V>(taps.wy[b].v + first);
      }
      write_pixels<S, L>(at(out, tile.dtype, first * tile.pixel + c * tile.channel), tile.dtype,
                         tile.pixel, count - first, v);
    }
}

template <class S, int L, int T>
static void warp_gradient_planar(const Problem& p, const KernelTaps<S, T>& taps, Chunk<S>& points,
                                const S* planes, const void* gradient, const Tile& tile) {
  using V = Vec<S, L>;
  const TapOffsets<T> offsets(taps, points.count, p, p.input.h);
  for (int c = 0; c < tile.channels; ++c)
    for (int first = 0; first < points.count; first += L) {
      const V dv = read_pixels<S, L>(
          at(gradient, tile.dtype, first * tile.pixel + c * tile.channel), tile.dtype, tile.pixel,
          points.count - first);
      V x = {}, y = {};
      for (int b = 0; b < T; ++b) {
        V line = {}, slope = {};
        for_taps<S, L, T>(planes + c * p.input.c, offsets, taps, p, first, b, [&](V pixel, int a) {
          line += pixel * load<V>(taps.wx[a].v + first);
          slope += pixel * load<V>(taps.dx[a].v + first);
        });
        x += slope * load<V>(taps.wy[b].v + first);
        y += line * load<V>(taps.dy[b].v + first);
      }
      V gx = dv * x, gy = dv * y;
      if (c) {
        gx += load<V>(points.gx.v + first);
        gy += load<V>(points.gy.v + first);
      }
      store(points.gx + first, gx);
      store(points.gy + first, gy);
    }
}

template <class S, int L, int T>
static void input_gradient_planar(const Problem& p, const KernelTaps<S, T>& taps, int count,
                                  S* d_planes, const void* gradient, const Tile& tile) {
  using V = Vec<S, L>;
  const TapOffsets<T> offsets(taps, count, p, p.width);
  for (int c = 0; c < tile.channels; ++c)
    for (int first = 0; first < count; first += L) {
      const int pixels = count - first < L ? count - first : L;
      const V dv = read_pixels<S, L>(
          at(gradient, tile.dtype, first * tile.pixel + c * tile.channel), tile.dtype, tile.pixel,
          pixels);
      S* plane = d_planes + c * p.input_gradient.c;
      for (int b = 0; b < T; ++b) {
        const V line = dv * load<V>(taps.wy[b].v + first);
        for (int a = 0; a < T; ++a) {
          alignas(64) S d[L];
          store(d, line * load<V>(taps.wx[a].v + first));
          for (int q = 0; q < pixels; ++q)
            if (offsets.inside || (taps.row[b].v[first + q] < p.height &&
                                   taps.column[a].v[first + q] < p.width))
              plane[offsets.of[b][a].v[first + q]] += d[q];
        }
      }
    }
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
