// Tiles of (pixels x channels) between tensors and vectors: channels innermost inside the sampler,
// any strides and any of the four types outside.
#pragma once

#include "problem.h"
#include "simd.h"

namespace mmstn {
namespace MMSTN_ARCH {

// float16 <-> float32 in integer arithmetic that compilers vectorise (after M. Dukhan's FP16).
MMSTN_INLINE float bits_float(uint32_t u) {
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
MMSTN_INLINE uint32_t float_bits(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  return u;
}
MMSTN_INLINE float from_half(uint16_t h) {
  const uint32_t w = uint32_t(h) << 16, sign = w & 0x80000000u, two_w = w + w;
  const float normal = bits_float((two_w >> 4) + (0xE0u << 23)) * bits_float(0x7800000u);
  const float subnormal = bits_float((two_w >> 17) | (126u << 23)) - 0.5f;
  return bits_float(sign | (two_w < (1u << 27) ? float_bits(subnormal) : float_bits(normal)));
}
MMSTN_INLINE uint16_t to_half(float f) {
  const uint32_t w = float_bits(f), two_w = w + w, sign = w & 0x80000000u;
  float base = (bits_float(w & 0x7FFFFFFFu) * bits_float(0x77800000u)) * bits_float(0x08800000u);
  uint32_t bias = two_w & 0xFF000000u;
  bias = bias < 0x71000000u ? 0x71000000u : bias;
  base = bits_float((bias >> 1) + 0x07800000u) + base;
  const uint32_t bits = float_bits(base);
  const uint32_t rest = ((bits >> 13) & 0x7C00u) + (bits & 0xFFFu);
  return uint16_t((sign >> 16) | (two_w > 0xFF000000u ? 0x7E00u : rest));
}
MMSTN_INLINE float from_bfloat16(uint16_t h) { return bits_float(uint32_t(h) << 16); }
MMSTN_INLINE uint16_t to_bfloat16(float f) {
  const uint32_t u = float_bits(f);
  return f != f ? uint16_t(0x7FC0) : uint16_t((u + 0x7FFFu + ((u >> 16) & 1u)) >> 16);
}

template <class S>
MMSTN_INLINE DType dtype_of() {
  return sizeof(S) == 4 ? DType::kFloat : DType::kDouble;
}
MMSTN_INLINE int64_t bytes_of(DType dtype) {
  return dtype == DType::kDouble ? 8 : dtype == DType::kFloat ? 4 : 2;
}
template <class P>
MMSTN_INLINE P* at(P* data, DType dtype, int64_t elements) {
  return (P*)((char*)data + elements * bytes_of(dtype));
}

// `count` elements of any type and stride. Not inlined, as most of the time it is not called.
template <class S, class E, class F>
MMSTN_INLINE void convert_in(S* to, const E* from, int64_t stride, int count, F convert) {
  if (stride == 1)  // compilers make vectors of this one
    for (int i = 0; i < count; ++i) to[i] = S(convert(from[i]));
  else
    for (int i = 0; i < count; ++i) to[i] = S(convert(from[i * stride]));
}
template <class S>
__attribute__((noinline)) static void read_elements(S* to, const void* from, DType dtype,
                                                    int64_t stride, int count) {
  if (dtype == DType::kFloat)
    convert_in(to, (const float*)from, stride, count, [](float x) { return x; });
  else if (dtype == DType::kDouble)
    convert_in(to, (const double*)from, stride, count, [](double x) { return x; });
  else if (dtype == DType::kHalf)
    convert_in(to, (const uint16_t*)from, stride, count, [](uint16_t x) { return from_half(x); });
  else
    convert_in(to, (const uint16_t*)from, stride, count,
               [](uint16_t x) { return from_bfloat16(x); });
}
template <class S, class E, class F>
MMSTN_INLINE void convert_out(E* to, const S* from, int64_t stride, int count, F convert) {
  if (stride == 1)
    for (int i = 0; i < count; ++i) to[i] = convert(from[i]);
  else
    for (int i = 0; i < count; ++i) to[i * stride] = convert(from[i]);
}
template <class S>
__attribute__((noinline)) static void write_elements(void* to, const S* from, DType dtype,
                                                     int64_t stride, int count) {
  if (dtype == DType::kFloat)
    convert_out((float*)to, from, stride, count, [](S x) { return float(x); });
  else if (dtype == DType::kDouble)
    convert_out((double*)to, from, stride, count, [](S x) { return double(x); });
  else if (dtype == DType::kHalf)
    convert_out((uint16_t*)to, from, stride, count, [](S x) { return to_half(float(x)); });
  else
    convert_out((uint16_t*)to, from, stride, count, [](S x) { return to_bfloat16(float(x)); });
}

// L numbers of one row of the input, and zeros after its last one.
template <class S, int L>
MMSTN_INLINE Vec<S, L> read_pixels(const void* from, DType dtype, int64_t stride, int64_t count) {
  if (count >= L && stride == 1 && dtype == dtype_of<S>()) return load<Vec<S, L>>((const S*)from);
  alignas(64) S lanes[L] = {};
  read_elements(lanes, from, dtype, stride, int(count < L ? count : L));
  return load<Vec<S, L>>(lanes);
}
template <class S, int L>
MMSTN_INLINE void write_pixels(void* to, DType dtype, int64_t stride, int64_t count, Vec<S, L> v) {
  if (count >= L && stride == 1 && dtype == dtype_of<S>()) return store((S*)to, v);
  alignas(64) S lanes[L];
  store(lanes, v);
  write_elements(to, lanes, dtype, stride, int(count < L ? count : L));
}

// Pixels x channels of a tensor in memory.
struct Tile {
  DType dtype;
  int64_t channel, pixel;  // strides
  int channels;            // live channels, at most N; the others read as zero

  MMSTN_INLINE bool channels_innermost() const { return channel == 1 && pixel != 1; }
};

// The general case: any type, any strides, part of a tile. Lines are pixels if channels are
// innermost and channels if not, N x N elements in all.
template <class S, int N>
__attribute__((noinline)) static void read_lines(S* lines, const void* from, Tile t, int pixels) {
  const bool inner = t.channels_innermost();
  const int count = inner ? pixels : t.channels, length = inner ? t.channels : pixels;
  const int64_t line = inner ? t.pixel : t.channel, step = inner ? t.channel : t.pixel;
  for (int i = 0; i < N * N; ++i) lines[i] = S(0);
  for (int i = 0; i < count; ++i) {
    const void* p = at(from, t.dtype, i * line);
    read_elements(lines + i * N, p, t.dtype, step, length);
  }
}
template <class S, int N>
__attribute__((noinline)) static void write_lines(void* to, const S* lines, Tile t, int pixels) {
  const bool inner = t.channels_innermost();
  const int count = inner ? pixels : t.channels, length = inner ? t.channels : pixels;
  const int64_t line = inner ? t.pixel : t.channel, step = inner ? t.channel : t.pixel;
  for (int i = 0; i < count; ++i) {
    void* p = at(to, t.dtype, i * line);
    write_elements(p, lines + i * N, t.dtype, step, length);
  }
}

// Three channels, innermost: number by number, as what memcpy writes to memory in two parts cannot be
// read back at once.
template <class S>
MMSTN_INLINE bool is_rgb(const Tile& t) {
  return t.channels_innermost() && t.channels == 3 && t.dtype == dtype_of<S>();
}

// tile[q] = the channels of pixel q, for q < pixels; zero for the others.
template <class S, int N>
MMSTN_INLINE void read_tile(Vec<S, N> (&tile)[N], const void* from, const Tile& t, int pixels) {
  using V = Vec<S, N>;
  const bool inner = t.channels_innermost();
  if constexpr (N == 4) {
    if (is_rgb<S>(t)) {
      for (int q = 0; q < N; ++q) {
        const S* p = (const S*)from + q * t.pixel;
        tile[q] = V{};
        if (q < pixels) tile[q] = V{p[0], p[1], p[2]};
      }
      return;
    }
  }
  if (t.dtype == dtype_of<S>() && pixels == N && (inner ? t.channels == N : t.pixel == 1)) {
    const S* p = (const S*)from;
    const int64_t line = inner ? t.pixel : t.channel;
    const int count = inner ? N : t.channels;
    for (int i = 0; i < N; ++i) tile[i] = i < count ? load<V>(p + i * line) : V{};
  } else {
    alignas(64) S lines[N * N];
    read_lines<S, N>(lines, from, t, pixels);
    for (int i = 0; i < N; ++i) tile[i] = load<V>(lines + i * N);
  }
  if (!inner) transpose<S, N>(tile);
}

template <class S, int N>
MMSTN_INLINE void write_tile(Vec<S, N> (&tile)[N], void* to, const Tile& t, int pixels) {
  const bool inner = t.channels_innermost();
  if (!inner) transpose<S, N>(tile);
  if constexpr (N == 4) {
    if (is_rgb<S>(t)) {
      for (int q = 0; q < N; ++q)
        for (int c = 0; c < 3; ++c)
          if (q < pixels) ((S*)to)[q * t.pixel + c] = tile[q][c];
      return;
    }
  }
  if (t.dtype == dtype_of<S>() && pixels == N && (inner ? t.channels == N : t.pixel == 1)) {
    S* p = (S*)to;
    const int64_t line = inner ? t.pixel : t.channel;
    const int count = inner ? N : t.channels;
    for (int i = 0; i < N; ++i)
      if (i < count) store(p + i * line, tile[i]);
  } else {
    alignas(64) S lines[N * N];
    for (int i = 0; i < N; ++i) store(lines + i * N, tile[i]);
    write_lines<S, N>(to, lines, t, pixels);
  }
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
