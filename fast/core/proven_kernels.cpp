#include "fast/core/proven_kernels.h"

#include "fast/core/kernel_check.h"
#include "tensor/paths.h"

namespace paligemma {

namespace fs = std::filesystem;

std::uintmax_t weight_bytes(const fs::path& model) {
  std::error_code error;
  const auto size_of = [&](const fs::path& file) {
    const std::uintmax_t size = fs::file_size(file, error);
    return error ? 0 : size;
  };
  if (!is_folder(model)) return size_of(model);
  std::uintmax_t bytes = 0;
  for (fs::directory_iterator entry(model, error), end; entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".safetensors") bytes += size_of(entry->path());
  }
  return bytes;
}

ProvenKernels proven_kernels(const fs::path& model) {
  return proven_kernels(available_kernels(), ProofCache(user_cache()), processor_id(),
                        weight_bytes(model));
}

ProvenKernels proven_kernels(const std::vector<const Kernels*>& best_first, const ProofCache& cache,
                             const std::string& processor, std::uintmax_t bytes) {
  ProvenKernels chosen{best_first.back(), ""};
  for (const Kernels* kernels : best_first) {
    chosen.kernels = kernels;
    if (kernels == best_first.back()) break;
    const std::string name(kernels->name), proof = name + " " + kKernelBuild + " " + processor;
    if (!processor.empty() && cache.has(proof)) break;
    const bool keeps = !processor.empty() && cache.is_writable();
    if (!keeps && bytes < kWorthChecking) break;
    const std::string failed = failed_check_apart(*kernels);
    if (failed.empty()) {
      if (keeps) cache.keep(proof);
      break;
    }
    chosen.note += "the " + name + " kernels compute nonsense here (" + failed + "), ";
  }
  if (!chosen.note.empty()) chosen.note += "so " + std::string(chosen.kernels->name) + " run";
  return chosen;
}

}  // namespace paligemma
