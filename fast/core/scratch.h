// Memory that kernels use again and again: one block for each thread and purpose, which grows and stays.
#pragma once

#include <cstddef>

namespace paligemma {

enum class Scratch { rows, panel, strip };

// At least `bytes`, aligned to a cache line; what it holds is anything. It is the calling thread's until
// the thread asks for the same purpose again.
void* scratch(Scratch purpose, std::size_t bytes);

}  // namespace paligemma
