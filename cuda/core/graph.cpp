// On a GPU. emulation/graph.cpp has the other one.
#include "cuda/core/graph.h"

#include "cuda/core/check.h"

namespace paligemma::cuda {

struct Graph::Recorded {
  cudaGraphExec_t executable = nullptr;
  ~Recorded() {
    if (executable != nullptr) cudaGraphExecDestroy(executable);
  }
};

Graph::Graph(const Stream& stream, const std::function<void()>& queue) {
  const auto recorded = std::make_shared<Recorded>();
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(stream.handle(), cudaStreamCaptureModeThreadLocal),
        "cudaStreamBeginCapture");
  try {
    queue();
  } catch (...) {
    cudaStreamEndCapture(stream.handle(), &graph);  // null after a failed capture
    if (graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  check(cudaStreamEndCapture(stream.handle(), &graph), "cudaStreamEndCapture");
  const cudaError_t status = cudaGraphInstantiate(&recorded->executable, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  recorded_ = recorded;
}

void Graph::launch(const Stream& stream) const {
  check(cudaGraphLaunch(recorded_->executable, stream.handle()), "cudaGraphLaunch");
}

}  // namespace paligemma::cuda
