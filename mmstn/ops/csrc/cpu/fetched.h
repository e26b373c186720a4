// Sampling points that lie far apart: the pixels that a few of them touch are fetched one by one into
// a small scratch, where each point has its own, and there they are sampled as in any other scratch.
#pragma once

#include "packed.h"

namespace mmstn {
namespace MMSTN_ARCH {

constexpr int kFew = 64;  // points that are fetched together

// Where the T x T pixels of a few points are in the input, row by row: in elements from the first pixel
// of its image and block, or -1 for those outside the input.
template <int T>
struct Places {
  int64_t of[T * T][kFew];
};

template <class S, int T, class Row, class Column>
MMSTN_INLINE void find(Places<T>& places, int count, const Problem& p, const InputView& view, Row row,
                       Column column) {
  for (int b = 0; b < T; ++b)
    for (int a = 0; a < T; ++a)
      for (int q = 0; q < count; ++q) {
        const int64_t y = row(b, q), x = column(a, q);
        const bool inside = (y >= 0) & (y < p.height) & (x >= 0) & (x < p.width);
        places.of[b * T + a][q] = inside ? y * view.h + x * view.w : -1;
      }
}
template <class S>
static void find_pixels(Places<2>& places, const BilinearTaps<S>& taps, int count, const Problem& p,
                        const InputView& view) {
  find<S>(places, count, p, view, [&](int b, int q) { return int64_t(taps.iy.v[q]) + b; },
          [&](int a, int q) { return int64_t(taps.ix.v[q]) + a; });
}
template <class S, int T>
static void find_pixels(Places<T>& places, const KernelTaps<S, T>& taps, int count,
                        const Problem& p, const InputView& view) {
  find<S>(places, count, p, view, [&](int b, int q) { return int64_t(taps.row[b].v[q]); },
          [&](int a, int q) { return int64_t(taps.column[a].v[q]); });
}

// Lets the taps point into the small scratch: T rows, each with T pixels for every point.
template <class S>
static void point_into_scratch(BilinearTaps<S>& taps, int count) {
  for (int q = 0; q < count; ++q) taps.offset[q] = 2 * q;
}
template <class S, int T>
static void point_into_scratch(KernelTaps<S, T>& taps, int count) {
  for (int t = 0; t < T; ++t)
    for (int q = 0; q < count; ++q) {
      taps.row[t][q] = t;
      taps.column[t][q] = T * q + t;
    }
}

template <int T>
MMSTN_INLINE int64_t fetched_pixel(int tap, int q) {
  return int64_t(tap / T) * (T * kFew) + T * q + tap % T;
}

template <class S, int W>
MMSTN_INLINE bool whole_vectors(const InputView& view, const Block& block) {
  return view.c == 1 && view.dtype == dtype_of<S>() && block.count == W;
}

// Lanes beyond the block's channels stay as they are.
template <class S, int W, int T>
static void fetch(S* scratch, const Places<T>& places, int count, const InputView& view, int64_t n,
                  const Block& block) {
  const void* image = at(view.data, view.dtype, n * view.n + block.first * view.c);
  for (int tap = 0; tap < T * T; ++tap) {
    const int64_t* place = places.of[tap];
    if (whole_vectors<S, W>(view, block)) {
      for (int q = 0; q < count; ++q)
        store(scratch + fetched_pixel<T>(tap, q) * W,
              place[q] < 0 ? Vec<S, W>{} : load<Vec<S, W>>((const S*)image + place[q]));
      continue;
    }
    const auto each = [&](const auto* pixels, auto convert) {
      for (int64_t c = 0; c < block.count; ++c)
        for (int q = 0; q < count; ++q)
          scratch[fetched_pixel<T>(tap, q) * W + c] =
              place[q] < 0 ? S(0) : S(convert(pixels[place[q] + c * view.c]));
    };
    if (view.dtype == DType::kFloat)
      each((const float*)image, [](float x) { return x; });
    else if (view.dtype == DType::kDouble)
      each((const double*)image, [](double x) { return x; });
    else if (view.dtype == DType::kHalf)
      each((const uint16_t*)image, [](uint16_t x) { return from_half(x); });
    else
      each((const uint16_t*)image, [](uint16_t x) { return from_bfloat16(x); });
  }
}

// Adds what the small scratch has gathered to a gradient in the type of computation.
template <class S, int W, int T>
static void scatter(const S* scratch, const Places<T>& places, int count, const InputView& view,
                    int64_t n, const Block& block) {
  S* image = (S*)view.data + n * view.n + block.first * view.c;
  for (int tap = 0; tap < T * T; ++tap) {
    const int64_t* place = places.of[tap];
    if (whole_vectors<S, W>(view, block)) {
      for (int q = 0; q < count; ++q) {
        if (place[q] < 0) continue;
        S* pixel = image + place[q];
        store(pixel, load<Vec<S, W>>(pixel) +
                         load<Vec<S, W>>(scratch + fetched_pixel<T>(tap, q) * W));
      }
      continue;
    }
    for (int64_t c = 0; c < block.count; ++c)
      for (int q = 0; q < count; ++q)
        if (place[q] >= 0)
          image[place[q] + c * view.c] += scratch[fetched_pixel<T>(tap, q) * W + c];
  }
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
