// The kernels for CPUs with AVX2, whatever the rest of the binary is compiled for.
#include "problem.h"

#if defined(__x86_64__) && defined(__GNUC__)
// Headers of others first: their functions must not be compiled for this target.
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define MMSTN_ARCH avx2
#define MMSTN_X86_BYTES 32
#include "run.h"

namespace mmstn {
namespace avx2 {
static const Kernels* get() { return make_kernels<8, 4>("avx2"); }
}  // namespace avx2
}  // namespace mmstn

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace mmstn {
const Kernels* kernels_avx2() { return avx2::get(); }
}  // namespace mmstn
#else
namespace mmstn {
const Kernels* kernels_avx2() { return nullptr; }
}  // namespace mmstn
#endif
