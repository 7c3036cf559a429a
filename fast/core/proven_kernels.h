// The kernels that run unless others are asked for: the best of this processor's that compute what the
// portable ones do (fast/core/kernel_check.h).
//
// A set is checked when it is first met; that it passed is kept in the user's cache, for this processor and
// this build. Where nothing can be kept it is checked at every start, unless the weights are so few that
// whoever waits for an answer would notice. A set that fails is not the default, and is checked again next
// time.
//
// Fast itself checks nothing and writes no file: who chooses kernels for a user does.
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

// At least this much of weights is read in more time than a check takes.
inline constexpr std::uintmax_t kWorthChecking = std::uintmax_t{16} << 20;

// Of the safetensors files at a model's path, a checkpoint's folder or one file in it; 0 if there are none.
std::uintmax_t weight_bytes(const std::filesystem::path& model);

// For the model at that path.
ProvenKernels proven_kernels(const std::filesystem::path& model);

// The same of these sets, of which the last one is believed, with this cache, for this processor: "" has no
// name to be remembered by.
ProvenKernels proven_kernels(const std::vector<const Kernels*>& best_first, const ProofCache& cache,
                             const std::string& processor, std::uintmax_t weight_bytes);

}  // namespace paligemma
