// The kernels for CPUs with AVX-512, whatever the rest of the binary is compiled for.
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
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#endif

#define MMSTN_ARCH avx512
#define MMSTN_X86_BYTES 64
#include "run.h"

namespace mmstn {
namespace avx512 {
static const Kernels* get() { return make_kernels<16, 8>("avx512"); }
}  // namespace avx512
}  // namespace mmstn

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace mmstn {
const Kernels* kernels_avx512() { return avx512::get(); }
}  // namespace mmstn
#else
namespace mmstn {
const Kernels* kernels_avx512() { return nullptr; }
}  // namespace mmstn
#endif
