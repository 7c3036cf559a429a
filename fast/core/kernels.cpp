#include "fast/core/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <iterator>
#include <sstream>

#include "fast/kernels/sets.h"

namespace paligemma {
namespace {

bool can_run(const Features& processor, const Kernels& kernels) {
  std::istringstream words{std::string(kernels.features)};
  return std::all_of(std::istream_iterator<std::string>(words), {},
                     [&](const std::string& feature) { return processor.at(feature); });
}

#if defined(__x86_64__)
// __builtin_cpu_supports of clang 14 does not know it. That the system keeps registers of 32 bytes is
// asked for with avx2.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

// The features of tile registers, bits of leaf 7's edx. Linux keeps the registers from a process that has not
// asked for them, and may refuse (docs/amx.md).
bool may_use_tiles() {
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool may = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return may;
}
bool has_tiles(unsigned bit) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> bit & 1) != 0 && may_use_tiles();
}
#endif

}  // namespace

Features features_of_this_processor() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return {{"avx2", __builtin_cpu_supports("avx2")},
          {"fma", __builtin_cpu_supports("fma")},
          {"f16c", has_f16c()},
          {"avx512f", __builtin_cpu_supports("avx512f")},
          {"avx512bw", __builtin_cpu_supports("avx512bw")},
          {"avx512dq", __builtin_cpu_supports("avx512dq")},
          {"avx512vl", __builtin_cpu_supports("avx512vl")},
          {"avx512vnni", __builtin_cpu_supports("avx512vnni")},
          {"avx512bf16", __builtin_cpu_supports("avx512bf16")},
          {"amx-bf16", has_tiles(22)},
          {"amx-tile", has_tiles(24)},
          {"amx-int8", has_tiles(25)}};
#else
  return {};
#endif
}

std::vector<const Kernels*> available_kernels(const Features& processor) {
  std::vector<const Kernels*> found;
#if defined(__x86_64__)
  for (const Kernels* kernels :
       {&kAmxKernels, &kAvx512Bf16Kernels, &kAvx512Kernels, &kAvx2Kernels}) {
    if (can_run(processor, *kernels)) found.push_back(kernels);
  }
#endif
  found.push_back(&kPortableKernels);
  return found;
}

const Kernels& best_kernels() {
  static const Kernels& best = *available_kernels().front();
  return best;
}

}  // namespace paligemma
