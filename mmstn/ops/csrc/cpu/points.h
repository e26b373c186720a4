// Where a chunk of output pixels is sampled, and the way back: gradients of points to gradients of
// the warp that made them. A chunk is a run of up to kChunk output pixels, across rows.
#pragma once

#include "problem.h"
#include "simd.h"

namespace mmstn {
namespace MMSTN_ARCH {

constexpr int kChunk = 256;
constexpr int kSlack = 16;  // the last vector of a row may run over

template <class S>
struct Line {  // one number for each pixel of a chunk
  alignas(64) S v[kChunk + kSlack];
  MMSTN_INLINE S* operator+(int i) { return v + i; }
  MMSTN_INLINE S& operator[](int i) { return v[i]; }
};

template <class S>
MMSTN_INLINE void fill_slack(Line<S>& line, int count, S value) {
  for (int q = 0; q < kSlack; ++q) line[count + q] = value;
}

template <class S>
struct Chunk {
  int count;
  bool known;                                    // no coordinate is NaN
  Line<S> x, y;                                  // pixel coordinates
  Line<S> slope_x, slope_y;                      // d(place)/dx, d(place)/dy; not with zero padding
  Line<S> j, i;                                  // j', i', for the gradient
  Line<S> inverse_w, plane_x, plane_y, moves_w;  // see Point
  Line<S> gx, gy;                                // dL/dx, dL/dy
};

// The warp of one transformer of one image.
template <class S, int L>
struct Warp {
  using V = Vec<S, L>;
  const Problem& problem;
  const S* data;
  PixelWarp<double> matrix;
  bool known = false;  // no point of it is NaN

  Warp(const Problem& p, int64_t n, int64_t k)
      : problem(p), data((const S*)p.warp + n * p.warp_n + k * p.warp_k) {
    if (p.source != Source::kGrid)
      matrix = pixel_warp(data, p.source == Source::kProjective, p.height, p.width, p.out_height,
                          p.out_width, p.align_corners);
    if (p.source != Source::kGrid) {
      double sum = 0;
      for (int c = 0; c < 3; ++c) sum += matrix.x[c] + matrix.y[c] + matrix.w[c];
      known = finite(sum);
    }
  }

  // The points of output pixels [first, first + count).
  void points(Chunk<S>& chunk, int64_t first, int count, bool for_gradient) const {
    chunk.count = count;
    chunk.known = known;
    if (problem.source == Source::kGrid)
      grid_points(chunk, first, count);
    else if (problem.source == Source::kProjective)
      matrix_points<true>(chunk, first, count, for_gradient);
    else
      matrix_points<false>(chunk, first, count, for_gradient);
    // Lanes past the end repeat the last point, so they read nothing new.
    fill_slack(chunk.x, count, chunk.x[count - 1]);
    fill_slack(chunk.y, count, chunk.y[count - 1]);
  }

  template <bool projective>
  void matrix_points(Chunk<S>& chunk, int64_t first, int count, bool for_gradient) const {
    const int64_t width = problem.out_width;
    const double middle_i = 0.5 * double(problem.out_height - 1);
    const S middle_j = S(0.5) * S(width - 1);
    int64_t i = first / width, j = first % width;
    const V lanes = iota<V>();
    for (int q = 0; q < count; ++i, j = 0) {
      const double di = double(i) - middle_i;
      const Row<S> row(matrix, di, projective);
      const int end = int(q + (width - j) < count ? q + (width - j) : count);
      for (int at = q; at < end; at += L) {
        const V dj = lanes + (S(j + (at - q)) - middle_j);
        const Point<V> p = row_point<projective>(row, dj);
        store(chunk.x + at, p.x);
        store(chunk.y + at, p.y);
        if (for_gradient) {
          store(chunk.j + at, dj);
          store(chunk.i + at, splat<V>(di));
          if (projective) {
            store(chunk.inverse_w + at, p.inverse_w);
            store(chunk.plane_x + at, p.plane_x);
            store(chunk.plane_y + at, p.plane_y);
            store(chunk.moves_w + at, p.moves_w);
          }
        }
      }
      q = end;
    }
  }

  void grid_points(Chunk<S>& chunk, int64_t first, int count) const {
    const Axis<S> ax(problem.width, problem.align_corners), ay(problem.height, problem.align_corners);
    const S* p = data + 2 * first;
    V check = {};  // becomes NaN with any of the points
    int q = 0;
    for (; q + L <= count; q += L) {
      __builtin_prefetch(p + 2 * (q + kChunk));  // the next chunk's
      __builtin_prefetch(p + 2 * (q + kChunk) + L);
      const V a = load<V>(p + 2 * q), b = load<V>(p + 2 * q + L);
      const V x = ax.pixel(shuffle<PickStrided<L, 0>>(a, b));
      const V y = ay.pixel(shuffle<PickStrided<L, 1>>(a, b));
      store(chunk.x + q, x);
      store(chunk.y + q, y);
      check += (x - x) + (y - y);
    }
    for (; q < count; ++q) {
      const S x = ax.pixel(p[2 * q]), y = ay.pixel(p[2 * q + 1]);
      chunk.x[q] = x;
      chunk.y[q] = y;
      check[0] += (x - x) + (y - y);
    }
    chunk.known = is_number(sum(check));
  }

  // Adds the chunk's share of the gradient of the warp to `sums`, (3 x 3).
  template <bool projective>
  void add_gradient(Chunk<S>& chunk, double* sums) const {
    for (Line<S>* line : {&chunk.gx, &chunk.gy, &chunk.j, &chunk.i})
      fill_slack(*line, chunk.count, S(0));
    if (projective)
      for (Line<S>* line : {&chunk.inverse_w, &chunk.plane_x, &chunk.plane_y, &chunk.moves_w})
        fill_slack(*line, chunk.count, S(0));
    WarpSums<V> total;
    for (int q = 0; q < chunk.count; q += L) {
      Point<V> p;
      if (projective) {
        p.inverse_w = load<V>(chunk.inverse_w + q);
        p.plane_x = load<V>(chunk.plane_x + q);
        p.plane_y = load<V>(chunk.plane_y + q);
        p.moves_w = load<V>(chunk.moves_w + q);
      }
      total.template add<projective>(p, load<V>(chunk.j + q), load<V>(chunk.i + q),
                                     load<V>(chunk.gx + q), load<V>(chunk.gy + q));
    }
    for (int c = 0; c < 3; ++c) {
      sums[c] += sum(total.x[c]);
      sums[3 + c] += sum(total.y[c]);
      if (projective) sums[6 + c] += sum(total.w[c]);
    }
  }

  // Writes, or adds, the chunk's gradient of the grid.
  void write_grid_gradient(Chunk<S>& chunk, S* gradient, bool add) const {
    const S half_x = Axis<S>(problem.width, problem.align_corners).half;
    const S half_y = Axis<S>(problem.height, problem.align_corners).half;
    int q = 0;
    for (; q + L <= chunk.count; q += L) {
      const V gx = load<V>(chunk.gx + q) * half_x, gy = load<V>(chunk.gy + q) * half_y;
      V low = shuffle<PickInterleaved<L, 0>>(gx, gy), high = shuffle<PickInterleaved<L, 1>>(gx, gy);
      S* to = gradient + 2 * q;
      if (add) {
        low += load<V>(to);
        high += load<V>(to + L);
      }
      store(to, low);
      store(to + L, high);
    }
    for (; q < chunk.count; ++q) {
      const S gx = chunk.gx[q] * half_x, gy = chunk.gy[q] * half_y;
      gradient[2 * q] = add ? gradient[2 * q] + gx : gx;
      gradient[2 * q + 1] = add ? gradient[2 * q + 1] + gy : gy;
    }
  }
};

}  // namespace MMSTN_ARCH
}  // namespace mmstn
