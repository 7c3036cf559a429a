// Curve: a run's losses as a picture, in SVG.
//
//   each step         a thin line
//   their mean        over the last twentieth of the run, a thick one
//   validation        dots with a line
//
// Losses are on a logarithmic axis: a factor is as long everywhere. What is no number is left out.
#pragma once

#include <string>

#include "train/saved_run.h"

namespace paligemma {

std::string curve_svg(const RunState& state, const std::string& title);

}  // namespace paligemma
