// cuda/core/graph.h without a GPU: a list of calls.
#include "cuda/core/graph.h"

#include <utility>

#include "cuda/core/error.h"
#include "cuda/emulation/recording.h"

namespace paligemma {

emulation::Recording* emulation::recording = nullptr;

namespace cuda {

struct Graph::Recorded {
  emulation::Recording calls;
};

Graph::Graph(const Stream&, const std::function<void()>& queue) {
  if (emulation::recording != nullptr) throw CudaError("a graph is being recorded already");
  const auto recorded = std::make_shared<Recorded>();
  struct Ends {
    ~Ends() { emulation::recording = nullptr; }
  } ends;
  emulation::recording = &recorded->calls;
  queue();
  recorded_ = recorded;
}

void Graph::launch(const Stream&) const {
  for (const auto& call : recorded_->calls) emulation::do_or_record(call);
}

}  // namespace cuda
}  // namespace paligemma
