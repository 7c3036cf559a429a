// What a step of training keeps of its way there for the way back. It computes the same either way.
#pragma once

namespace paligemma {

enum class Recompute {
  none,    // everything
  blocks,  // what each block reads; the rest is computed again, block by block
};

}  // namespace paligemma
