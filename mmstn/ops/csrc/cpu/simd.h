// SIMD vectors in the compiler's own vector types (GCC, Clang): one source for every width.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "../sampler_math.h"

#ifndef MMSTN_X86_BYTES
#define MMSTN_X86_BYTES 0  // of the vectors of the instruction set that is compiled for
#endif

#define MMSTN_INLINE inline __attribute__((always_inline))

namespace mmstn {
namespace MMSTN_ARCH {

template <class S, int N>
struct VecOf {
  typedef S type __attribute__((vector_size(N * sizeof(S))));
};
template <class S, int N>
using Vec = typename VecOf<S, N>::type;

template <class S>
struct IntOf;
template <>
struct IntOf<float> {
  using type = int32_t;
};
template <>
struct IntOf<double> {
  using type = int64_t;
};

// The whole number at or below, in one instruction where there is one.
#if MMSTN_X86_BYTES == 64
MMSTN_INLINE Vec<float, 16> floor_(Vec<float, 16> x) { return _mm512_floor_ps(x); }
MMSTN_INLINE Vec<double, 8> floor_(Vec<double, 8> x) { return _mm512_floor_pd(x); }
#elif MMSTN_X86_BYTES == 32
MMSTN_INLINE Vec<float, 8> floor_(Vec<float, 8> x) { return _mm256_floor_ps(x); }
MMSTN_INLINE Vec<double, 4> floor_(Vec<double, 4> x) { return _mm256_floor_pd(x); }
#else
template <class V>
MMSTN_INLINE V floor_(V x);
#endif

template <class V>
struct VecOps {
  using Scalar = typename std::remove_cv<
      typename std::remove_reference<decltype(std::declval<V&>()[0])>::type>::type;
  static constexpr int lanes = sizeof(V) / sizeof(Scalar);
  using Int = Vec<typename IntOf<Scalar>::type, lanes>;

  static MMSTN_INLINE V floor(V x) {
    if constexpr (sizeof(V) == MMSTN_X86_BYTES) {
      return floor_(x);
    } else {
      // Beyond this a number is whole, and further beyond it does not fit an integer.
      const Scalar whole = sizeof(Scalar) == 4 ? Scalar(1 << 23) : Scalar(int64_t(1) << 52);
      const auto small = absolute(x) < (V{} + whole);
      const V y = select(small, x, V{});
      V t = __builtin_convertvector(__builtin_convertvector(y, Int), V);
      t = select(t > y, t - Scalar(1), t);
      return select(small, t, x);
    }
  }
};
#define MMSTN_VECTOR(S, N) \
  template <>              \
  struct Ops<Vec<S, N>> : VecOps<Vec<S, N>> {};
MMSTN_VECTOR(float, 4)
MMSTN_VECTOR(float, 8)
MMSTN_VECTOR(float, 16)
MMSTN_VECTOR(double, 2)
MMSTN_VECTOR(double, 4)
MMSTN_VECTOR(double, 8)
#undef MMSTN_VECTOR

template <class V, class P>
MMSTN_INLINE V load(const P* p) {
  V v;
  std::memcpy(&v, p, sizeof(V));
  return v;
}
template <class V, class P>
MMSTN_INLINE void store(P* p, V v) {
  std::memcpy(p, &v, sizeof(V));
}

// Compilers see that the numbers of an array were just stored as a vector, and take them out of it
// one by one, which is slower than to load them. This hides where they come from.
template <class A>
MMSTN_INLINE void keep_in_memory(A& array) {
  __asm__("" : "+m"(array));
}

// Element i of the result is element pick::at(i) of a and b, one after the other.
#if defined(__clang__)
template <class V, class Pick, int... I>
MMSTN_INLINE V shuffle_(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, Pick::at(I)...);
}
#else
template <class V, class Pick, int... I>
MMSTN_INLINE V shuffle_(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shuffle(a, b, typename VecOps<V>::Int{Pick::at(I)...});
}
#endif
template <class Pick, class V>
MMSTN_INLINE V shuffle(V a, V b) {
  return shuffle_<V, Pick>(a, b, std::make_integer_sequence<int, VecOps<V>::lanes>{});
}

// The lower (0) or upper (1) half of a vector.
template <int which, class H, class V>
MMSTN_INLINE H half(V v) {
  H h;
  std::memcpy(&h, (const char*)&v + which * sizeof(H), sizeof(H));
  return h;
}

// Vectors one after the other.
template <class V>
MMSTN_INLINE V join(V a) {
  return a;
}
#if defined(__clang__) || __GNUC__ >= 12
MMSTN_INLINE Vec<float, 8> join(Vec<float, 4> a, Vec<float, 4> b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
}
MMSTN_INLINE Vec<float, 16> join(Vec<float, 8> a, Vec<float, 8> b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#else  // correct at least
template <class H>
MMSTN_INLINE Vec<float, 2 * VecOps<H>::lanes> join(H a, H b) {
  Vec<float, 2 * VecOps<H>::lanes> v;
  std::memcpy(&v, &a, sizeof(H));
  std::memcpy((char*)&v + sizeof(H), &b, sizeof(H));
  return v;
}
#endif
MMSTN_INLINE Vec<float, 16> join(Vec<float, 4> a, Vec<float, 4> b, Vec<float, 4> c,
                                 Vec<float, 4> d) {
  return join(join(a, b), join(c, d));
}

template <class V>
MMSTN_INLINE V iota() {
  V v;
  for (int i = 0; i < VecOps<V>::lanes; ++i) v[i] = i;
  return v;
}

template <class V>
MMSTN_INLINE double sum(V v) {
  double s = 0;
  for (int i = 0; i < VecOps<V>::lanes; ++i) s += v[i];
  return s;
}

// Every second element.
template <int N, int first>
struct PickStrided {
  static constexpr int at(int i) { return 2 * i + first; }
};

// Elements of two vectors in turns, in the first (0) or the second (1) half.
template <int N, int half>
struct PickInterleaved {
  static constexpr int at(int i) { return half * (N / 2) + i / 2 + (i & 1) * N; }
};

// Blocks of B elements: the even ones of a, then those of b in the places of the odd ones; and the
// other way round.
template <int N, int B>
struct PickLow {
  static constexpr int at(int i) { return (i & B) ? N + i - B : i; }
};
template <int N, int B>
struct PickHigh {
  static constexpr int at(int i) { return (i & B) ? N + i : i + B; }
};

// Interleaving inside 128 bits, in elements of E floats: what unpcklps and its kin do.
template <int N, int L, int E, int high>
struct PickUnpack {
  static constexpr int at(int i) {
    return (i / L) * L + high * (L / 2) + ((i % L) / (2 * E)) * E + i % E + ((i / E) & 1) * N;
  }
};

// Transposes 4 x 4 numbers in every 128 bits of four vectors.
template <class V>
MMSTN_INLINE void turn_quads(V (&r)[4]) {
  constexpr int L = VecOps<V>::lanes;
  const V a = shuffle<PickUnpack<L, 4, 1, 0>>(r[0], r[1]);
  const V b = shuffle<PickUnpack<L, 4, 1, 1>>(r[0], r[1]);
  const V c = shuffle<PickUnpack<L, 4, 1, 0>>(r[2], r[3]);
  const V d = shuffle<PickUnpack<L, 4, 1, 1>>(r[2], r[3]);
  r[0] = shuffle<PickUnpack<L, 4, 2, 0>>(a, c);
  r[1] = shuffle<PickUnpack<L, 4, 2, 1>>(a, c);
  r[2] = shuffle<PickUnpack<L, 4, 2, 0>>(b, d);
  r[3] = shuffle<PickUnpack<L, 4, 2, 1>>(b, d);
}

// Transposes N vectors of N elements.
template <class S, int N>
MMSTN_INLINE void transpose(Vec<S, N> (&r)[N]) {
  using V = Vec<S, N>;
  constexpr int L = 16 / sizeof(S);  // elements in 128 bits
  V t[N];
  for (int i = 0; i < N; i += 2) {
    t[i] = shuffle<PickUnpack<N, L, 1, 0>>(r[i], r[i + 1]);
    t[i + 1] = shuffle<PickUnpack<N, L, 1, 1>>(r[i], r[i + 1]);
  }
  if (L == 4) {
    for (int i = 0; i < N; i += 4) {
      r[i] = shuffle<PickUnpack<N, 4, 2, 0>>(t[i], t[i + 2]);
      r[i + 1] = shuffle<PickUnpack<N, 4, 2, 1>>(t[i], t[i + 2]);
      r[i + 2] = shuffle<PickUnpack<N, 4, 2, 0>>(t[i + 1], t[i + 3]);
      r[i + 3] = shuffle<PickUnpack<N, 4, 2, 1>>(t[i + 1], t[i + 3]);
    }
  } else {
    for (int i = 0; i < N; ++i) r[i] = t[i];
  }
  // Now blocks of 128 bits are left to be transposed.
  if (N == 4 * L) {
    constexpr int B = N == 4 * L ? 2 * L : 1;
    for (int i = 0; i < N / 2; ++i) {
      const V a = r[i], b = r[i + N / 2];
      r[i] = shuffle<PickLow<N, B>>(a, b);
      r[i + N / 2] = shuffle<PickHigh<N, B>>(a, b);
    }
  }
  if (N >= 2 * L) {
    constexpr int B = N >= 2 * L ? L : 1;
    for (int h = 0; h < N; h += 2 * L)
      for (int i = h; i < h + L; ++i) {
        const V a = r[i], b = r[i + L];
        r[i] = shuffle<PickLow<N, B>>(a, b);
        r[i + L] = shuffle<PickHigh<N, B>>(a, b);
      }
  }
}

// The sum of each of N vectors of N elements.
template <class S, int N, int B>
struct SumEach {
  static MMSTN_INLINE Vec<S, N> run(Vec<S, N>* r) {
    for (int i = 0; i < B; ++i)
      r[i] = shuffle<PickLow<N, B>>(r[i], r[i + B]) + shuffle<PickHigh<N, B>>(r[i], r[i + B]);
    return SumEach<S, N, B / 2>::run(r);
  }
};
template <class S, int N>
struct SumEach<S, N, 0> {
  static MMSTN_INLINE Vec<S, N> run(Vec<S, N>* r) { return r[0]; }
};
template <class S, int N>
MMSTN_INLINE Vec<S, N> sum_each(Vec<S, N> (&r)[N]) {
  return SumEach<S, N, N / 2>::run(r);
}

}  // namespace MMSTN_ARCH
}  // namespace mmstn
