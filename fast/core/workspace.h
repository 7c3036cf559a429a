// Scratch memory of kernels: one block for each thread of an executor and each purpose. It grows to what was
// asked for, and is kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <vector>

namespace paligemma {

enum class Scratch { rows, panel, strip, patches, adapter };

class Workspace {
 public:
  explicit Workspace(int threads) : blocks_(static_cast<std::size_t>(threads)) {}

  // At least `bytes`, aligned to a cache line, with undefined contents. It is valid until the thread asks for
  // the same purpose again. Threads may ask at the same time.
  void* scratch(int thread, Scratch purpose, std::size_t bytes);

 private:
  struct Block {
    std::size_t bytes = 0;
    std::unique_ptr<void, decltype(&std::free)> memory{nullptr, &std::free};
  };
  static constexpr std::size_t kPurposes = static_cast<std::size_t>(Scratch::adapter) + 1;
  std::vector<std::array<Block, kPurposes>> blocks_;
};

}  // namespace paligemma
