// What a stream is queued while a graph is recorded (cuda/core/graph.h): kept instead of done.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace paligemma::emulation {

using Recording = std::vector<std::function<void()>>;
extern Recording* recording;  // null while work is done at once

template <class Work>
void do_or_record(Work work) {
  if (recording == nullptr) return work();
  recording->push_back(std::move(work));
}

}  // namespace paligemma::emulation
