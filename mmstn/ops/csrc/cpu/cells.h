// Bilinear sampling of a single channel. In scratch memory a cell, the 2 x 2 pixels around a point,
// lies in one piece: a point reads it in one load, and adds to its gradient in one store.
#pragma once

#include "taps.h"
#include "tiles.h"

namespace mmstn {
namespace MMSTN_ARCH {

// Scratch for reading holds each pixel of the padded region beside the one below it: four numbers from
// a pixel on are its cell, column after column.
enum { k00 = 0, k10 = 1, k01 = 2, k11 = 3 };

// Scratch for gradients is the same, but cells that begin in even columns and those that begin in
// odd ones have rows of their own. So cells do not overlap, and what was just written to one of them
// is read back as a whole: a load that needs parts of several writes has to wait for them.
struct GradientCells {
  int64_t half;  // cells of one kind in a row; the odd ones come after the even ones
  explicit MMSTN_INLINE GradientCells(const Padded& padded) : half(padded.pitch / 2 + 1) {}
  MMSTN_INLINE int64_t pitch() const { return 2 * half; }
  MMSTN_INLINE int64_t count(const Padded& padded) const { return (padded.height + 4) * pitch(); }
  // The number of each cell, as wide inputs have more of them than an int32_t can hold.
  template <class Index>
  MMSTN_INLINE Index number(Index ix, Index iy) const {
    return (iy + 2) * int32_t(pitch()) + (ix & 1) * int32_t(half) + ((ix + 2) >> 1);
  }
};

template <class S>
struct CellTaps {
  Line<int32_t> offset;     // of the cell in scratch for reading
  Line<uint32_t> gradient;  // and in that for gradients
  Line<S> tx, ty;           // how far the point is from the upper left pixel
};

template <class S, int L, bool known>
static void cell_taps(const Problem& p, const Region& region, const Chunk<S>& chunk,
                      CellTaps<S>& taps, bool to_input) {
  const RegionAxis<S> ax(Axis<S>(p.width, p.align_corners), region.x0, region.x1);
  const RegionAxis<S> ay(Axis<S>(p.height, p.align_corners), region.y0, region.y1);
  const Padded padded(region);
  const GradientCells cells(padded);
  for (int q = 0; q < chunk.count; q += L) {
    const Cell<S, L, known> cell(chunk, q, ax, ay);
    store(taps.offset + q, cell.offset(padded.pitch));
    if (to_input) store(taps.gradient + q, cells.number(cell.ix, cell.iy));
    store(taps.tx + q, cell.tx);
    store(taps.ty + q, cell.ty);
  }
}

template <class S, int L>
MMSTN_INLINE void make_cell_taps(const Problem& p, const Region& region, Chunk<S>& chunk,
                                 CellTaps<S>& taps, bool to_input) {
  place_points<S, L>(p, chunk);
  if (chunk.known)
    cell_taps<S, L, true>(p, region, chunk, taps, to_input);
  else
    cell_taps<S, L, false>(p, region, chunk, taps, to_input);
}

// Copies a region of the input into scratch for reading, whose border stays zero.
template <class S, int L>
static void pack_cells(S* scratch, const Region& window, const InputView& view, int64_t n,
                       int64_t c, const Region& region) {
  using V = Vec<S, L>;
  if (region.area() == 0) return;
  const Padded padded(window);
  for (int64_t y = region.y0 - 1; y < region.y1; ++y) {
    const int64_t line = n * view.n + c * view.c + y * view.h;
    const bool has_above = y >= region.y0, has_below = y + 1 < region.y1;
    S* to = scratch + 2 * (padded.offset(y - window.y0, 0) - window.x0);
    for (int64_t first = region.x0; first < region.x1; first += L) {
      // The last vector of a row ends with it. What a narrow region lets run over are zeros.
      const int64_t last = region.x1 - region.x0 < L ? region.x0 : region.x1 - L;
      const int64_t x = first < last ? first : last, left = region.x1 - x;
      V above = {}, below = {};
      if (has_above)
        above = read_pixels<S, L>(at(view.data, view.dtype, line + x * view.w), view.dtype, view.w,
                                  left);
      // The next image comes next.
      __builtin_prefetch(at(view.data, view.dtype, line + view.n + view.h + x * view.w));
      if (has_below)
        below = read_pixels<S, L>(at(view.data, view.dtype, line + view.h + x * view.w), view.dtype,
                                  view.w, left);
      store(to + 2 * x, shuffle<PickInterleaved<L, 0>>(above, below));
      store(to + 2 * x + L, shuffle<PickInterleaved<L, 1>>(above, below));
    }
  }
}

// The cells of L points, pixel by pixel. A list of loads makes better code than one lane after
// another, and the CPU's gather instructions are slower.
template <int L, int... I>
MMSTN_INLINE void load_cells_(const float* scratch, const int32_t* offset,
                              Vec<float, L> (&cells)[4], std::integer_sequence<int, I...>) {
  for (int q = 0; q < 4; ++q)
    cells[q] = join(load<Vec<float, 4>>(scratch + 2 * int64_t(offset[q + 4 * I]))...);
  turn_quads(cells);
}
template <int L>
MMSTN_INLINE void load_cells(const float* scratch, const int32_t* offset,
                             Vec<float, L> (&cells)[4]) {
  load_cells_<L>(scratch, offset, cells, std::make_integer_sequence<int, L / 4>{});
}
template <int L>
MMSTN_INLINE void load_cells(const double* scratch, const int32_t* offset,
                             Vec<double, L> (&cells)[4]) {
  alignas(64) double lanes[4][L];
  for (int q = 0; q < L; ++q)
    for (int e = 0; e < 4; ++e) lanes[e][q] = scratch[2 * int64_t(offset[q]) + e];
  for (int e = 0; e < 4; ++e) cells[e] = load<Vec<double, L>>(lanes[e]);
}

// Adds to the gradients of L cells.
template <int L>
MMSTN_INLINE void add_cells(float* scratch, const uint32_t* number, Vec<float, L> (&cells)[4]) {
  turn_quads(cells);
  alignas(64) float staged[4][L];
  for (int q = 0; q < 4; ++q) store(staged[q], cells[q]);
  keep_in_memory(staged);
  // A write must be through before it is read again, and neighbours may be in the same cell: so
  // they are not taken one after the other.
  for (int q = 0; q < 4; ++q)
    for (int l = 0; l < L; l += 4) {
      float* cell = scratch + 4 * int64_t(number[q + l]);
      store(cell, load<Vec<float, 4>>(cell) + load<Vec<float, 4>>(staged[q] + l));
    }
}
template <int L>
MMSTN_INLINE void add_cells(double* scratch, const uint32_t* number, Vec<double, L> (&cells)[4]) {
  for (int q = 0; q < L; ++q)
    for (int e = 0; e < 4; ++e) scratch[4 * int64_t(number[q]) + e] += cells[e][q];
}

template <class S, int L>
static void sample_cells(const CellTaps<S>& taps, int count, const S* scratch, void* out,
                         const Tile& tile) {
  using V = Vec<S, L>;
  for (int q = 0; q < count; q += L) {
    const int32_t* offset = taps.offset.v + q;
    const V tx = load<V>(taps.tx.v + q), ty = load<V>(taps.ty.v + q);
    V v[4];
    load_cells<L>(scratch, offset, v);
    const V above = v[k00] * (1 - tx) + v[k01] * tx;
    const V below = v[k10] * (1 - tx) + v[k11] * tx;
    write_pixels<S, L>(at(out, tile.dtype, q * tile.pixel), tile.dtype, tile.pixel, count - q,
                       above * (1 - ty) + below * ty);
  }
}

// Writes (gx, gy), and adds to the cells of `d_scratch`.
template <class S, int L, bool to_input, bool to_warp>
static void gradient_cells(const CellTaps<S>& taps, Chunk<S>& chunk, const S* scratch, S* d_scratch,
                           const void* gradient, const Tile& tile) {
  using V = Vec<S, L>;
  for (int q = 0; q < chunk.count; q += L) {
    const int32_t* offset = taps.offset.v + q;
    const V tx = load<V>(taps.tx.v + q), ty = load<V>(taps.ty.v + q);
    const V g = read_pixels<S, L>(at(gradient, tile.dtype, q * tile.pixel), tile.dtype, tile.pixel,
                                  chunk.count - q);
    const V ux = 1 - tx, uy = 1 - ty;
    if (to_warp) {
      V v[4];
      load_cells<L>(scratch, offset, v);
      store(chunk.gx + q, g * ((v[k01] - v[k00]) * uy + (v[k11] - v[k10]) * ty));
      store(chunk.gy + q, g * ((v[k10] - v[k00]) * ux + (v[k11] - v[k01]) * tx));
    }
    if (to_input) {
      const V above = g * uy, below = g * ty;
      V d[4];
      d[k00] = above * ux;
      d[k01] = above * tx;
      d[k10] = below * ux;
      d[k11] = below * tx;
      add_cells<L>(d_scratch, taps.gradient.v + q, d);
    }
  }
}

template <class S>
static void zero_cells(S* d_scratch, const Region& window, const Region& region) {
  const GradientCells cells{Padded(window)};
  const int64_t row = region.y0 - window.y0 + 1, column = (region.x0 - window.x0) / 2;
  const int64_t count = (region.x1 - window.x0) / 2 + 2 - column;
  for (int64_t r = row; r < row + region.y1 - region.y0 + 1; ++r)
    for (int64_t odd = 0; odd < 2; ++odd)
      std::memset(d_scratch + 4 * (r * cells.pitch() + odd * cells.half + column), 0,
                  sizeof(S) * 4 * count);
}

// Sums cells up to the gradient of a region.
template <class S, int L>
static void unpack_cells(const S* d_scratch, const Region& window, const InputView& view, int64_t n,
                         int64_t c, const Region& region) {
  using V = Vec<S, L>;
  const GradientCells cells{Padded(window)};
  const int64_t up = 4 * cells.pitch();
  for (int64_t y = region.y0; y < region.y1; ++y) {
    const int64_t line = n * view.n + c * view.c + y * view.h;
    for (int64_t first = region.x0; first < region.x1; first += L) {
      // The last vector overlaps the one before where it can.
      const bool overlaps = region.x1 - first < L && region.x1 - region.x0 >= L;
      const int64_t x = overlaps ? region.x1 - L : first;
      // Even cells begin at a column of the window, odd ones at half the row.
      const int64_t column = x - window.x0 + 2;
      const S* even = d_scratch + (y - window.y0 + 2) * up + 2 * column;
      const S* odd = even + 4 * cells.half - 2;
      const V own = shuffle<PickStrided<L, 0>>(load<V>(even) + load<V>(odd),
                                               load<V>(even + L) + load<V>(odd + L));
      const V from_above =
          shuffle<PickStrided<L, 1>>(load<V>(even - up) + load<V>(odd - up),
                                     load<V>(even - up + L) + load<V>(odd - up + L));
      write_pixels<S, L>(at(view.data, view.dtype, line + x * view.w), view.dtype, view.w,
                         region.x1 - x, own + from_above);
    }
  }
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
