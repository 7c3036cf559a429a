#include "train/loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <string>

#include "tensor/errors.h"
#include "train/batch.h"
#include "train/clip_by_norm.h"

namespace paligemma {
namespace {

std::vector<const Example*> pointers(const std::vector<Example>& examples, std::size_t begin,
                                     std::size_t end) {
  std::vector<const Example*> all;
  for (std::size_t i = begin; i < end; ++i) all.push_back(&examples[i]);
  return all;
}

}  // namespace

Loop::Loop(LoopOptions options, Learner& learner, Parameters& parameters, Optimizer& optimizer,
           Examples& examples, Examples* validation)
    : options_(options),
      learner_(learner),
      parameters_(parameters),
      optimizer_(optimizer),
      examples_(examples),
      validation_(validation),
      order_(examples.count(), options.shuffles, options.seed) {}

// Those whose pictures can be decoded; all of them, unless the others may be passed over.
std::vector<Example> Loop::decoded(Examples& from, std::span<const Index> lines) {
  std::vector<Example> all;
  for (const Index line : lines) {
    try {
      all.push_back(from.at(line));
    } catch (const ImageError&) {
      if (!options_.skip_bad) throw;
      ++skipped_;
    }
  }
  return all;
}

StepReport Loop::step(Index step) {
  const auto start = std::chrono::steady_clock::now();
  const Index at_once = options_.batch * options_.accumulate;
  std::vector<Index> lines;
  for (Index i = 0; i < at_once; ++i) lines.push_back(order_.at((step - 1) * at_once + i));
  const std::vector<Example> examples = decoded(examples_, lines);
  if (examples.empty()) {
    throw ImageError("step " + std::to_string(step) + ": none of its pictures can be decoded");
  }
  StepReport report{.step = step,
                    .loss = 0,
                    .grad_norm = 0,
                    .rate = options_.rate * options_.schedule.at(step - 1),
                    .tokens = learned_tokens(pointers(examples, 0, examples.size())),
                    .seconds = 0,
                    .validation_loss = {}};
  parameters_.zero();
  const auto batch = static_cast<std::size_t>(options_.batch);
  for (std::size_t begin = 0; begin < examples.size(); begin += batch) {
    const auto some = pointers(examples, begin, std::min(begin + batch, examples.size()));
    TrainingBatch part = make_batch(some, 1 / static_cast<float>(report.tokens));
    part.number = static_cast<std::uint64_t>((step - 1) * options_.accumulate) + begin / batch;
    report.loss += learner_.learn(part);
  }
  parameters_.collect();

  std::vector<View<float, 2>> gradients;
  for (Parameter& parameter : parameters_.all()) gradients.push_back(parameter.gradient.view());
  report.grad_norm = global_norm(reference, gradients);
  if (!std::isfinite(report.loss) || !std::isfinite(report.grad_norm)) {
    throw DivergedError("step " + std::to_string(step) +
                        ": the loss is not a number; lower --lr, or look at the data");
  }
  if (options_.clip > 0) clip_by_norm(reference, report.grad_norm, options_.clip, gradients);
  optimizer_.step(report.rate, step);
  parameters_.refresh();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

bool Loop::run(RunState& state, const LoopListener& listener) {
  const Index last = options_.schedule.steps, every = options_.every;
  bool is_saved = true;
  while (state.step < last) {
    if (listener.is_stopped()) {
      if (!is_saved) listener.save();
      return false;
    }
    StepReport report{};
    try {
      report = step(state.step + 1);
    } catch (const ImageError&) {  // the run can go on when there is a picture
      if (!is_saved) listener.save();
      throw;
    }
    state.step = report.step;
    state.losses.push_back(static_cast<float>(report.loss));
    const bool is_last = state.step == last;
    const bool is_time = is_last || (every > 0 && state.step % every == 0);
    if (is_time) exchange_means();
    if (is_time && validation_ != nullptr) {
      report.validation_loss = validation_loss();
      const auto loss = static_cast<float>(*report.validation_loss);
      const bool is_best =
          std::isfinite(loss) && std::ranges::none_of(state.validations, [&](const auto& before) {
            return before.loss <= loss;
          });
      state.validations.push_back({static_cast<float>(state.step), loss});
      if (is_best) listener.on_best();
    } else if (is_last) {
      listener.on_best();
    }
    if (is_time) exchange_means();
    listener.on_step(report);
    is_saved = is_time;
    if (is_time) listener.save();
  }
  return true;
}

void Loop::exchange_means() {
  if (!optimizer_.has_means()) return;
  optimizer_.exchange_means();
  parameters_.refresh();
}

// The mean over all of its tokens, some lines at a time.
double Loop::validation_loss() {
  double sum = 0;
  Index tokens = 0;
  for (Index begin = 0; begin < validation_->count(); begin += options_.batch) {
    const Index end = std::min(begin + options_.batch, validation_->count());
    std::vector<Index> lines(static_cast<std::size_t>(end - begin));
    std::iota(lines.begin(), lines.end(), begin);
    const std::vector<Example> examples = decoded(*validation_, lines);
    if (examples.empty()) continue;
    const auto some = pointers(examples, 0, examples.size());
    sum += learner_.loss(make_batch(some, 1));
    tokens += learned_tokens(some);
  }
  if (tokens == 0) throw ImageError("none of the validation's pictures can be decoded");
  return sum / static_cast<double>(tokens);
}

}  // namespace paligemma
