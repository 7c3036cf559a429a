// How fast a model is on this machine's processor, as multiples of the machine's own limits.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/model_folder.h"
#include "engine/devices.h"
#include "fast/paligemma/measure.h"
#include "paligemma/pipeline.h"
#include "tensor/json.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

std::vector<Field> fields_of(const Measured& m) {
  return {{"ms", m.ms}, {"floor_ms", m.floor_ms}, {"multiple", m.multiple}};
}

void print(const std::string& name, const Measured& m) {
  std::printf("%-10s %8.2f %10.2f %9.2f\n", name.c_str(), m.ms, m.floor_ms, m.multiple);
}

}  // namespace

int run_bench(const Options& options) {
  if (options.device != "auto" && options.device != "cpu") {
    throw UsageError("bench measures the CPU, not --device " + options.device);
  }
  if (options.training.is_measured) return run_train_bench(options);
  const ModelFolder found = find_model(options);
  const ExecutorOptions executor = options.executor(found.path);
  const ProvenKernels kernels = kernels_for(executor);
  print_notes(options, {found.note, kernels.note});
  const Fast fast({.kernels = kernels.kernels, .threads = threads_for(executor.threads)});
  MeasureOptions how{options.pipeline().dtype, static_cast<int>(options.rounds),
                     options.batch.value_or(0)};
  if (!options.adapter.empty()) how.adapter = find_adapter(options);
  const Measurement m = options.reference ? measure(reference, fast, found.path, how)
                                          : measure(fast, fast, found.path, how);
  // The peak that the weights' type is held to.
  const double peak = m.dtype == "bf16"                      ? m.probe.bf16
                      : m.dtype == "f32" || m.dtype == "f16" ? m.probe.f32
                                                             : m.probe.int8;
  if (options.json) {
    std::vector<Field> all{
        {"model", found.id},
        {"dtype", m.dtype},
        {"kernels", m.kernels},
        {"threads", fast.threads()},
        {"rounds", options.rounds},
        {"probe", object({{"gflops", peak / 1e9}, {"read_gbs", m.probe.read / 1e9}})},
        {"load", object({{"ms", m.load_ms}})},
        {"encode", object(fields_of(m.encode))},
        {"prefill", object(fields_of(m.prefill))},
        {"decode", object(fields_of(m.decode))},
        {"decode0", object(fields_of(m.decode0))}};
    if (m.batch) {
      std::vector<Field> batch = fields_of(*m.batch);
      batch.insert(batch.begin(), {"answers", how.batch});
      all.emplace_back("batch", object(batch));
    }
    std::cout << object(all).text() << "\n";
    return 0;
  }
  std::printf("%s, weights %s, kernels %s (%s), %d threads\n", printable(found.id).c_str(),
              m.dtype.c_str(), m.kernels.c_str(), m.products.c_str(), fast.threads());
  std::printf("peak %.0f GFLOP/s, reads %.1f GB/s, load %.0f ms\n\n", peak / 1e9,
              m.probe.read / 1e9, m.load_ms);
  std::printf("%-10s %8s %10s %9s\n", "", "ms", "floor ms", "multiple");
  print("encode", m.encode);
  print("prefill", m.prefill);
  print("decode", m.decode);
  print("decode0", m.decode0);
  if (m.batch) print("batch " + std::to_string(how.batch), *m.batch);
  return 0;
}

}  // namespace paligemma::cli
