// Who answers: --device, --reference and --list-devices. This is the only place that chooses.
#pragma once

#include <string>

#include "cli/options.h"
#include "cuda/core/device.h"
#include "fast/core/fast.h"
#include "fast/core/proven_kernels.h"
#include "tensor/execution.h"

namespace paligemma::cli {

struct Device {
  std::string id;                    // "cpu", "cuda:0", "emulated"
  std::string text;                  // "cuda:0 (NVIDIA H200)"
  int cuda = -1;                     // its number; -1 if it is the CPU
  std::string executor = "cuda";     // on the CPU "reference", or "fast" and its kernels
  std::string note = "";             // that it was chosen unasked, or why another was not
  int threads = 1;                   // of the CPU
  const Kernels* kernels = nullptr;  // of the fast executor
};

// --threads, or as many as there are processors for this process. OpenMP, which the reference and the
// loader use, hears of --threads here.
int threads_of(const Options& options);

// --kernels, or the best that have been proven right.
ProvenKernels kernels_of(const Options& options);

// Throws std::runtime_error, in one line, if there is no such device or it cannot run the kernels.
Device choose_device(const Options& options);

// One line for each.
std::string device_list();

// Calls ask(executor, device).
template <class Ask>
int with_executor(const Options& options, const Ask& ask) {
  Device device = choose_device(options);
  if (device.cuda >= 0) {
    cuda::use_device(device.cuda);
    return ask(cuda::Stream(), device);
  }
  if (options.reference) return ask(reference, device);
  return ask(Fast({.kernels = device.kernels, .threads = device.threads}), device);
}

}  // namespace paligemma::cli
