// Sampling with channels innermost: a block of W channels of the input lies in a small zero-bordered
// scratch, W to a pixel, so that one set of weights serves W channels and nothing tests for bounds.
#pragma once

#include "pack.h"

namespace mmstn {
namespace MMSTN_ARCH {

// Which pixel of a tile is scattered at step q. Neighbours write to the same place, and a write must
// be through before it is read again, so they do not follow each other.
template <int W>
MMSTN_INLINE constexpr int scatter_order(int q) {
  return (q % 2) * (W / 2) + q / 2;
}

// V[c] = sum of taps, for a tile of pixels; `whole` ones need no tests.
template <bool whole, class S, int W>
MMSTN_INLINE void sample_tile(const BilinearTaps<S>& taps, int first, int pixels, const S* scratch,
                              int64_t pitch, void* out, const Tile& tile) {
  using V = Vec<S, W>;
  V r[W];
  for (int q = 0; q < W; ++q) {
    if (!whole && q >= pixels) {
      r[q] = V{};
      continue;
    }
    const S* p = scratch + int64_t(taps.offset.v[first + q]) * W;
    r[q] = load<V>(p) * taps.w00.v[first + q] + load<V>(p + W) * taps.w01.v[first + q] +
           (load<V>(p + pitch) * taps.w10.v[first + q] +
            load<V>(p + pitch + W) * taps.w11.v[first + q]);
  }
  write_tile<S, W>(r, at(out, tile.dtype, first * tile.pixel), tile, whole ? W : pixels);
}
// With four channels to a pixel two neighbours are one load: rows are mixed first, then the tile is
// turned, left neighbours in one half of a vector and right ones in the other, and these are mixed.
MMSTN_INLINE void sample_pairs(const BilinearTaps<float>& taps, int first, const float* scratch,
                               int64_t pitch, float* out, const Tile& tile) {
  using P = Vec<float, 8>;
  using V = Vec<float, 4>;
  P r[4];
  for (int q = 0; q < 4; ++q) {
    const float* p = scratch + int64_t(taps.offset.v[first + q]) * 4;
    r[q] = load<P>(p) * taps.uy.v[first + q] + load<P>(p + pitch) * taps.ty.v[first + q];
  }
  turn_quads(r);
  const V left = load<V>(taps.ux.v + first), right = load<V>(taps.tx.v + first);
  for (int c = 0; c < 4; ++c)
    if (c < tile.channels)
      store(out + c * tile.channel + first, half<0, V>(r[c]) * left + half<1, V>(r[c]) * right);
}
// The same for dL/dx and dL/dy of four pixels.
MMSTN_INLINE void gradient_pairs(const BilinearTaps<float>& taps, Chunk<float>& chunk, int first,
                                 const float* scratch, int64_t pitch, const Vec<float, 4> (&g)[4]) {
  using P = Vec<float, 8>;
  using V = Vec<float, 4>;
  P above[4], below[4];
  for (int q = 0; q < 4; ++q) {
    const float* p = scratch + int64_t(taps.offset.v[first + q]) * 4;
    float both[8];
    store(both, g[q]);
    store(both + 4, g[q]);
    const P twice = load<P>(both);
    above[q] = load<P>(p) * twice;
    below[q] = load<P>(p + pitch) * twice;
  }
  turn_quads(above);
  turn_quads(below);
  const P a = (above[0] + above[1]) + (above[2] + above[3]);  // sums over channels
  const P b = (below[0] + below[1]) + (below[2] + below[3]);
  const V s00 = half<0, V>(a), s01 = half<1, V>(a), s10 = half<0, V>(b), s11 = half<1, V>(b);
  const V x = (s01 - s00) * load<V>(taps.uy.v + first) + (s11 - s10) * load<V>(taps.ty.v + first);
  const V y = (s10 - s00) * load<V>(taps.ux.v + first) + (s11 - s01) * load<V>(taps.tx.v + first);
  store(chunk.gx + first, x);
  store(chunk.gy + first, y);
}

template <class S, int W, bool pairs>
static void sample_packed(const BilinearTaps<S>& taps, int count, const S* scratch, int64_t pitch,
                          void* out, const Tile& tile) {
  int first = 0;
  if constexpr (pairs && W == 4 && sizeof(S) == 4) {
    if (tile.pixel == 1 && tile.dtype == DType::kFloat)
      for (; first + W <= count; first += W)
        sample_pairs(taps, first, scratch, pitch * W, (float*)out, tile);
  }
  for (; first + W <= count; first += W)
    sample_tile<true, S, W>(taps, first, W, scratch, pitch * W, out, tile);
  if (first == count) return;
  if (count >= W)  // the last tile overlaps the one before
    sample_tile<true, S, W>(taps, count - W, W, scratch, pitch * W, out, tile);
  else
    sample_tile<false, S, W>(taps, 0, count, scratch, pitch * W, out, tile);
}

// The gradient of a tile: adds to the input's in `d_scratch`, and writes (gx, gy). The first `skip`
// pixels were added before.
template <bool whole, class S, int W, bool to_input, bool to_warp, bool pairs>
MMSTN_INLINE void gradient_tile(const BilinearTaps<S>& taps, Chunk<S>& chunk, int first, int skip,
                                int pixels, const S* scratch, S* d_scratch, int64_t pitch, const void* gradient,
                                const Tile& tile) {
  using V = Vec<S, W>;
  V g[W];
  read_tile<S, W>(g, at(gradient, tile.dtype, first * tile.pixel), tile, whole ? W : pixels);
  if (to_input) {
    for (int o = 0; o < W; ++o) {
      const int q = scatter_order<W>(o);
      if (!whole && (q < skip || q >= pixels)) continue;
      S* d = d_scratch + int64_t(taps.offset.v[first + q]) * W;
      store(d, load<V>(d) + g[q] * taps.w00.v[first + q]);
      store(d + W, load<V>(d + W) + g[q] * taps.w01.v[first + q]);
      d += pitch;
      store(d, load<V>(d) + g[q] * taps.w10.v[first + q]);
      store(d + W, load<V>(d + W) + g[q] * taps.w11.v[first + q]);
    }
  }
  if constexpr (to_warp && whole && pairs && W == 4 && sizeof(S) == 4) {
    gradient_pairs(taps, chunk, first, scratch, pitch, g);
  } else if (to_warp) {
    V gx[W], gy[W];
    for (int q = 0; q < W; ++q) {
      gx[q] = gy[q] = V{};
      if (!whole && q >= pixels) continue;
      const S* p = scratch + int64_t(taps.offset.v[first + q]) * W;
      const V p00 = load<V>(p), p01 = load<V>(p + W);
      const V p10 = load<V>(p + pitch), p11 = load<V>(p + pitch + W);
      const S tx = taps.tx.v[first + q], ty = taps.ty.v[first + q];
      // Both slopes from one: (p11 - p10) - (p01 - p00) = (p11 - p01) - (p10 - p00).
      const V dx = p01 - p00, dy = p10 - p00, both = (p11 - p10) - dx;
      gx[q] = g[q] * (dx + both * ty);
      gy[q] = g[q] * (dy + both * tx);
    }
    store(chunk.gx + first, sum_each<S, W>(gx));
    store(chunk.gy + first, sum_each<S, W>(gy));
  }
}
template <class S, int W, bool to_input, bool to_warp, bool pairs>
static void gradient_packed(const BilinearTaps<S>& taps, Chunk<S>& chunk, const S* scratch,
                            S* d_scratch, int64_t pitch, const void* gradient, const Tile& tile) {
  int first = 0;
  for (; first + W <= chunk.count; first += W)
    gradient_tile<true, S, W, to_input, to_warp, pairs>(taps, chunk, first, 0, W, scratch, d_scratch,
                                                       pitch * W, gradient, tile);
  if (first == chunk.count) return;
  const int last = chunk.count >= W ? chunk.count - W : 0;  // overlaps the tile before
  gradient_tile<false, S, W, to_input, to_warp, pairs>(taps, chunk, last, first - last,
                                                      chunk.count - last, scratch, d_scratch,
                                                      pitch * W, gradient, tile);
}

// The same for kernels of T x T taps; `scratch` is where row 0 and column 0 are.
template <class S, int W, bool, int T>
static void sample_packed(const KernelTaps<S, T>& taps, int count, const S* scratch, int64_t pitch,
                          void* out, const Tile& tile) {
  using V = Vec<S, W>;
  for (int first = 0; first < count; first += W) {
    const int pixels = count - first < W ? count - first : W;
    V r[W];
    for (int q = 0; q < W; ++q) {
      r[q] = V{};
      if (q >= pixels) continue;
      for (int b = 0; b < T; ++b) {
        const S* row = scratch + taps.row[b].v[first + q] * pitch * W;
        V line = {};
        for (int a = 0; a < T; ++a)
          line += load<V>(row + int64_t(taps.column[a].v[first + q]) * W) * taps.wx[a].v[first + q];
        r[q] += line * taps.wy[b].v[first + q];
      }
    }
    write_tile<S, W>(r, at(out, tile.dtype, first * tile.pixel), tile, pixels);
  }
}

// With one tap the only weight is 1, or NaN.
template <class S, int W, bool whole>
MMSTN_INLINE void copy_tile(const KernelTaps<S, 1>& taps, const int32_t* pixel, int first,
                            int pixels, const S* scratch, void* out, const Tile& tile) {
  Vec<S, W> r[W];
  for (int q = 0; q < W; ++q) {
    r[q] = Vec<S, W>{};
    if (whole || q < pixels)
      r[q] = load<Vec<S, W>>(scratch + int64_t(pixel[first + q]) * W) * taps.wx[0].v[first + q];
  }
  write_tile<S, W>(r, at(out, tile.dtype, first * tile.pixel), tile, whole ? W : pixels);
}
template <class S, int W, bool>
static void sample_packed(const KernelTaps<S, 1>& taps, int count, const S* scratch, int64_t pitch,
                          void* out, const Tile& tile) {
  int32_t pixel[kChunk];
  for (int q = 0; q < count; ++q)
    pixel[q] = taps.row[0].v[q] * int32_t(pitch) + taps.column[0].v[q];
  int first = 0;
  for (; first + W <= count; first += W)
    copy_tile<S, W, true>(taps, pixel, first, W, scratch, out, tile);
  if (first == count) return;
  if (count >= W)  // the last tile overlaps the one before
    copy_tile<S, W, true>(taps, pixel, count - W, W, scratch, out, tile);
  else
    copy_tile<S, W, false>(taps, pixel, 0, count, scratch, out, tile);
}

template <class S, int W, bool to_input, bool to_warp, bool, int T>
static void gradient_packed(const KernelTaps<S, T>& taps, Chunk<S>& chunk, const S* scratch,
                            S* d_scratch, int64_t pitch, const void* gradient, const Tile& tile) {
  using V = Vec<S, W>;
  for (int first = 0; first < chunk.count; first += W) {
    const int pixels = chunk.count - first < W ? chunk.count - first : W;
    V g[W], gx[W], gy[W];
    read_tile<S, W>(g, at(gradient, tile.dtype, first * tile.pixel), tile, pixels);
    for (int q = 0; q < W; ++q) {
      gx[q] = gy[q] = V{};
      if (q >= pixels) continue;
      V sx = {}, sy = {};
      for (int b = 0; b < T; ++b) {
        const int64_t row = taps.row[b].v[first + q] * pitch * W;
        const S wy = taps.wy[b].v[first + q];
        V line = {}, slope = {};
        for (int a = 0; a < T; ++a) {
          const int64_t offset = row + int64_t(taps.column[a].v[first + q]) * W;
          const S wx = taps.wx[a].v[first + q];
          if (to_warp && T > 1) {
            const V p = load<V>(scratch + offset);
            line += p * wx;
            slope += p * taps.dx[a].v[first + q];
          }
          if (to_input)
            store(d_scratch + offset, load<V>(d_scratch + offset) + g[q] * (wx * wy));
        }
        sx += slope * wy;
        sy += line * taps.dy[b].v[first + q];
      }
      if (to_warp && T > 1) {
        gx[q] = g[q] * sx;
        gy[q] = g[q] * sy;
      }
    }
    if (to_warp && T > 1) {
      store(chunk.gx + first, sum_each<S, W>(gx));
      store(chunk.gy + first, sum_each<S, W>(gy));
    }
  }
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
