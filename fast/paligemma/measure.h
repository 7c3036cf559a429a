// How fast a model is, and how fast this machine could be: `paligemma bench`.
//
//   load      files to weights that can be read, warm page cache
//   encode    pixels to image rows
//   prefill   the picture's rows and 8 words, to the logits of the last
//   decode    one more token behind those, and the token that follows
//   decode0   one token with nothing before it
//   batch     one more token of each of so many answers, each behind a picture and words of its own
//
// Each is measured in rounds, with a probe of the machine (fast/core/probe.h) beside each, and compared
// with its floor: the larger of two times, that of its operations at the measured peak, and that of its
// bytes at the measured bandwidth. A multiple of 1 is the machine's limit. What is given are medians.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "fast/core/fast.h"
#include "fast/core/probe.h"
#include "tensor/execution.h"
#include "tensor/weight_format.h"

namespace paligemma {

struct Measured {
  double ms, floor_ms, multiple;
};

struct Measurement {
  std::string dtype;              // of the weights in memory
  std::string kernels, products;  // what ran, and how it multiplies
  Limits probe;
  double load_ms;
  Measured encode, prefill, decode, decode0;
  std::optional<Measured> batch;  // a step of all, where they were asked for
};

struct MeasureOptions {
  std::optional<WeightFormat> dtype = {};  // default: as stored
  int rounds = 5;
  Index batch = 0;  // so many answers
  std::optional<std::filesystem::path> adapter = {};
};

// `path` is a checkpoint's folder or file; it needs no tokenizer. Throws as Pipeline does.
// `machine` probes the limits.
template <class On>
Measurement measure(const On& on, const Fast& machine, const std::filesystem::path& path,
                    const MeasureOptions& options);

extern template Measurement measure(const Fast&, const Fast&, const std::filesystem::path&,
                                    const MeasureOptions&);
extern template Measurement measure(const Reference&, const Fast&, const std::filesystem::path&,
                                    const MeasureOptions&);

}  // namespace paligemma
