// A step: which tokens of which sequences the decoder computes at once.
//
//   Segment{sequence, 0, 264, 264}      a picture and its prompt, which see one another both ways
//   Segment{sequence, 264, 1, 264}      a token of the answer
//
// The rows of all segments stand one behind the other: nothing is padded, and a single sequence is a list
// of one segment.
//
// Read next: gemma/kv_cache.h, gemma/decoder.h.
#pragma once

#include <span>

#include "gemma/kv_cache.h"
#include "tensor/view.h"

namespace paligemma::gemma {

// T tokens of one sequence, positions first .. first + T - 1, of which those before `prefix` see one
// another both ways.
struct Segment {
  SequenceId sequence;
  Index first;
  Index T;
  Index prefix;
};

// Borrows its segments: a Step made of a temporary must not be kept.
struct Step {
  std::span<const Segment> segments;

  Step(std::span<const Segment> all) : segments(all) {}  // NOLINT(google-explicit-constructor)
  Step(const Segment& one) : segments(&one, 1) {}        // NOLINT(google-explicit-constructor)

  Index rows() const {
    Index sum = 0;
    for (const Segment& segment : segments) sum += segment.T;
    return sum;
  }
};

}  // namespace paligemma::gemma
