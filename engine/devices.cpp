#include "engine/devices.h"

#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "cuda/core/device.h"
#include "cuda/core/measured.h"
#include "fast/core/processors.h"

namespace paligemma {
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

Device cpu_for(const ExecutorOptions& options) {
  Device cpu{"cpu", "cpu"};
  cpu.threads = threads_for(options.threads);
  cpu.executor = "reference";
  if (options.reference) return cpu;
  const auto [kernels, note] = kernels_for(options);
  cpu.kernels = kernels;
  cpu.note = note;
  cpu.executor =
      "fast (" + std::string(kernels->name) + ": " + std::string(kernels->products) + ")";
  return cpu;
}

// 1 from "cuda:1", 0 from "cuda"; nothing from what names no GPU.
std::optional<int> cuda_number(const std::string& name) {
  if (name == "cuda") return 0;
  if (!name.starts_with("cuda:")) return std::nullopt;
  const std::string digits = name.substr(5);
  if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) return std::nullopt;
  return digits.size() > 4 ? 9999 : std::stoi(digits);  // nobody has so many
}

}  // namespace

int threads_for(int asked) {
  return asked > 0 ? asked : std::min(omp_get_max_threads(), usable_processors());
}

ProvenKernels kernels_for(const ExecutorOptions& options) {
  for (const Kernels* kernels : available_kernels()) {
    if (kernels->name == options.kernels) return {kernels, ""};
  }
  return proven_kernels(options.model);
}

Device choose_device(const ExecutorOptions& options) {
  const std::string& name = options.device;
  if (options.reference || name == "cpu") return cpu_for(options);
  if (name == "emulated") {
    if (cuda::is_emulated()) return {"emulated", "emulated (kernels on the CPU)", 0};
    throw std::runtime_error("there are no emulated kernels here; paligemma_emulated has them");
  }
  if (name == "auto") {
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
  const std::optional<int> number = cuda_number(name);
  if (!number) {
    throw std::invalid_argument("device " + name + ": must be auto, cpu, cuda, cuda:N or emulated");
  }
  if (cuda::is_emulated()) {
    throw std::runtime_error("the kernels here are emulated; paligemma_cuda has the GPU's");
  }
  Found found = find_cuda(*number);
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

std::unique_ptr<const AnyPipeline> open_pipeline(const Device& device,
                                                 const PipelineOptions& options) {
  if (device.cuda >= 0) return open_cuda(device.cuda, options);
  if (device.executor == "reference") return open_reference(options);
  return open_fast(device.kernels, device.threads, options);
}

std::unique_ptr<zeta::Pipeline> open_zeta(const Device& device,
                                          const zeta::PipelineOptions& options) {
  if (device.cuda >= 0) return open_zeta_cuda(device.cuda, options);
  if (device.executor == "reference") return open_zeta_reference(options);
  return open_zeta_fast(device.kernels, device.threads, options);
}

}  // namespace paligemma
