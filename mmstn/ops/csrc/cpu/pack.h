// Between an input and the scratch that it is sampled in: W channels to a pixel, a border of zeros.
#pragma once

#include "taps.h"
#include "tiles.h"

namespace mmstn {
namespace MMSTN_ARCH {

// Zeroes the border of a padded region of W channels.
template <class S, int W>
static void zero_border(S* scratch, const Padded& padded) {
  std::memset(scratch, 0, sizeof(S) * W * padded.offset(0, 0));
  for (int64_t y = 0; y < padded.height; ++y)
    std::memset(scratch + padded.offset(y, padded.width) * W, 0, sizeof(S) * W * 2);
  const int64_t end = padded.offset(padded.height, -2);
  std::memset(scratch + end * W, 0, sizeof(S) * W * (padded.pixels() - end));
}

// Zeroes the rest of it.
template <class S, int W>
static void zero_inside(S* scratch, const Region& window, const Region& region) {
  const Padded padded(window);
  for (int64_t y = region.y0; y < region.y1; ++y)
    std::memset(scratch + padded.offset(y - window.y0, region.x0 - window.x0) * W, 0,
                sizeof(S) * W * (region.x1 - region.x0));
}

// Transposes 4 x 4 blocks of 128 bits in four vectors of 512.
template <class V>
MMSTN_INLINE void turn_blocks(V (&r)[4]) {
  constexpr int L = VecOps<V>::lanes;
  const V a = r[0], b = r[1], c = r[2], d = r[3];
  const V low = shuffle<PickLow<L, 8>>(a, c), high = shuffle<PickHigh<L, 8>>(a, c);
  const V low1 = shuffle<PickLow<L, 8>>(b, d), high1 = shuffle<PickHigh<L, 8>>(b, d);
  r[0] = shuffle<PickLow<L, 4>>(low, low1);
  r[1] = shuffle<PickHigh<L, 4>>(low, low1);
  r[2] = shuffle<PickLow<L, 4>>(high, high1);
  r[3] = shuffle<PickHigh<L, 4>>(high, high1);
}

// L pixels of up to four channels: between one vector a channel and pixels one after the other.
template <class S, int L>
MMSTN_INLINE void to_pixels(Vec<S, L> (&r)[4]) {
  using V = Vec<S, L>;
  turn_quads(r);  // 128 bits number l of r[q] are pixel 4 l + q
  if constexpr (L == 16) {
    turn_blocks(r);
  } else {
    const V a = r[0], b = r[1], c = r[2], d = r[3];
    r[0] = shuffle<PickLow<L, 4>>(a, b);
    r[1] = shuffle<PickLow<L, 4>>(c, d);
    r[2] = shuffle<PickHigh<L, 4>>(a, b);
    r[3] = shuffle<PickHigh<L, 4>>(c, d);
  }
}
template <class S, int L>
MMSTN_INLINE void to_channels(Vec<S, L> (&r)[4]) {
  using V = Vec<S, L>;
  if constexpr (L == 16) {
    turn_blocks(r);
  } else {
    const V a = r[0], b = r[1], c = r[2], d = r[3];
    r[0] = shuffle<PickLow<L, 4>>(a, c);
    r[1] = shuffle<PickHigh<L, 4>>(a, c);
    r[2] = shuffle<PickLow<L, 4>>(b, d);
    r[3] = shuffle<PickHigh<L, 4>>(b, d);
  }
  turn_quads(r);
}
template <class S, int L>
MMSTN_INLINE void pack_four(S* to, const S* from, int64_t channel, int channels) {
  using V = Vec<S, L>;
  V r[4];
  for (int c = 0; c < 4; ++c) {
    r[c] = V{};
    if (c >= channels) continue;
    r[c] = load<V>(from + c * channel);
    __builtin_prefetch(from + (c + channels) * channel);  // for the next block or image
  }
  to_pixels<S, L>(r);
  for (int i = 0; i < 4; ++i) store(to + i * L, r[i]);
}
template <class S, int L>
MMSTN_INLINE void unpack_four(S* to, const S* from, int64_t channel, int channels) {
  using V = Vec<S, L>;
  V r[4];
  for (int i = 0; i < 4; ++i) r[i] = load<V>(from + i * L);
  to_channels<S, L>(r);
  for (int c = 0; c < 4; ++c)
    if (c < channels) store(to + c * channel, r[c]);
}

// Walks through the pixels of a padded region, row after row.
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

// Whether the rows of a region follow each other in the input without a gap: tiles may then run across
// rows, and only the last one can be a partial one.
MMSTN_INLINE bool one_run(const InputView& view, const Region& window, const Region& region) {
  return window == region && view.h == (region.x1 - region.x0) * view.w;
}

// Whether rows of up to four channels go L pixels at a time.
template <class S, int W, int L>
MMSTN_INLINE bool fours_at_once(const InputView& view, const Region& region) {
  return W == 4 && sizeof(S) == 4 && L > 4 && view.dtype == dtype_of<S>() && view.w == 1 &&
         region.x1 - region.x0 >= L;
}

// Copies a region of the input into scratch.
template <class S, int W, int L>
static void pack(S* scratch, const Region& window, const InputView& view, int64_t n,
                 const Block& block, const Region& region) {
  const Padded padded(window);
  const Tile tile{view.dtype, view.c, view.w, int(block.count)};
  Vec<S, W> r[W];
  const bool fours = fours_at_once<S, W, L>(view, region);
  if (!fours && one_run(view, window, region)) {
    const int64_t start = n * view.n + block.first * view.c + region.y0 * view.h;
    const int64_t end = padded.height * padded.width;
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
    S* to = scratch + (padded.offset(y - window.y0, 0) - window.x0) * W;
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

// Sets the channels of a block to zero, everywhere in a gradient of (height, width) but in the region.
// Its rows have no gaps.
static inline void zero_around(const InputView& view, int64_t height, int64_t width, int64_t n,
                               const Block& block, const Region& region) {
  const int64_t bytes = bytes_of(view.dtype);
  char* first = (char*)at(view.data, view.dtype, n * view.n + block.first * view.c);
  const bool planes = view.c != 1, whole_pixels = view.w == block.count;
  for (int64_t c = 0; c < (planes ? block.count : 1); ++c) {
    char* to = first + c * view.c * bytes;
    const auto zero = [&](int64_t begin, int64_t end) {
      if (begin == end) return;
      if (planes) {
        std::memset(to + begin * bytes, 0, (end - begin) * bytes);
      } else if (whole_pixels) {
        std::memset(to + begin * view.w * bytes, 0, (end - begin) * view.w * bytes);
      } else {
        for (int64_t i = begin; i < end; ++i)
          std::memset(to + i * view.w * bytes, 0, block.count * bytes);
      }
    };
    int64_t begin = 0;  // from the end of the region in one row to its begin in the next
    for (int64_t y = region.y0; y < region.y1; ++y) {
      zero(begin, y * width + region.x0);
      begin = y * width + region.x1;
    }
    zero(begin, height * width);
  }
}

// Copies scratch into a region of the input.
template <class S, int W, int L>
static void unpack(const S* scratch, const Region& window, const InputView& view, int64_t n,
                   const Block& block, const Region& region) {
  const Padded padded(window);
  const Tile tile{view.dtype, view.c, view.w, int(block.count)};
  Vec<S, W> r[W];
  const bool fours = fours_at_once<S, W, L>(view, region);
  if (!fours && one_run(view, window, region)) {
    const int64_t start = n * view.n + block.first * view.c + region.y0 * view.h;
    const int64_t end = padded.height * padded.width;
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
  for (int64_t y = region.y0; y < region.y1; ++y) {
    const int64_t line = n * view.n + block.first * view.c + y * view.h;
    const S* from = scratch + (padded.offset(y - window.y0, 0) - window.x0) * W;
    if constexpr (W == 4 && sizeof(S) == 4 && L > 4) {
      if (fours) {
        for (int64_t x = region.x0; x < region.x1; x += L) {
          if (x + L > region.x1) x = region.x1 - L;
          unpack_four<S, L>((S*)view.data + line + x, from + x * W, view.c, int(block.count));
        }
        continue;
      }
    }
    for (int64_t x = region.x0; x < region.x1; x += W) {
      int pixels = int(region.x1 - x < W ? region.x1 - x : W);
      if (pixels < W && region.x1 - region.x0 >= W) {  // overlaps the tile before
        x = region.x1 - W;
        pixels = W;
      }
      for (int q = 0; q < W; ++q)
        r[q] = q < pixels ? load<Vec<S, W>>(from + (x + q) * W) : Vec<S, W>{};
      write_tile<S, W>(r, at(view.data, view.dtype, line + x * view.w), tile, pixels);
    }
  }
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
