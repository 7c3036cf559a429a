#include "fast/core/processor.h"

namespace paligemma {
namespace {

bool has([[maybe_unused]] InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::avx512) return __builtin_cpu_supports("avx512f") != 0;
  if (set == InstructionSet::avx2) {
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  }
#endif
  return set == InstructionSet::portable;
}

InstructionSet best() {
  for (auto set : {InstructionSet::avx512, InstructionSet::avx2}) {
    if (has(set)) return set;
  }
  return InstructionSet::portable;
}

InstructionSet& current() {
  static InstructionSet set = best();
  return set;
}

}  // namespace

InstructionSet instruction_set() { return current(); }

bool use_instruction_set(InstructionSet set) {
  if (!has(set)) return false;
  current() = set;
  return true;
}

std::string_view name_of(InstructionSet set) {
  switch (set) {
    case InstructionSet::avx512:
      return "avx512";
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::portable:
      break;
  }
  return "portable";
}

}  // namespace paligemma
