// The kernels for CPUs with AVX2.
#define MMSTN_ARCH avx2
#define MMSTN_X86_BYTES 32
#define MMSTN_TARGET "avx2,fma"
#include "kernels_x86.inc"
