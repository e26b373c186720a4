// The kernels in plain C++, for any CPU: what the compiler makes of vectors of 128 bits.
#define MMSTN_ARCH portable
#include "problem.h"
#include "run.h"

namespace mmstn {
const Kernels* kernels_portable() { return portable::make_kernels<4, 2>("portable"); }
}  // namespace mmstn
