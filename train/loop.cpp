#include "train/loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "tensor/errors.h"
#include "train/clip_by_norm.h"

namespace paligemma {

Loop::Loop(const LoopOptions& options, Learner& learner, Parameters& parameters,
           Optimizer& optimizer, Lessons& lessons)
    : options_(options),
      learner_(learner),
      parameters_(parameters),
      optimizer_(optimizer),
      lessons_(lessons) {}

StepReport Loop::step(Index step) {
  const auto start = std::chrono::steady_clock::now();
  StepReport report{.step = step,
                    .loss = 0,
                    .grad_norm = 0,
                    .rate = options_.rate * options_.schedule.at(step - 1),
                    .tokens = 0,
                    .seconds = 0,
                    .validation_loss = {}};
  const std::vector<TrainingBatch> batches = lessons_.of_step(step);
  parameters_.zero();
  for (const TrainingBatch& batch : batches) report.tokens += std::ssize(batch.next.rows);
  report.loss = learner_.learn_all(batches);
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
    if (is_time) report.validation_loss = lessons_.validation_loss(learner_);
    if (report.validation_loss) {
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

}  // namespace paligemma
