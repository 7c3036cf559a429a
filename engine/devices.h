// Which executor answers. This is the only place that chooses.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/any_pipeline.h"
#include "engine/any_zeta.h"
#include "fast/core/proven_kernels.h"

namespace paligemma {

struct ExecutorOptions {
  // "cpu", "cuda", "cuda:N", "emulated", or the first of these that will do
  std::string device = "auto";
  std::string kernels = "auto";      // of the CPU, by name, or the best that have been proven right
  bool reference = false;            // on the CPU, the plain loops
  int threads = 0;                   // of the CPU; 0: all
  std::filesystem::path model = {};  // whether its weights make a proof worth while
};

struct Device {
  std::string id;                    // "cpu", "cuda:0", "emulated"
  std::string text;                  // "cuda:0 (NVIDIA H200)"
  int cuda = -1;                     // its number; -1 if it is the CPU
  std::string executor = "cuda";     // on the CPU "reference", or "fast" and its kernels
  std::string note = "";             // that it was chosen unasked, or which kernels failed
  int threads = 1;                   // of the CPU
  const Kernels* kernels = nullptr;  // of the fast executor
};

// As many threads as are asked for; for 0, as there are processors for this process, unless OpenMP is told
// to take fewer.
int threads_for(int asked);

// Those of the name, or the best that have been proven right (fast/core/proven_kernels.h).
ProvenKernels kernels_for(const ExecutorOptions& options);

// Throws std::invalid_argument for a name that is none, and std::runtime_error, in one line, if there is no
// such device or it cannot run the kernels.
Device choose_device(const ExecutorOptions& options);

// One line for each.
std::string device_list();

// Throws as Pipeline does.
std::unique_ptr<const AnyPipeline> open_pipeline(const Device& device,
                                                 const PipelineOptions& options);
std::unique_ptr<zeta::Pipeline> open_zeta(const Device& device,
                                          const zeta::PipelineOptions& options);

}  // namespace paligemma
