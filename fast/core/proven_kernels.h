// The default kernels: the best set of this processor's that computes what the portable one does
// (fast/core/kernel_check.h).
//
// A set is checked at its first use, and the user's cache remembers that it passed, for this processor and this
// build. Without a cache it is checked at every start, but not for a model so small that the check would take
// longer than its answer. A set that fails is passed over, and is checked again at the next start.
//
// Fast itself checks nothing and writes no file; the program and the engine call this for their users.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "fast/core/kernels.h"
#include "fast/core/proof_cache.h"

namespace paligemma {

struct ProvenKernels {
  const Kernels* kernels;
  std::string note;  // which sets failed which check; empty if none did
};

// Reading so many bytes of weights takes longer than a check.
inline constexpr std::uintmax_t kWorthChecking = std::uintmax_t{16} << 20;

// The bytes of the safetensors files of a model, given as a checkpoint's folder or a file in it; 0 if there are
// none.
std::uintmax_t weight_bytes(const std::filesystem::path& model);

// For the model at that path.
ProvenKernels proven_kernels(const std::filesystem::path& model);

// The same among these sets, of which the last is taken unchecked, with this cache and for this processor; if
// the processor is "", nothing is remembered.
ProvenKernels proven_kernels(const std::vector<const Kernels*>& best_first, const ProofCache& cache,
                             const std::string& processor, std::uintmax_t weight_bytes);

}  // namespace paligemma
