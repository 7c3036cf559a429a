// Who answers: --device, --reference and --list-devices. This is the only place that chooses.
#pragma once

#include <string>

#include "cli/options.h"
#include "cuda/core/device.h"

namespace paligemma::cli {

struct Device {
  std::string id;                 // "cpu", "cuda:0", "emulated"
  std::string text;               // "cuda:0 (NVIDIA H200)"
  int cuda = -1;                  // its number; -1 if it is the CPU
  std::string executor = "cuda";  // "fast" or "reference" on the CPU
  std::string note = "";          // that it was chosen unasked
};

// Throws std::runtime_error, in one line, if there is no such device or it cannot run the kernels.
Device choose_device(const Options& options);

// One line for each.
std::string device_list();

// Calls ask(executor, device).
template <class Ask>
int with_executor(const Options& options, const Ask& ask) {
  Device device = choose_device(options);
  if (device.cuda < 0) return options.reference ? ask(reference, device) : ask(fast, device);
  cuda::use_device(device.cuda);
  return ask(cuda::Stream(), device);
}

}  // namespace paligemma::cli
