// A safetensors file (tensor/safetensors.h), written from front to back: first what is to come, then the numbers
// of each tensor in that order.
#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tensor/weight_format.h"
#include "tensor/weights.h"

namespace paligemma {

// A tensor of a model, and how a file is to hold it. Blocks stand there as bytes, [O, blocks, bytes of a block].
struct TensorToWrite {
  ExpectedTensor tensor;
  WeightFormat format;

  std::size_t bytes() const;
};

class SafetensorsWriter {
 public:
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  // Weights that are random say so in the file, as metadata. Numbers begin at a cache line.
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                    bool trained, const Metadata& others = {});

  std::size_t bytes() const { return bytes_; }  // of all tensors
  bool works() const { return !file_.fail(); }  // nothing has gone wrong so far
  void write(std::span<const std::byte> bytes);
  void leave_hole();  // zeros for all tensors, which take no room on the disk
  // Throws std::runtime_error if anything could not be written.
  void finish();

 private:
  std::filesystem::path path_;
  std::ofstream file_;
  std::size_t begin_ = 0, bytes_ = 0;
};

}  // namespace paligemma
