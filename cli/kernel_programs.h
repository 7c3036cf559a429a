// The two programs that may stand beside `paligemma`: itself, linked with the GPU's kernels
// (paligemma_cuda) or with the emulated ones (paligemma_emulated). It has none of its own, so that it is
// built soon (docs/decisions/0013-kernels-are-programs.md).
#pragma once

#include <string>

#include "cli/options.h"

namespace paligemma::cli {

// Goes on as the program that has the kernels of --device, with the same arguments, and does not return.
// Returns where the CPU answers, and in a program that has kernels. Throws std::runtime_error if a device
// is asked for whose program is not there.
void go_on_with_kernels(const Options& options, char** arguments);

// What this program can run on, and those beside it.
std::string all_devices();

}  // namespace paligemma::cli
