// The mathematics of the sampler, written once: compiled for scalars and SIMD vectors on a CPU and
// for scalars in CUDA kernels, so that a test on any machine tests what all of them run.
//
// T is a real number or a SIMD vector of them, S the scalar that it consists of. Pixel coordinates are such
// that pixel centres are the integers; (i, j) is an output pixel (row, column), (x, y) a point of
// the input.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#if defined(__CUDACC__)
#define MMSTN_HD __host__ __device__ __forceinline__
#else
#define MMSTN_HD inline __attribute__((always_inline))
#endif

// Every instruction set that this header is compiled for has a namespace of its own: otherwise the
// linker might keep one copy of a function, made for instructions that the CPU does not have.
#ifndef MMSTN_ARCH
#define MMSTN_ARCH generic
#endif

namespace mmstn {
namespace MMSTN_ARCH {

enum Mode : int64_t { kNearest = 0, kBilinear = 1, kBicubic = 2 };
enum Padding : int64_t { kZeros = 0, kBorder = 1, kReflection = 2 };

// The smallest |w| of a homogeneous divide, and the farthest normalised coordinate; both as in the
// PyTorch path (grids.py, torch_backend.py).
constexpr double kMinHomogeneous = 1e-6;
constexpr double kFarthest = 1048576.0;

// What differs between a scalar and a vector; simd.h has the vectors.
template <class T>
struct Ops;

template <>
struct Ops<float> {
  using Scalar = float;
  static MMSTN_HD float floor(float x) { return ::floorf(x); }
};
template <>
struct Ops<double> {
  using Scalar = double;
  static MMSTN_HD double floor(double x) { return ::floor(x); }
};

template <class M, class T>
MMSTN_HD T select(M mask, T yes, T no) {
  return mask ? yes : no;
}
template <class T, class S>
MMSTN_HD T splat(S s) {
  return T{} + static_cast<typename Ops<T>::Scalar>(s);
}
template <class T>
MMSTN_HD T absolute(T x) {
  return select(x < T{}, -x, x);
}
// A NaN becomes `low`.
template <class T>
MMSTN_HD T clip(T x, T low, T high) {
  x = select(x > low, x, low);
  return select(x < high, x, high);
}
template <class T>
MMSTN_HD auto is_number(T x) {
  return x == x;
}
// Neither infinite nor NaN: inf - inf and nan - nan are nan.
template <class T>
MMSTN_HD auto finite(T x) {
  return (x - x) == T{};
}

// ---------------------------------------------------------------------------------------------
// One axis of the input.

template <class S>
struct Axis {
  S half;     // pixel = half * normalised + offset
  S offset;   //
  S size;     // number of pixels
  S low;      // the farthest coordinates: whatever lies further out, infinity too, lies there
  S high;     //
  S mirror;   // reflection mirrors about this coordinate ...
  S span;     // ... and about this much further on
  S rounding; // of a coordinate on its way to pixels; as in torch_backend.py

  MMSTN_HD Axis(int64_t n, bool align_corners)
      : half(S(align_corners ? n - 1 : n) / S(2)),
        offset(S(n - 1) / S(2)),
        size(S(n)),
        low(offset - S(kFarthest) * half),
        high(offset + S(kFarthest) * half),
        mirror(align_corners ? S(0) : S(-0.5)),
        span(S(align_corners ? n - 1 : n)),
        rounding(S(2) * std::numeric_limits<S>::epsilon() * S(n)) {}

  // Numbers stop beyond the farthest coordinate, before they are too large for a pixel's; NaN stays.
  template <class T>
  MMSTN_HD T pixel(T normalised) const {
    const T near = clip(normalised, splat<T>(-2 * kFarthest), splat<T>(2 * kFarthest));
    return select(is_number(normalised), near, normalised) * half + offset;
  }
};

// The coordinate of the extended input's point x in the input itself, for reflection; the slope is -1
// where the extended input runs backwards.
template <class T, class S>
MMSTN_HD T reflect(T x, const Axis<S>& axis, T* slope) {
  if (axis.span == S(0)) {
    *slope = T{};
    return T{};
  }
  const T distance = x - axis.mirror;
  const T away = absolute(distance);
  const T flips = Ops<T>::floor(away / axis.span);
  const T rest = away - flips * axis.span;
  const auto odd = (flips - S(2) * Ops<T>::floor(flips * S(0.5))) == splat<T>(1);
  const T sign = select(distance < T{}, splat<T>(-1), splat<T>(1));
  *slope = select(odd, -sign, sign);
  return select(odd, axis.span - rest, rest) + axis.mirror;
}

// Where a bilinear cell is read for the point x of the extended input, and d(place)/dx. With zero
// padding this is x, or a place two pixels outside the input: all that lies further out is zero, too.
template <int padding, class T, class S>
MMSTN_HD T place(T x, const Axis<S>& axis, T* slope) {
  *slope = splat<T>(1);
  if (padding == kZeros)
    return clip(x, splat<T>(axis.low < S(-2) ? S(-2) : axis.low),
                splat<T>(axis.high > axis.size ? axis.size : axis.high));
  if (padding == kReflection) {
    const T near = clip(x, splat<T>(axis.low), splat<T>(axis.high));
    const auto stopped = near != x;
    x = reflect(near, axis, slope);
    *slope = select(stopped, T{}, *slope);
  }
  const S last = axis.size - S(1);
  const auto inside = (x > T{}) & (x < splat<T>(last));
  *slope = select(inside, *slope, T{});
  return clip(x, T{}, splat<T>(last));
}

// Which pixel the extended input shows at a whole number `index`, or `none`.
template <int padding, class T, class S>
MMSTN_HD T pad_index(T index, const Axis<S>& axis, S none) {
  if (padding == kZeros) {
    const auto inside = (index >= T{}) & (index < splat<T>(axis.size));
    return select(inside, index, splat<T>(none));
  }
  if (padding == kReflection) {
    T slope;
    index = Ops<T>::floor(reflect(index, axis, &slope) + S(0.5));
  }
  return clip(index, T{}, splat<T>(axis.size - S(1)));
}

// ---------------------------------------------------------------------------------------------
// Sampling kernels: `taps` pixels from floor(x) + first on, their weights and d(weight)/dx.

template <int mode>
struct Kernel;

template <>
struct Kernel<kNearest> {  // equation (4) of the paper: floor(x + 0.5)
  static constexpr int taps = 1, first = 0;
  // Many points of a regular grid lie between two pixels, all but for a rounding error, by which
  // they must not be told apart.
  template <class T, class S>
  static MMSTN_HD T base(T x, S rounding) {
    return Ops<T>::floor(x + (S(0.5) + rounding));
  }
  template <class T>
  static MMSTN_HD void weights(T, T (&w)[1]) {
    w[0] = splat<T>(1);
  }
  template <class T>
  static MMSTN_HD void slopes(T, T (&d)[1]) {
    d[0] = T{};
  }
};

template <>
struct Kernel<kBilinear> {  // equation (5)
  static constexpr int taps = 2, first = 0;
  template <class T, class S>
  static MMSTN_HD T base(T x, S /*rounding*/) {
    return Ops<T>::floor(x);
  }
  template <class T>
  static MMSTN_HD void weights(T t, T (&w)[2]) {
    w[0] = splat<T>(1) - t;
    w[1] = t;
  }
  template <class T>
  static MMSTN_HD void slopes(T, T (&d)[2]) {
    d[0] = splat<T>(-1);
    d[1] = splat<T>(1);
  }
};

template <>
struct Kernel<kBicubic> {  // Keys (1981) with a = -0.75, as PyTorch and OpenCV have it
  static constexpr int taps = 4, first = -1;
  template <class T, class S>
  static MMSTN_HD T base(T x, S /*rounding*/) {
    return Ops<T>::floor(x);
  }
  template <class T>
  static MMSTN_HD void weights(T t, T (&w)[4]) {
    using S = typename Ops<T>::Scalar;
    const S a = S(-0.75);
    const T u = S(1) - t;
    w[0] = a * t * u * u;
    w[1] = ((a + S(2)) * t - (a + S(3))) * t * t + S(1);
    w[2] = ((a + S(2)) * u - (a + S(3))) * u * u + S(1);
    w[3] = a * u * t * t;
  }
  template <class T>
  static MMSTN_HD void slopes(T t, T (&d)[4]) {
    using S = typename Ops<T>::Scalar;
    const S a = S(-0.75);
    const T u = S(1) - t;
    d[0] = a * u * (u - S(2) * t);
    d[1] = (S(3) * (a + S(2)) * t - S(2) * (a + S(3))) * t;
    d[2] = (S(2) * (a + S(3)) - S(3) * (a + S(2)) * u) * u;
    d[3] = a * t * (S(2) * u - t);
  }
};

// ---------------------------------------------------------------------------------------------
// A matrix as a warp from output pixels to input pixels: (x, y, w) = A (j', i', 1), the point is
// (x / w, y / w) + offset. (j', i') is counted from the centre of the output, which keeps rounding
// errors small and makes the identity exact.

template <class S>
struct PixelWarp {
  S x[3], y[3], w[3];  // of the matrix divided by `scale`
  S scale;
  S offset_x, offset_y;
};

// Normalised output coordinate per output pixel, counted from the centre of the output.
MMSTN_HD double target_step(int64_t size, bool align_corners) {
  if (!align_corners) return 2.0 / double(size);
  return size > 1 ? 2.0 / double(size - 1) : 0.0;
}

// A homography is defined up to a factor: what it is divided by, so that its bottom row has 1 as the
// largest number. 1 for affine matrices, and for bottom rows of zeros or with infinite numbers.
template <class S>
MMSTN_HD double homography_scale(const S* matrix, bool projective) {
  double largest = 0;
  for (int c = 0; projective && c < 3; ++c) {
    const double size = absolute(double(matrix[6 + c]));
    largest = size > largest ? size : largest;
  }
  return largest > 0 && finite(largest) ? largest : 1.0;
}

// An entry of a matrix in pixels, so that a sum of three of them is no infinity in float32. Infinite
// entries stay, also where all of an axis is one point.
MMSTN_HD double in_pixels(double entry, double scale, double half) {
  constexpr double most = 1e37;
  if (scale != 1.0) entry /= scale;
  const double pixels = entry * half;
  if (absolute(pixels) < most) return pixels;  // the usual case
  return finite(entry) ? clip(pixels, -most, most) : entry;
}

template <class S>
MMSTN_HD PixelWarp<double> pixel_warp(const S* matrix, bool projective, int64_t height, int64_t width,
                                    int64_t out_height, int64_t out_width, bool align_corners) {
  const Axis<double> ax(width, align_corners), ay(height, align_corners);
  const double step[3] = {target_step(out_width, align_corners),
                          target_step(out_height, align_corners), 1.0};
  PixelWarp<double> warp;
  warp.scale = homography_scale(matrix, projective);
  for (int c = 0; c < 3; ++c) {
    warp.x[c] = in_pixels(double(matrix[c]), warp.scale, ax.half) * step[c];
    warp.y[c] = in_pixels(double(matrix[3 + c]), warp.scale, ay.half) * step[c];
    warp.w[c] = projective ? double(matrix[6 + c]) / warp.scale * step[c] : (c == 2 ? 1.0 : 0.0);
  }
  warp.offset_x = ax.offset;
  warp.offset_y = ay.offset;
  return warp;
}

// The gradient of the matrix from that of the warp, the way back. The scale is a constant: a warp does
// not change with the factor of its matrix.
MMSTN_HD void matrix_gradient(const double* warp_gradient, double* matrix_gradient, bool projective,
                              double warp_scale, int64_t height, int64_t width, int64_t out_height, int64_t out_width,
                              bool align_corners) {
  const Axis<double> ax(width, align_corners), ay(height, align_corners);
  const double step[3] = {target_step(out_width, align_corners),
                          target_step(out_height, align_corners), 1.0};
  const double scale[3] = {ax.half, ay.half, 1.0};
  for (int r = 0; r < (projective ? 3 : 2); ++r)
    for (int c = 0; c < 3; ++c)
      matrix_gradient[3 * r + c] = warp_gradient[3 * r + c] * step[c] * scale[r] / warp_scale;
}

// One output row of such a warp: everything is linear in j'.
template <class S>
struct Row {
  S xj, x0, yj, y0, wj, w0;
  S offset_x, offset_y;

  template <class M>
  MMSTN_HD Row(const PixelWarp<M>& warp, M row, bool projective) {
    xj = S(warp.x[0]);
    yj = S(warp.y[0]);
    wj = S(warp.w[0]);
    x0 = S(warp.x[1] * row + warp.x[2] + (projective ? M(0) : warp.offset_x));
    y0 = S(warp.y[1] * row + warp.y[2] + (projective ? M(0) : warp.offset_y));
    w0 = S(warp.w[1] * row + warp.w[2]);
    offset_x = S(warp.offset_x);
    offset_y = S(warp.offset_y);
  }
};

template <class T>
MMSTN_HD T clamp_away_from_zero(T w) {
  const T least = splat<T>(kMinHomogeneous);
  return select(absolute(w) < least, select(w < T{}, -least, least), w);
}

// A point of the input and, for the gradient of a projective warp, what it was made of.
template <class T>
struct Point {
  T x, y;
  T inverse_w, plane_x, plane_y;  // 1 / w and the point before the offset; zero for points at infinity
  T moves_w;                      // 1 where w is what the matrix says, 0 where it was clamped
};

template <bool projective, class T, class S>
MMSTN_HD Point<T> row_point(const Row<S>& row, T j) {
  Point<T> p;
  p.x = row.xj * j + row.x0;
  p.y = row.yj * j + row.y0;
  if (projective) {
    const T w = row.wj * j + row.w0, clamped = clamp_away_from_zero(w);
    const T x = p.x / clamped, y = p.y / clamped;
    const auto counts = finite(x) & finite(y);
    p.x = x + row.offset_x;
    p.y = y + row.offset_y;
    p.inverse_w = select(counts, S(1) / clamped, T{});
    p.plane_x = select(counts, x, T{});
    p.plane_y = select(counts, y, T{});
    p.moves_w = select(clamped == w, splat<T>(1), T{});
  }
  return p;
}

// Sums over output pixels that the gradient of a warp is made of: of (dL/dx, dL/dy, dL/dw), before
// the divide, times (j', i', 1).
template <class T>
struct WarpSums {
  T x[3] = {T{}, T{}, T{}}, y[3] = {T{}, T{}, T{}}, w[3] = {T{}, T{}, T{}};

  template <bool projective>
  MMSTN_HD void add(const Point<T>& p, T j, T i, T gx, T gy) {
    if (projective) {
      gx = gx * p.inverse_w;
      gy = gy * p.inverse_w;
      const T gw = -p.moves_w * (gx * p.plane_x + gy * p.plane_y);
      w[0] += gw * j;
      w[1] += gw * i;
      w[2] += gw;
    }
    x[0] += gx * j;
    x[1] += gx * i;
    x[2] += gx;
    y[0] += gy * j;
    y[1] += gy * i;
    y[2] += gy;
  }
};

}  // namespace MMSTN_ARCH
}  // namespace mmstn
