// Which of the compiled kernels this CPU runs.
#pragma once

#include <string>

#include "problem.h"

namespace mmstn {

const Kernels* cpu_kernels();
std::string cpu_path();
// "avx512", "avx2", "portable", or "auto" for the best that the CPU has; throws if it has not.
void set_cpu_path(const std::string& name);

}  // namespace mmstn
