#include "cli/devices.h"

#include <omp.h>

#include <algorithm>
#include <cstdio>

#include "cli/model_folder.h"
#include "cuda/core/measured.h"
#include "fast/core/processors.h"

namespace paligemma::cli {
namespace {

constexpr int kOldestCapability = 80;  // Ampere: bf16 in tensor cores, cp.async

std::string tenths(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

// A GPU, or why it cannot be used.
struct Found {
  Device device;
  std::string problem;  // empty if it can
  int capability = 0;
};
Found find_cuda(int number) {
  if (std::string problem = cuda::device_problem(); !problem.empty()) return {{}, problem};
  const auto devices = cuda::devices();
  const std::string id = "cuda:" + std::to_string(number);
  if (number >= static_cast<int>(devices.size())) {
    return {{}, "there is no " + id + ", see --list-devices"};
  }
  const auto& [name, bytes, capability] = devices[static_cast<std::size_t>(number)];
  const std::string text = id + " (" + name + ")";
  if (capability >= kOldestCapability) return {{id, text, number}, "", capability};
  return {{},
          text + " has compute capability " + tenths(capability) + "; the kernels need " +
              tenths(kOldestCapability)};
}

Device cpu_for(const Options& options) {
  Device cpu{"cpu", "cpu"};
  cpu.threads = threads_of(options);
  cpu.executor = "reference";
  if (options.reference) return cpu;
  const auto [kernels, note] = kernels_of(options);
  cpu.kernels = kernels;
  cpu.note = note;
  cpu.executor =
      "fast (" + std::string(kernels->name) + ": " + std::string(kernels->products) + ")";
  return cpu;
}

}  // namespace

int threads_of(const Options& options) {
  if (options.threads) omp_set_num_threads(static_cast<int>(*options.threads));
  const int threads = omp_get_max_threads();  // or as OMP_NUM_THREADS says
  return options.threads ? threads : std::min(threads, usable_processors());
}

ProvenKernels kernels_of(const Options& options) {
  for (const Kernels* kernels : available_kernels()) {
    if (kernels->name == options.kernels) return {kernels, ""};
  }
  return proven_kernels(find_model(options).path);
}

Device choose_device(const Options& options) {
  if (options.reference || options.device == "cpu") {
    if (options.reference && options.device != "cpu" && options.device != "auto") {
      throw UsageError("--reference runs on the CPU, not on --device " + options.device);
    }
    return cpu_for(options);
  }
  if (options.device == "emulated") {
    if (!cuda::is_emulated()) {
      throw std::runtime_error(
          "this program's kernels are a GPU's; paligemma_emulated has the others");
    }
    return {"emulated", "emulated (kernels on the CPU)", 0};
  }
  if (options.device == "auto") {
    if (cuda::is_emulated() || options.kernels != "auto") return cpu_for(options);
    Found found = find_cuda(0);
    if (!found.problem.empty()) return cpu_for(options);
    if (!cuda::is_measured(found.capability)) {
      Device cpu = cpu_for(options);
      cpu.note += (cpu.note.empty() ? "" : "; ") +
                  ("running on the CPU, since compute capability " + tenths(found.capability)) +
                  " has not been measured; --device cuda takes " + found.device.text;
      return cpu;
    }
    found.device.note = "running on " + found.device.text;
    return found.device;
  }
  if (cuda::is_emulated()) {
    throw std::runtime_error(
        "no CUDA device: this program was built without nvcc; "
        "--device emulated runs the kernels on the CPU");
  }
  const auto colon = options.device.find(':');
  const std::string digits = colon == std::string::npos ? "0" : options.device.substr(colon + 1);
  const int number = digits.size() > 4 ? 9999 : std::stoi(digits);  // nobody has so many
  Found found = find_cuda(number);
  if (!found.problem.empty()) throw std::runtime_error(found.problem);
  return found.device;
}

std::string device_list() {
  std::string list = "cpu\n";
  if (cuda::is_emulated()) {
    return list + "emulated  kernels on the CPU, to test and to debug them\n";
  }
  if (!cuda::device_problem().empty()) return list;
  int number = 0;
  for (const auto& device : cuda::devices()) {
    char line[200];
    std::snprintf(line, sizeof line, "cuda:%d  %s, %.1f GiB, compute capability %s\n", number++,
                  device.name.c_str(), static_cast<double>(device.bytes) / (1 << 30),
                  tenths(device.capability).c_str());
    list += line;
  }
  return list;
}

}  // namespace paligemma::cli
