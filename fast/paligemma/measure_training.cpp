#include "fast/paligemma/measure_training.h"

#include <algorithm>
#include <chrono>

#include "fast/paligemma/floors.h"
#include "train/batch.h"
#include "train/clip_by_norm.h"

namespace paligemma {
namespace {

constexpr Index kWords = 8, kLearned = 8;

Example grey_example(const Config& config) {
  const Index R = config.vision.image_size, L = config.vision.patches();
  Example example{Buffer<float, 4>({1, R, R, 3}),
                  std::vector<TokenId>(static_cast<std::size_t>(L + kWords + kLearned), 1),
                  L + kWords};
  std::fill_n(example.ids.begin(), L, config.image_token);
  return example;
}

// How often each tower's operations are done.
struct Times {
  double vision, text;
};
Times times_of(const Parameters& parameters, Recompute recompute) {
  const auto any = [&](const char* tower) {
    return std::any_of(parameters.all().begin(), parameters.all().end(),
                       [&](const Parameter& p) { return p.name.find(tower) != std::string::npos; });
  };
  const double to_weights = parameters.adapted_layers().empty() ? 1 : 0;
  const double again = recompute == Recompute::blocks ? 1 : 0;
  return {any("vision_tower") ? 2 + to_weights + again : 1,
          2 + (any("language_model") ? to_weights : 0) + again};
}

}  // namespace

TrainingMeasurement measure_training(const Fast& machine, const Config& config, Learner& learner,
                                     Parameters& parameters,
                                     const TrainingMeasureOptions& options) {
  const Example example = grey_example(config);
  const std::vector<const Example*> examples(static_cast<std::size_t>(options.batch), &example);
  const TrainingBatch batch =
      make_batch(examples, 1 / static_cast<float>(learned_tokens(examples)));
  Optimizer optimizer({}, parameters.all());
  std::vector<View<float, 2>> gradients;
  for (Parameter& parameter : parameters.all()) gradients.push_back(parameter.gradient.view());

  const WeightFormat format = options.learner.format;
  const double bytes = with_format(format, []<class Real>(Real) { return kBytesPerWeight<Real>; });
  const Times times = times_of(parameters, options.learner.rule.recompute);
  Work work =
      Floors(config, bytes)
          .learning(static_cast<Index>(example.ids.size()), kLearned, times.vision, times.text);
  work.operations *= static_cast<double>(options.batch);

  Samples samples;
  std::vector<Limits> limits;
  for (int round = -1; round < options.rounds; ++round) {  // the first one warms up
    const Limits before = probe(machine, options.memory);
    const auto since = std::chrono::steady_clock::now();
    parameters.zero();
    static_cast<void>(learner.learn(batch));
    parameters.collect();
    static_cast<void>(global_norm(reference, gradients));
    optimizer.step(0, round + 2);  // the weights stay as they are
    parameters.refresh();
    const double ms = milliseconds_since(since);
    const Limits after = probe(machine, options.memory);
    if (round < 0) continue;
    samples.add(ms, work.floor_ms((peak(before, format) + peak(after, format)) / 2,
                                  (before.read + after.read) / 2));
    limits.push_back(after);
  }
  return {median_of(limits), samples.median_of()};
}

}  // namespace paligemma
