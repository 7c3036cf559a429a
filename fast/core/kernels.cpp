#include "fast/core/kernels.h"

#include "fast/kernels/sets.h"

namespace paligemma {

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> found;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const auto has = [](auto... features) { return (... && (features != 0)); };
  const bool avx2 = has(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"));
  const bool avx512 =
      avx2 && has(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bw"),
                  __builtin_cpu_supports("avx512dq"), __builtin_cpu_supports("avx512vl"),
                  __builtin_cpu_supports("avx512vnni"));
  if (avx512 && has(__builtin_cpu_supports("avx512bf16"))) found.push_back(&kAvx512Bf16Kernels);
  if (avx512) found.push_back(&kAvx512Kernels);
  if (avx2) found.push_back(&kAvx2Kernels);
#endif
  found.push_back(&kPortableKernels);
  return found;
}

const Kernels& best_kernels() {
  static const Kernels& best = *available_kernels().front();
  return best;
}

}  // namespace paligemma
