// Fast: the executor that uses the vectors and all cores of the processor (tensor/execution.h).
//
//   const Fast fast;                      the best kernels, as many threads as there are processors
//   const Fast one({.threads = 1});
//
// It owns what its operations need: threads, scratch memory, tables. Copies share them. It serves one caller
// at a time; several executors run side by side.
//
// An operation without a fast version is listed in fast/from_reference.h. One that has neither does not
// compile.
#pragma once

#include <cstddef>
#include <memory>

#include "fast/core/workspace.h"
#include "tensor/view.h"

namespace paligemma {

struct Kernels;
class RopeTable;

class Fast {
 public:
  struct Options {
    const Kernels* kernels = nullptr;  // default: the best that the processor has
    int threads = 0;                   // default: usable_processors()
  };
  explicit Fast(Options options);
  Fast() : Fast(Options()) {}

  const Kernels& kernels() const;
  int threads() const;

  // For kernels: Threads::run, Workspace::scratch, and a RopeTable of at least so many positions.
  void run(Index n, Index grain, void (*work)(const void*, Index begin, Index end, int thread),
           const void* context) const;
  void* scratch(int thread, Scratch purpose, std::size_t bytes) const;
  const RopeTable& rope_table(float theta, Index H, Index positions) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace paligemma
