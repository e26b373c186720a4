// Sampling with channels innermost: a block of W channels of the map lies in a small zero-bordered
// scratch, W to a pixel, so that one set of weights serves W channels and nothing tests for bounds.
#pragma once

#include "taps.h"
#include "tiles.h"

namespace mmstn {
namespace MMSTN_ARCH {

// Zeroes the border of a padded map of W channels.
template <class S, int W>
static void zero_border(S* scratch, const Padded& padded) {
  std::memset(scratch, 0, sizeof(S) * W * padded.offset(0, 0));
  for (int64_t y = 0; y < padded.height; ++y)
    std::memset(scratch + padded.offset(y, padded.width) * W, 0, sizeof(S) * W * 2);
  const int64_t end = padded.offset(padded.height, -2);
  std::memset(scratch + end * W, 0, sizeof(S) * W * (padded.pixels() - end));
}

template <class S, int W>
static void zero_region(S* scratch, const Padded& padded, const Region& region) {
  for (int64_t y = region.y0; y < region.y1; ++y)
    std::memset(scratch + padded.offset(y, region.x0) * W, 0,
                sizeof(S) * W * (region.x1 - region.x0));
}

// Up to four channels: L pixels at a time, turned by two rounds of interleaving.
template <class S, int L>
MMSTN_INLINE void pack_four(S* to, const S* from, int64_t channel, int channels) {
  using V = Vec<S, L>;
  V r[4];
  for (int c = 0; c < 4; ++c) r[c] = c < channels ? load<V>(from + c * channel) : V{};
  const V a = shuffle<PickUnpack<L, 4, 1, 0>>(r[0], r[1]);
  const V b = shuffle<PickUnpack<L, 4, 1, 1>>(r[0], r[1]);
  const V c = shuffle<PickUnpack<L, 4, 1, 0>>(r[2], r[3]);
  const V d = shuffle<PickUnpack<L, 4, 1, 1>>(r[2], r[3]);
  r[0] = shuffle<PickUnpack<L, 4, 2, 0>>(a, c);
  r[1] = shuffle<PickUnpack<L, 4, 2, 1>>(a, c);
  r[2] = shuffle<PickUnpack<L, 4, 2, 0>>(b, d);
  r[3] = shuffle<PickUnpack<L, 4, 2, 1>>(b, d);
  // Each 128 bits of r[q] are pixel q of a group of four.
  for (int q = 0; q < 4; ++q)
    for (int l = 0; l < L / 4; ++l) {
      Vec<S, 4> pixel;
      std::memcpy(&pixel, (const char*)&r[q] + l * sizeof(pixel), sizeof(pixel));
      store(to + (4 * l + q) * 4, pixel);
    }
}

// Walks through the pixels of a padded map, row after row.
template <class S, int W>
struct Walk {
  S* at;
  int64_t x, width;
  Walk(S* scratch, const Padded& padded, int64_t first)
      : at(scratch + padded.offset(first / padded.width, first % padded.width) * W),
        x(first % padded.width), width(padded.width) {}
  MMSTN_INLINE S* next() {
    S* here = at;
    at += W;
    if (++x == width) {  // on to the next row
      x = 0;
      at += 2 * W;
    }
    return here;
  }
};

// Whether the rows of a map follow each other without a gap, and all of it is wanted: tiles may then
// run across rows, and only the last one can be a partial one.
MMSTN_INLINE bool one_run(const MapView& view, const Padded& padded, const Region& region) {
  return view.h == padded.width * view.w && region.area() == padded.height * padded.width;
}

// Copies a region of the map into scratch.
template <class S, int W, int L>
static void pack(S* scratch, const Padded& padded, const MapView& view, int64_t n,
                 const Block& block, const Region& region) {
  const Tile tile{view.dtype, view.c, view.w, int(block.count)};
  Vec<S, W> r[W];
  const bool fours = W == 4 && sizeof(S) == 4 && L > 4 && view.dtype == dtype_of<S>() &&
                     view.w == 1 && region.x1 - region.x0 >= L;
  if (!fours && one_run(view, padded, region)) {
    const int64_t start = n * view.n + block.first * view.c, end = padded.height * padded.width;
    Walk<S, W> walk(scratch, padded, 0);
    for (int64_t first = 0; first < end; first += W) {
      if (first + W > end && end >= W) {  // overlaps the tile before
        first = end - W;
        walk = Walk<S, W>(scratch, padded, first);
      }
      const int pixels = int(end - first < W ? end - first : W);
      read_tile<S, W>(r, at(view.data, view.dtype, start + first * view.w), tile, pixels);
      for (int q = 0; q < W; ++q)
        if (q < pixels) store(walk.next(), r[q]);
    }
    return;
  }
  for (int64_t y = region.y0; y < region.y1; ++y) {
    const int64_t line = n * view.n + block.first * view.c + y * view.h;
    S* to = scratch + padded.offset(y, 0) * W;
    if constexpr (W == 4 && sizeof(S) == 4 && L > 4) {
      if (fours) {
        for (int64_t x = region.x0; x < region.x1; x += L) {
          if (x + L > region.x1) x = region.x1 - L;
          pack_four<S, L>(to + x * W, (const S*)view.data + line + x, view.c, int(block.count));
        }
        continue;
      }
    }
    for (int64_t x = region.x0; x < region.x1; x += W) {
      int pixels = W;
      if (x + W > region.x1) {  // the last tile overlaps the one before, or is a partial one
        if (region.x1 - region.x0 >= W)
          x = region.x1 - W;
        else
          pixels = int(region.x1 - x);
      }
      read_tile<S, W>(r, at(view.data, view.dtype, line + x * view.w), tile, pixels);
      for (int q = 0; q < W; ++q)
        if (q < pixels) store(to + (x + q) * W, r[q]);
    }
  }
}

// Copies scratch into a map: the region from scratch, zeros all around it.
template <class S, int W>
static void unpack(const S* scratch, const Padded& padded, const MapView& view, int64_t n,
                   const Block& block, const Region& region) {
  const Tile tile{view.dtype, view.c, view.w, int(block.count)};
  Vec<S, W> r[W];
  if (one_run(view, padded, region)) {
    const int64_t start = n * view.n + block.first * view.c, end = padded.height * padded.width;
    Walk<const S, W> walk(scratch, padded, 0);
    for (int64_t first = 0; first < end; first += W) {
      if (first + W > end && end >= W) {
        first = end - W;
        walk = Walk<const S, W>(scratch, padded, first);
      }
      const int pixels = int(end - first < W ? end - first : W);
      for (int q = 0; q < W; ++q) r[q] = q < pixels ? load<Vec<S, W>>(walk.next()) : Vec<S, W>{};
      write_tile<S, W>(r, at(view.data, view.dtype, start + first * view.w), tile, pixels);
    }
    return;
  }
  for (int64_t y = 0; y < padded.height; ++y) {
    const int64_t line = n * view.n + block.first * view.c + y * view.h;
    const bool touched = y >= region.y0 && y < region.y1;
    const S* from = scratch + padded.offset(y, 0) * W;
    for (int64_t x = 0; x < padded.width; x += W) {
      int pixels = int(padded.width - x < W ? padded.width - x : W);
      if (pixels < W && padded.width >= W) {
        x = padded.width - W;
        pixels = W;
      }
      const bool full = touched && x >= region.x0 && x + pixels <= region.x1;
      const bool none = !touched || x >= region.x1 || x + pixels <= region.x0;
      for (int q = 0; q < W; ++q) {
        const bool live =
            q < pixels && (full || (!none && x + q >= region.x0 && x + q < region.x1));
        r[q] = live ? load<Vec<S, W>>(from + (x + q) * W) : Vec<S, W>{};
      }
      write_tile<S, W>(r, at(view.data, view.dtype, line + x * view.w), tile, pixels);
    }
  }
}

// How the pixels of a tile are scattered: neighbours write to the same place, and a write must be
// through before it is read again, so they are not taken one after the other.
template <int W>
MMSTN_INLINE constexpr int apart(int q) {
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
template <class S>
MMSTN_INLINE void turn_pairs(Vec<S, 8> (&r)[4]) {
  using P = Vec<S, 8>;
  const P a = shuffle<PickUnpack<8, 4, 1, 0>>(r[0], r[1]);
  const P b = shuffle<PickUnpack<8, 4, 1, 1>>(r[0], r[1]);
  const P c = shuffle<PickUnpack<8, 4, 1, 0>>(r[2], r[3]);
  const P d = shuffle<PickUnpack<8, 4, 1, 1>>(r[2], r[3]);
  r[0] = shuffle<PickUnpack<8, 4, 2, 0>>(a, c);
  r[1] = shuffle<PickUnpack<8, 4, 2, 1>>(a, c);
  r[2] = shuffle<PickUnpack<8, 4, 2, 0>>(b, d);
  r[3] = shuffle<PickUnpack<8, 4, 2, 1>>(b, d);
}
MMSTN_INLINE void sample_pairs(const BilinearTaps<float>& taps, int first, const float* scratch,
                               int64_t pitch, float* out, const Tile& tile) {
  using P = Vec<float, 8>;
  using V = Vec<float, 4>;
  P r[4];
  for (int q = 0; q < 4; ++q) {
    const float* p = scratch + int64_t(taps.offset.v[first + q]) * 4;
    r[q] = load<P>(p) * taps.uy.v[first + q] + load<P>(p + pitch) * taps.ty.v[first + q];
  }
  turn_pairs<float>(r);
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
  turn_pairs<float>(above);
  turn_pairs<float>(below);
  const P a = (above[0] + above[1]) + (above[2] + above[3]);  // sums over channels
  const P b = (below[0] + below[1]) + (below[2] + below[3]);
  const V s00 = half<0, V>(a), s01 = half<1, V>(a), s10 = half<0, V>(b), s11 = half<1, V>(b);
  const V x = (s01 - s00) * load<V>(taps.uy.v + first) + (s11 - s10) * load<V>(taps.ty.v + first);
  const V y = (s10 - s00) * load<V>(taps.ux.v + first) + (s11 - s01) * load<V>(taps.tx.v + first);
  store(chunk.gx + first, x * load<V>(taps.slope_x.v + first));
  store(chunk.gy + first, y * load<V>(taps.slope_y.v + first));
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

// The gradient of a tile: adds to the map's in `d_scratch`, and writes (gx, gy). The first `skip`
// pixels were added before.
template <bool whole, class S, int W, bool to_input, bool to_map, bool pairs>
MMSTN_INLINE void gradient_tile(const BilinearTaps<S>& taps, Chunk<S>& chunk, int first, int skip,
                                int pixels, const S* scratch, S* d_scratch, int64_t pitch, const void* gradient,
                                const Tile& tile) {
  using V = Vec<S, W>;
  V g[W];
  read_tile<S, W>(g, at(gradient, tile.dtype, first * tile.pixel), tile, whole ? W : pixels);
  if (to_input) {
    for (int o = 0; o < W; ++o) {
      const int q = apart<W>(o);
      if (!whole && (q < skip || q >= pixels)) continue;
      S* d = d_scratch + int64_t(taps.offset.v[first + q]) * W;
      store(d, load<V>(d) + g[q] * taps.w00.v[first + q]);
      store(d + W, load<V>(d + W) + g[q] * taps.w01.v[first + q]);
      d += pitch;
      store(d, load<V>(d) + g[q] * taps.w10.v[first + q]);
      store(d + W, load<V>(d + W) + g[q] * taps.w11.v[first + q]);
    }
  }
  if constexpr (to_map && whole && pairs && W == 4 && sizeof(S) == 4) {
    gradient_pairs(taps, chunk, first, scratch, pitch, g);
  } else if (to_map) {
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
    const V x = sum_each<S, W>(gx) * load<V>(taps.slope_x.v + first);
    const V y = sum_each<S, W>(gy) * load<V>(taps.slope_y.v + first);
    store(chunk.gx + first, x);
    store(chunk.gy + first, y);
  }
}
template <class S, int W, bool to_input, bool to_map, bool pairs>
static void gradient_packed(const BilinearTaps<S>& taps, Chunk<S>& chunk, const S* scratch,
                            S* d_scratch, int64_t pitch, const void* gradient, const Tile& tile) {
  int first = 0;
  for (; first + W <= chunk.count; first += W)
    gradient_tile<true, S, W, to_input, to_map, pairs>(taps, chunk, first, 0, W, scratch, d_scratch,
                                                       pitch * W, gradient, tile);
  if (first == chunk.count) return;
  const int last = chunk.count >= W ? chunk.count - W : 0;  // overlaps the tile before
  gradient_tile<false, S, W, to_input, to_map, pairs>(taps, chunk, last, first - last,
                                                      chunk.count - last, scratch, d_scratch,
                                                      pitch * W, gradient, tile);
}

// The same for kernels of T x T taps.
template <class S, int W, bool, int T>
static void sample_packed(const KernelTaps<S, T>& taps, int count, const S* scratch, int64_t pitch,
                          void* out, const Tile& tile) {
  using V = Vec<S, W>;
  scratch += (2 * pitch + 2) * W;
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

template <class S, int W, bool to_input, bool to_map, bool, int T>
static void gradient_packed(const KernelTaps<S, T>& taps, Chunk<S>& chunk, const S* scratch,
                            S* d_scratch, int64_t pitch, const void* gradient, const Tile& tile) {
  using V = Vec<S, W>;
  scratch += (2 * pitch + 2) * W;
  d_scratch += (2 * pitch + 2) * W;
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
          if (to_map && T > 1) {
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
      if (to_map && T > 1) {
        gx[q] = g[q] * sx;
        gy[q] = g[q] * sy;
      }
    }
    if (to_map && T > 1) {
      store(chunk.gx + first, sum_each<S, W>(gx));
      store(chunk.gy + first, sum_each<S, W>(gy));
    }
  }
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
