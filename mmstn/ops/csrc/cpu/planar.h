// Bilinear sampling from planes (H, W), many points at a time: for a single channel from a plane
// with a border of zeros, and, where points are so few that a copy would cost more, straight from
// the map one channel after the other.
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

// The 2 x 2 cells of L points in a plane with a border of zeros.
template <class S, int L>
struct BorderedCells {
  using V = Vec<S, L>;
  const int32_t* offset;
  int64_t pitch;
  static constexpr bool inside = true, single = true;

  BorderedCells() = default;
  MMSTN_INLINE BorderedCells(const BilinearTaps<S>& taps, int first, const Problem&, int64_t pitch)
      : offset(taps.offset.v + first), pitch(pitch) {}
  MMSTN_INLINE void values(const S* plane, V* v00, V* v01, V* v10, V* v11) const {
    load_pairs<L>(plane, offset, v00, v01);
    load_pairs<L>(plane + pitch, offset, v10, v11);
  }
  // Where each point's cell is in a plane of gradients, border included.
  MMSTN_INLINE int64_t cell(const BilinearTaps<S>&, int, int q) const { return offset[q]; }
};

// The same in the map itself. Every load is inside the plane; what is not part of the map is then
// chosen to be zero, whatever was read.
template <class S, int L>
struct MapCells {
  using V = Vec<S, L>;
  using Mask = typename VecOps<V>::Int;
  alignas(64) int32_t above[L], below[L];
  static constexpr bool single = false;
  bool inside;  // all cells are
  int64_t width;
  Mask left_left, left_right, right_left, right_right, has_above, has_below;

  MapCells() = default;
  MMSTN_INLINE MapCells(const BilinearTaps<S>& taps, int first, const Problem& p, int64_t pitch) {
    using Index = Vec<int32_t, L>;
    const Index ix = load<Index>(taps.ix.v + first), iy = load<Index>(taps.iy.v + first);
    const int32_t last_x = int32_t(p.width - 2), last_y = int32_t(p.height - 1);
    const Index x = clip_(ix, last_x), y0 = clip_(iy, last_y), y1 = clip_(iy + 1, last_y);
    width = p.width;
    store(above, y0 * int32_t(pitch) + x);
    store(below, y1 * int32_t(pitch) + x);
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

// One row between a tensor and scratch.
template <class S, int L>
MMSTN_INLINE void copy_row(S* to, const S* from, int64_t count) {
  using V = Vec<S, L>;
  if (count < L) {
    for (int64_t x = 0; x < count; ++x) to[x] = from[x];
    return;
  }
  for (int64_t x = 0; x + L <= count; x += L) store(to + x, load<V>(from + x));
  store(to + count - L, load<V>(from + count - L));
}
template <class S, int L>
static void pack_plane(S* scratch, const Padded& padded, const MapView& view, int64_t n,
                       const Block& block, const Region& region) {
  for (int64_t y = region.y0; y < region.y1; ++y) {
    const int64_t line = n * view.n + block.first * view.c + y * view.h + region.x0 * view.w;
    S* to = scratch + padded.offset(y, region.x0);
    if (view.dtype == dtype_of<S>() && view.w == 1)
      copy_row<S, L>(to, (const S*)view.data + line, region.x1 - region.x0);
    else
      read_elements(to, at(view.data, view.dtype, line), view.dtype, view.w,
                    int(region.x1 - region.x0));
  }
}
template <class S, int L>
static void unpack_plane(const S* scratch, const Padded& padded, const MapView& view, int64_t n,
                         const Block& block) {
  for (int64_t y = 0; y < padded.height; ++y) {
    const int64_t line = n * view.n + block.first * view.c + y * view.h;
    const S* from = scratch + padded.offset(y, 0);
    if (view.dtype == dtype_of<S>() && view.w == 1)
      copy_row<S, L>((S*)view.data + line, from, padded.width);
    else
      write_elements(at(view.data, view.dtype, line), from, view.dtype, view.w, int(padded.width));
  }
}

// The cells of a chunk, L points at a time. Channels are the loop around them, so that reads follow
// each other in one plane: from plane to plane each would touch another page of memory.
template <class Cells, int L>
struct ChunkCells {
  Cells cells[kChunk / L];
  int first[kChunk / L], groups = 0;

  // `overlap`: the last group may begin inside the one before, so that it is a full one.
  template <class S>
  MMSTN_INLINE ChunkCells(const Problem& p, const BilinearTaps<S>& taps, int count, int64_t pitch,
                          bool overlap) {
    for (int q = 0; q < count; q += L, ++groups) {
      first[groups] = overlap && q + L > count && count >= L ? count - L : q;
      cells[groups] = Cells(taps, first[groups], p, pitch);
    }
  }
};

template <class Cells, class S, int L>
static void sample_planar(const Problem& p, const BilinearTaps<S>& taps, int count,
                          const S* planes, int64_t pitch, void* out, const Tile& tile) {
  using V = Vec<S, L>;
  const ChunkCells<Cells, L> chunk(p, taps, count, pitch, true);
  const int channels = Cells::single ? 1 : tile.channels;
  for (int c = 0; c < channels; ++c)
    for (int g = 0; g < chunk.groups; ++g) {
      const int first = chunk.first[g], pixels = count - first < L ? count - first : L;
      V v00, v01, v10, v11;
      chunk.cells[g].values(planes + c * p.input.c, &v00, &v01, &v10, &v11);
      const V v = v00 * load<V>(taps.w00.v + first) + v01 * load<V>(taps.w01.v + first) +
                  (v10 * load<V>(taps.w10.v + first) + v11 * load<V>(taps.w11.v + first));
      void* to = at(out, tile.dtype, first * tile.pixel + c * tile.channel);
      if (pixels == L && tile.pixel == 1 && tile.dtype == dtype_of<S>()) {
        store((S*)to, v);
      } else {
        alignas(64) S lanes[L];
        store(lanes, v);
        write_elements(to, lanes, tile.dtype, tile.pixel, pixels);
      }
    }
}

// The gradient of L samples, zero for points that are not there.
template <class S, int L>
MMSTN_INLINE Vec<S, L> read_gradient(const void* from, const Tile& tile, int pixels) {
  if (pixels == L && tile.pixel == 1 && tile.dtype == dtype_of<S>())
    return load<Vec<S, L>>((const S*)from);
  alignas(64) S lanes[L] = {};
  read_elements(lanes, from, tile.dtype, tile.pixel, pixels);
  return load<Vec<S, L>>(lanes);
}

// Writes (gx, gy).
template <class Cells, class S, int L>
static void map_gradient_planar(const Problem& p, const BilinearTaps<S>& taps, Chunk<S>& points,
                                const S* planes, int64_t pitch, const void* gradient,
                                const Tile& tile) {
  using V = Vec<S, L>;
  const ChunkCells<Cells, L> chunk(p, taps, points.count, pitch, true);
  const int channels = Cells::single ? 1 : tile.channels;
  V gx[kChunk / L], gy[kChunk / L];
  for (int c = 0; c < channels; ++c)
    for (int g = 0; g < chunk.groups; ++g) {
      const int first = chunk.first[g], left = points.count - first;
      const V dv = read_gradient<S, L>(
          at(gradient, tile.dtype, first * tile.pixel + c * tile.channel), tile,
          left < L ? left : L);
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
    store(points.gx + first, gx[g] * load<V>(taps.slope_x.v + first));
    store(points.gy + first, gy[g] * load<V>(taps.slope_y.v + first));
  }
}

// Adds to `d_planes`, the gradient of the planes, which lies in memory as `planes` or without gaps.
template <class Cells, class S, int L>
static void input_gradient_planar(const Problem& p, const BilinearTaps<S>& taps, int count,
                                  S* d_planes, int64_t pitch, int64_t d_pitch,
                                  const void* gradient, const Tile& tile) {
  using V = Vec<S, L>;
  const int32_t width = int32_t(p.width), height = int32_t(p.height);
  const ChunkCells<Cells, L> chunk(p, taps, count, pitch, false);
  const int channels = Cells::single ? 1 : tile.channels;
  for (int c = 0; c < channels; ++c)
    for (int g = 0; g < chunk.groups; ++g) {
      const int first = chunk.first[g], pixels = count - first < L ? count - first : L;
      const V dv = read_gradient<S, L>(
          at(gradient, tile.dtype, first * tile.pixel + c * tile.channel), tile, pixels);
      alignas(64) S d00[L], d01[L], d10[L], d11[L];
      store(d00, dv * load<V>(taps.w00.v + first));
      store(d01, dv * load<V>(taps.w01.v + first));
      store(d10, dv * load<V>(taps.w10.v + first));
      store(d11, dv * load<V>(taps.w11.v + first));
      S* d = d_planes + c * p.input_gradient.c;
      const Cells& cells = chunk.cells[g];
      if (cells.inside) {
        for (int o = 0; o < L; ++o) {
          const int q = (o % 2) * (L / 2) + o / 2;  // neighbours not one after the other
          if (q >= pixels) continue;
          S* cell = d + cells.cell(taps, first, q);
          cell[0] += d00[q];
          cell[1] += d01[q];
          cell[d_pitch] += d10[q];
          cell[d_pitch + 1] += d11[q];
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

}  // namespace MMSTN_ARCH
}  // namespace mmstn
