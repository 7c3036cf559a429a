// All that a run on lines is told, at once.
#pragma once

#include "train/loop.h"

namespace paligemma::test {

struct RunOptions {
  Index batch = 1, accumulate = 1;
  double rate = 1e-5;
  Schedule schedule = {};
  double clip = 0;
  Index every = 0;
  bool shuffles = true, skip_bad = false;
  std::uint64_t seed = 0;

  LineOrder lines() const { return {batch, accumulate, shuffles, skip_bad, seed}; }
  LoopOptions loop() const { return {rate, schedule, clip, every}; }
};

}  // namespace paligemma::test
