// The kernels for CPUs with AVX-512.
#define MMSTN_ARCH avx512
#define MMSTN_X86_BYTES 64
#define MMSTN_TARGET "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"
#include "kernels_x86.inc"
