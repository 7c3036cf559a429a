// Who computes the gradients of a model (train/learner.h).
#pragma once

#include <memory>

#include "engine/devices.h"
#include "train/learner.h"
#include "train/muon.h"

namespace paligemma {

// Throws std::runtime_error for a GPU: the way back has no kernels there.
std::unique_ptr<Learner> open_learner(const Device& device, const Config& config,
                                      Parameters& parameters, const LearnerOptions& options);

// Of train/muon.h, by the same executor.
Orthogonalize orthogonalizer(const Device& device);

}  // namespace paligemma
