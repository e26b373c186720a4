#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace mmstn {
namespace {

const Kernels* find(const std::string& name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw");
#else
  const bool avx2 = false, avx512 = false;
#endif
  const bool any = name == "auto";
  if ((any || name == "avx512") && avx512 && kernels_avx512()) return kernels_avx512();
  if ((any || name == "avx2") && avx2 && kernels_avx2()) return kernels_avx2();
  if (any || name == "portable") return kernels_portable();
  throw std::invalid_argument("this CPU has no kernels named '" + name + "'");
}

std::atomic<const Kernels*>& current() {
  static std::atomic<const Kernels*> kernels{[] {
    const char* wanted = std::getenv("MMSTN_CPU_PATH");
    return find(wanted && *wanted ? wanted : "auto");
  }()};
  return kernels;
}

}  // namespace

const Kernels* cpu_kernels() { return current().load(); }
std::string cpu_path() { return cpu_kernels()->name; }
void set_cpu_path(const std::string& name) { current().store(find(name)); }

}  // namespace mmstn
