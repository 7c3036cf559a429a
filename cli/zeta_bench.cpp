// How long a model of zeta takes: for a picture, for all rows of a text at once, for a further word.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>

#include "cli/zeta_model.h"
#include "engine/devices.h"
#include "tensor/json.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

struct Timed {
  std::string name;
  Index rows = 0;
  double ms = 0;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double median_ms(std::int64_t rounds, const std::function<void()>& work) {
  std::vector<double> all;
  for (std::int64_t i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    all.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  return median(std::move(all));
}

std::vector<Timed> measure(zeta::Pipeline& pipeline, const ZetaModel& model, std::int64_t rounds) {
  constexpr Index kWords = 64;
  std::vector<Timed> all;
  if (model.looks_at_pictures()) {
    const zeta::VisionShape& vision = *model.vision();
    const Buffer<float, 3> pixels({vision.image_size, vision.image_size, vision.channels});
    all.push_back({"encode", vision.patches(),
                   median_ms(rounds, [&] { pipeline.look_at(pixels.view(), {}); })});
  }
  if (const zeta::TransformerShape* text = model.text()) {
    const Index T = std::min(kWords, text->max_positions), half = std::max(T / 2, Index{1});
    const std::vector<TokenId> words(static_cast<std::size_t>(T), 0);
    all.push_back({"pass", T, median_ms(rounds, [&] { pipeline.logits(words, {}); })});
    if (!model.writes()) return all;
    std::vector<double> of_words;
    for (std::int64_t i = 0; i < rounds; ++i) {
      const auto tokens = pipeline.generate(std::span(words).first(static_cast<std::size_t>(half)),
                                            {.max_tokens = half + 1},
                                            [](const GeneratedToken&) { return true; }, {});
      for (std::size_t k = 1; k < tokens.size(); ++k) of_words.push_back(tokens[k].milliseconds);
    }
    all.push_back({"word", 1, median(std::move(of_words))});
  }
  return all;
}

}  // namespace

int bench_zeta(const Options& options, const ZetaModel& model) {
  if (options.device != "auto" && options.device != "cpu") {
    throw UsageError("bench measures the CPU, not --device " + options.device);
  }
  ExecutorOptions executor = options.executor(model.found.path);
  executor.device = "cpu";
  const Device device = choose_device(executor);
  print_notes(options, {model.found.note, device.note});
  const auto pipeline = open_zeta(device, {model.found.path, options.pipeline().dtype, {}});
  const std::string dtype(name_of(pipeline->dtype()));
  const std::vector<Timed> all = measure(*pipeline, model, options.rounds);
  if (options.json) {
    std::vector<Field> fields{{"model", model.found.id},
                              {"dtype", dtype},
                              {"executor", device.executor},
                              {"threads", device.threads},
                              {"rounds", options.rounds}};
    for (const Timed& timed : all) {
      fields.push_back({timed.name, object({{"rows", timed.rows}, {"ms", timed.ms}})});
    }
    std::cout << object(fields).text() << "\n";
    return 0;
  }
  std::printf("%s, weights %s, %s, %d threads\n\n", printable(model.found.id).c_str(),
              dtype.c_str(), device.executor.c_str(), device.threads);
  std::printf("%-8s %6s %10s %12s\n", "", "rows", "ms", "rows/s");
  for (const Timed& timed : all) {
    std::printf("%-8s %6td %10.3f %12.0f\n", timed.name.c_str(), timed.rows, timed.ms,
                1000.0 * static_cast<double>(timed.rows) / timed.ms);
  }
  return 0;
}

}  // namespace paligemma::cli
