// Which pixels a chunk of points reads, and with what weights.
#pragma once

#include "points.h"

namespace mmstn {
namespace MMSTN_ARCH {

// A part of the input: [y0, y1) x [x0, x1).
struct Region {
  int64_t y0, y1, x0, x1;
  MMSTN_INLINE int64_t area() const { return y1 > y0 && x1 > x0 ? (y1 - y0) * (x1 - x0) : 0; }
  MMSTN_INLINE bool operator==(const Region& r) const {
    return y0 == r.y0 && y1 == r.y1 && x0 == r.x0 && x1 == r.x1;
  }
};

// A region in scratch memory, with a border of zeros two pixels wide, so that nothing outside needs a
// test. The right border of a row is the left border of the next one. Rows and columns count from
// the region's corner.
struct Padded {
  int64_t height, width, pitch;
  explicit MMSTN_INLINE Padded(const Region& r)
      : height(r.y1 - r.y0), width(r.x1 - r.x0), pitch(width + 2) {}
  MMSTN_INLINE int64_t offset(int64_t y, int64_t x) const { return (y + 2) * pitch + x + 2; }
  MMSTN_INLINE int64_t pixels() const { return (height + 4) * pitch + 2; }
};

// One axis of a region that holds every pixel that points touch.
template <class S>
struct RegionAxis {
  int32_t first, size;  // pixels of the region
  S least, most;        // points further out touch nothing either, and stop here
  S nowhere;            // a place outside the input

  MMSTN_INLINE RegionAxis(const Axis<S>& axis, int64_t begin, int64_t end)
      : first(int32_t(begin)), size(int32_t(end - begin)), least(S(begin - 2)), most(S(end)),
        nowhere(least) {
    // An axis of one point, whose coordinates all mean that point.
    if (least < axis.low) least = axis.low;
    if (most > axis.high) most = axis.high;
  }
};

// Border and reflection padding: moves the points of a chunk to where the input is read for them.
template <int padding, class S, int L>
MMSTN_INLINE void place_points_(const Problem& problem, Chunk<S>& chunk) {
  using V = Vec<S, L>;
  const Axis<S> ax(problem.width, problem.align_corners), ay(problem.height, problem.align_corners);
  for (int q = 0; q < chunk.count + kSlack; q += L) {
    const V px = load<V>(chunk.x + q), py = load<V>(chunk.y + q);
    V slope_x, slope_y;
    const V x = place<padding>(px, ax, &slope_x), y = place<padding>(py, ay, &slope_y);
    const auto known = is_number(px) & is_number(py);  // the others stay what they are
    store(chunk.x + q, select(known, x, px));
    store(chunk.y + q, select(known, y, py));
    store(chunk.slope_x + q, slope_x);
    store(chunk.slope_y + q, slope_y);
  }
}
template <class S, int L>
static void place_points(const Problem& p, Chunk<S>& chunk) {
  if (p.padding == kBorder)
    place_points_<kBorder, S, L>(p, chunk);
  else if (p.padding == kReflection)
    place_points_<kReflection, S, L>(p, chunk);
}

// The bilinear cells of L points that were placed: their upper left pixels, and how far the points
// are from these. A point with a NaN has a cell of zeros outside the input, and weights of NaN.
template <class S, int L, bool known>
struct Cell {
  using V = Vec<S, L>;
  using Index = Vec<int32_t, L>;
  Index ix, iy;
  V tx, ty;

  MMSTN_INLINE Cell(const Chunk<S>& chunk, int q, const RegionAxis<S>& ax,
                    const RegionAxis<S>& ay) {
    const V x = load<V>(chunk.x.v + q), y = load<V>(chunk.y.v + q);
    V near_x = clip(x, splat<V>(ax.least), splat<V>(ax.most));
    V near_y = clip(y, splat<V>(ay.least), splat<V>(ay.most));
    const auto numbers = is_number(x) & is_number(y);
    if (!known) {
      near_x = select(numbers, near_x, splat<V>(ax.nowhere));
      near_y = select(numbers, near_y, splat<V>(ay.nowhere));
    }
    split(near_x, ax, &ix, &tx);
    split(near_y, ay, &iy, &ty);
    if (!known) {
      tx = select(numbers, tx, x + y);
      ty = select(numbers, ty, x + y);
    }
  }
  // Where the cells are in the padded region.
  MMSTN_INLINE Index offset(int64_t pitch) const { return (iy + 2) * int32_t(pitch) + ix + 2; }

 private:
  static MMSTN_INLINE void split(V x, const RegionAxis<S>& axis, Index* whole, V* rest) {
    const V floor = Ops<V>::floor(x);
    *whole = __builtin_convertvector(floor, Index) - axis.first;
    *rest = x - floor;
  }
};

template <class S>
struct BilinearTaps {
  Line<int32_t> iy, ix, offset;  // the upper left pixel, and where it is in the padded region
  Line<S> ty, tx, uy, ux;        // how far the point is from it, and 1 minus that
  Line<S> w00, w01, w10, w11;
};

template <class S, int L, bool known>
static void bilinear_taps(const Problem& problem, const Region& region, const Chunk<S>& chunk,
                          BilinearTaps<S>& taps) {
  using V = Vec<S, L>;
  const RegionAxis<S> ax(Axis<S>(problem.width, problem.align_corners), region.x0, region.x1);
  const RegionAxis<S> ay(Axis<S>(problem.height, problem.align_corners), region.y0, region.y1);
  const Padded padded(region);
  for (int q = 0; q < chunk.count; q += L) {
    const Cell<S, L, known> cell(chunk, q, ax, ay);
    V wx[2], wy[2];
    Kernel<kBilinear>::weights(cell.tx, wx);
    Kernel<kBilinear>::weights(cell.ty, wy);
    store(taps.ix + q, cell.ix);
    store(taps.iy + q, cell.iy);
    store(taps.offset + q, cell.offset(padded.pitch));
    store(taps.tx + q, wx[1]);
    store(taps.ty + q, wy[1]);
    store(taps.ux + q, wx[0]);
    store(taps.uy + q, wy[0]);
    store(taps.w00 + q, wy[0] * wx[0]);
    store(taps.w01 + q, wy[0] * wx[1]);
    store(taps.w10 + q, wy[1] * wx[0]);
    store(taps.w11 + q, wy[1] * wx[1]);
  }
}

template <class S, int L>
MMSTN_INLINE void make_taps(const Problem& problem, const Region& region, Chunk<S>& chunk,
                            BilinearTaps<S>& taps) {
  place_points<S, L>(problem, chunk);
  if (chunk.known)
    bilinear_taps<S, L, true>(problem, region, chunk, taps);
  else
    bilinear_taps<S, L, false>(problem, region, chunk, taps);
}

// Any other kernel: T columns and T rows for every point. Those that show no pixel are beyond the
// region's last one. NaN is treated as in a bilinear cell.
template <class S, int T>
struct KernelTaps {
  Line<int32_t> column[T], row[T];
  Line<S> wx[T], wy[T], dx[T], dy[T];
};

template <int padding, int mode, class S, int L>
MMSTN_INLINE void kernel_taps_(const Problem& problem, const Region& region, Chunk<S>& chunk,
                               KernelTaps<S, Kernel<mode>::taps>& taps) {
  using V = Vec<S, L>;
  using Index = Vec<int32_t, L>;
  using K = Kernel<mode>;
  const Axis<S> ax(problem.width, problem.align_corners), ay(problem.height, problem.align_corners);
  const RegionAxis<S> rx(ax, region.x0, region.x1), ry(ay, region.y0, region.y1);
  for (int q = 0; q < chunk.count; q += L) {
    const V px = load<V>(chunk.x + q), py = load<V>(chunk.y + q);
    const auto known = is_number(px) & is_number(py);
    const V none = px + py;  // NaN, where it is needed
    const V x = clip(px, splat<V>(ax.low), splat<V>(ax.high));
    const V y = clip(py, splat<V>(ay.low), splat<V>(ay.high));
    const V moves_x = select(x == px, splat<V>(1), V{}), moves_y = select(y == py, splat<V>(1), V{});
    const V fx = K::base(x, ax.rounding), fy = K::base(y, ay.rounding);
    V wx[K::taps], wy[K::taps], dx[K::taps], dy[K::taps];
    K::weights(x - fx, wx);
    K::weights(y - fy, wy);
    K::slopes(x - fx, dx);
    K::slopes(y - fy, dy);
    for (int t = 0; t < K::taps; ++t) {
      const V column = select(
          known, pad_index<padding>(fx + S(K::first + t), ax, S(region.x1)), splat<V>(region.x1));
      const V row = select(
          known, pad_index<padding>(fy + S(K::first + t), ay, S(region.y1)), splat<V>(region.y1));
      store(taps.column[t] + q, __builtin_convertvector(column, Index) - rx.first);
      store(taps.row[t] + q, __builtin_convertvector(row, Index) - ry.first);
      store(taps.wx[t] + q, select(known, wx[t], none));
      store(taps.wy[t] + q, select(known, wy[t], none));
      store(taps.dx[t] + q, select(known, dx[t] * moves_x, none));
      store(taps.dy[t] + q, select(known, dy[t] * moves_y, none));
    }
  }
}

template <int mode, class S, int L>
static void make_taps(const Problem& p, const Region& region, Chunk<S>& chunk,
                      KernelTaps<S, Kernel<mode>::taps>& taps) {
  if (p.padding == kZeros)
    kernel_taps_<kZeros, mode, S, L>(p, region, chunk, taps);
  else if (p.padding == kBorder)
    kernel_taps_<kBorder, mode, S, L>(p, region, chunk, taps);
  else
    kernel_taps_<kReflection, mode, S, L>(p, region, chunk, taps);
}

template <int mode, class S>
struct TapsOf {
  using type = KernelTaps<S, Kernel<mode>::taps>;
};
template <class S>
struct TapsOf<kBilinear, S> {
  using type = BilinearTaps<S>;
};
template <int mode, class S, int L>
MMSTN_INLINE void taps_of(const Problem& p, const Region& region, Chunk<S>& chunk,
                          typename TapsOf<mode, S>::type& taps) {
  if constexpr (mode == kBilinear)
    make_taps<S, L>(p, region, chunk, taps);
  else
    make_taps<mode, S, L>(p, region, chunk, taps);
}

// Widens `region` by what the chunk touches, with taps that count from the input's corner.
template <class S>
static void widen(Region& region, const BilinearTaps<S>& taps, int count) {
  const int32_t* iy = taps.iy.v;
  const int32_t* ix = taps.ix.v;
  int32_t y0 = iy[0], y1 = iy[0], x0 = ix[0], x1 = ix[0];
  for (int q = 1; q < count; ++q) {
    y0 = iy[q] < y0 ? iy[q] : y0;
    y1 = iy[q] > y1 ? iy[q] : y1;
    x0 = ix[q] < x0 ? ix[q] : x0;
    x1 = ix[q] > x1 ? ix[q] : x1;
  }
  region.y0 = y0 < region.y0 ? y0 : region.y0;
  region.y1 = y1 + 2 > region.y1 ? y1 + 2 : region.y1;
  region.x0 = x0 < region.x0 ? x0 : region.x0;
  region.x1 = x1 + 2 > region.x1 ? x1 + 2 : region.x1;
}
template <class S, int T>
static void widen(Region& region, const KernelTaps<S, T>& taps, int count) {
  for (int t = 0; t < T; ++t)
    for (int q = 0; q < count; ++q) {
      const int32_t y = taps.row[t].v[q], x = taps.column[t].v[q];
      region.y0 = y < region.y0 ? y : region.y0;
      region.y1 = y + 1 > region.y1 ? y + 1 : region.y1;
      region.x0 = x < region.x0 ? x : region.x0;
      region.x1 = x + 1 > region.x1 ? x + 1 : region.x1;
    }
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
