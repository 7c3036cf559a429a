// Which instructions the kernels of fast/ use: the best that this processor has, found out once.
#pragma once

#include <string_view>

namespace paligemma {

enum class InstructionSet { portable, avx2, avx512 };

InstructionSet instruction_set();
std::string_view name_of(InstructionSet);

// For tests. Returns false, and changes nothing, if this processor does not have it.
bool use_instruction_set(InstructionSet);

}  // namespace paligemma
