#include "fast/core/fast.h"

#include <map>
#include <utility>

#include "fast/core/kernels.h"
#include "fast/core/processors.h"
#include "fast/core/threads.h"
#include "fast/gemma/rope_table.h"

namespace paligemma {

struct Fast::State {
  const Kernels& kernels;
  Threads threads;
  Workspace workspace;
  std::map<std::pair<float, Index>, RopeTable> rope_tables;  // by theta and head size

  State(const Kernels& best, int count) : kernels(best), threads(count), workspace(count) {}
};

Fast::Fast(Options options)
    : state_(std::make_shared<State>(options.kernels ? *options.kernels : best_kernels(),
                                     options.threads > 0 ? options.threads : usable_processors())) {
}

const Kernels& Fast::kernels() const { return state_->kernels; }

int Fast::threads() const { return state_->threads.count(); }

void Fast::run(Index n, Index grain, void (*work)(const void*, Index, Index, int),
               const void* context) const {
  state_->threads.run(n, grain, work, context);
}

void* Fast::scratch(int thread, Scratch purpose, std::size_t bytes) const {
  return state_->workspace.scratch(thread, purpose, bytes);
}

const RopeTable& Fast::rope_table(float theta, Index H, Index positions) const {
  RopeTable& table = state_->rope_tables.try_emplace({theta, H}, theta, H).first->second;
  table.extend(positions);
  return table;
}

}  // namespace paligemma
