#include "cli/devices.h"

#include <cstdio>

namespace paligemma::cli {
namespace {

constexpr int kOldestCapability = 80;  // Ampere: bf16 in tensor cores, cp.async

std::string tenths(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

// Why it cannot be used; empty if it can.
std::string problem_with(int number) {
  if (std::string problem = cuda::device_problem(); !problem.empty()) return problem;
  const auto devices = cuda::devices();
  const std::string id = "cuda:" + std::to_string(number);
  if (number >= static_cast<int>(devices.size())) {
    return "there is no " + id + ", see --list-devices";
  }
  const auto& device = devices[static_cast<std::size_t>(number)];
  if (device.capability >= kOldestCapability) return "";
  return id + " (" + device.name + ") has compute capability " + tenths(device.capability) +
         "; the kernels need " + tenths(kOldestCapability);
}

Device cuda_device(int number) {
  const std::string id = "cuda:" + std::to_string(number);
  const std::string name = cuda::devices()[static_cast<std::size_t>(number)].name;
  return {id, id + " (" + name + ")", number};
}

}  // namespace

Device choose_device(const Options& options) {
  Device cpu{"cpu", "cpu"};
  if (options.reference || options.device == "cpu") {
    if (options.reference && options.device != "cpu" && options.device != "auto") {
      throw UsageError("--reference runs on the CPU, not on --device " + options.device);
    }
    return cpu;
  }
  if (options.device == "emulated") {
    if (!cuda::is_emulated()) {
      throw std::runtime_error(
          "this program's kernels are a GPU's; paligemma_emulated has the others");
    }
    return {"emulated", "emulated (kernels on the CPU)", 0};
  }
  if (options.device == "auto") {
    if (cuda::is_emulated() || !problem_with(0).empty()) return cpu;
    Device device = cuda_device(0);
    device.note = "running on " + device.text;
    return device;
  }
  if (cuda::is_emulated()) {
    throw std::runtime_error(
        "no CUDA device: this program was built without nvcc; --device emulated runs the kernels "
        "on "
        "the CPU");
  }
  const auto colon = options.device.find(':');
  const std::string digits = colon == std::string::npos ? "0" : options.device.substr(colon + 1);
  const int number = digits.size() > 4 ? 9999 : std::stoi(digits);  // nobody has so many
  const std::string problem = problem_with(number);
  if (!problem.empty()) throw std::runtime_error(problem);
  return cuda_device(number);
}

std::string device_list() {
  std::string list = "cpu\n";
  if (cuda::is_emulated())
    return list + "emulated  kernels on the CPU, to test and to debug them\n";
  const std::string problem = cuda::device_problem();
  if (!problem.empty()) return list;
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
