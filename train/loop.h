// Loop: from one step to the next.
//
//   step n:  the lessons of n, and the gradients of their loss, batch by batch
//            clip, and move the parameters by rate * schedule(n - 1)
//   every `every` steps, and at the end:  the loss of the validation, and the run is saved
//
// Everything that a step does depends on its number, the lessons, the parameters and what the optimizer keeps. So
// a run that goes on from a saved one has the numbers of one that was never stopped; in the reference bit for bit.
//
// Read next: train/learner.h.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>

#include "train/learner.h"
#include "train/lessons.h"
#include "train/optimizer.h"
#include "train/saved_run.h"
#include "train/schedule.h"

namespace paligemma {

struct LoopOptions {
  double rate = 1e-5;
  Schedule schedule = {};  // its steps are the run's
  double clip = 0;         // the longest gradient; 0: any
  Index every = 0;         // 0: at the end alone
};

// What is told of a step.
struct StepReport {
  Index step;              // from 1
  double loss, grad_norm;  // the mean over all tokens learned; before clipping
  double rate;             // of learning
  Index tokens;            // learned
  double seconds;
  std::optional<double> validation_loss;
};

struct LoopListener {
  std::function<void(const StepReport&)> on_step = [](const StepReport&) {};
  // The parameters are to be kept: the best of a validation so far, or the last.
  std::function<void()> on_best = [] {};
  std::function<void()> save = [] {};
  std::function<bool()> is_stopped = [] { return false; };  // asked between steps
};

// A step's loss or gradient is no number.
struct DivergedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Loop {
 public:
  Loop(const LoopOptions& options, Learner& learner, Parameters& parameters, Optimizer& optimizer,
       Lessons& lessons);

  // From `state` on, which is kept up to date, to the last step or until it is stopped; then the run is saved, and the
  // result false. Throws DivergedError, and ImageError behind a save, before a step has moved anything; or ImageError
  // of the validation behind it.
  bool run(RunState& state, const LoopListener& listener);

 private:
  StepReport step(Index step);
  void exchange_means();  // what is validated and kept, in the place of what is learned

  LoopOptions options_;
  Learner& learner_;
  Parameters& parameters_;
  Optimizer& optimizer_;
  Lessons& lessons_;
};

}  // namespace paligemma
