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

// `count` elements of any type and stride.
template <class S>
MMSTN_INLINE void read_elements(S* to, const void* from, DType dtype, int64_t stride, int count) {
  if (dtype == DType::kFloat) {
    for (int i = 0; i < count; ++i) to[i] = S(((const float*)from)[i * stride]);
  } else if (dtype == DType::kDouble) {
    for (int i = 0; i < count; ++i) to[i] = S(((const double*)from)[i * stride]);
  } else if (dtype == DType::kHalf) {
    for (int i = 0; i < count; ++i) to[i] = S(from_half(((const uint16_t*)from)[i * stride]));
  } else {
    for (int i = 0; i < count; ++i) to[i] = S(from_bfloat16(((const uint16_t*)from)[i * stride]));
  }
}
template <class S>
MMSTN_INLINE void write_elements(void* to, const S* from, DType dtype, int64_t stride, int count) {
  if (dtype == DType::kFloat) {
    for (int i = 0; i < count; ++i) ((float*)to)[i * stride] = float(from[i]);
  } else if (dtype == DType::kDouble) {
    for (int i = 0; i < count; ++i) ((double*)to)[i * stride] = double(from[i]);
  } else if (dtype == DType::kHalf) {
    for (int i = 0; i < count; ++i) ((uint16_t*)to)[i * stride] = to_half(float(from[i]));
  } else {
    for (int i = 0; i < count; ++i) ((uint16_t*)to)[i * stride] = to_bfloat16(float(from[i]));
  }
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
    if (step == 1 && length == N)
      read_elements(lines + i * N, p, t.dtype, 1, N);
    else
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
    if (step == 1 && length == N)
      write_elements(p, lines + i * N, t.dtype, 1, N);
    else
      write_elements(p, lines + i * N, t.dtype, step, length);
  }
}

// tile[q] = the channels of pixel q, for q < pixels; zero for the others.
template <class S, int N>
MMSTN_INLINE void read_tile(Vec<S, N> (&tile)[N], const void* from, const Tile& t, int pixels) {
  using V = Vec<S, N>;
  const bool inner = t.channels_innermost();
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
