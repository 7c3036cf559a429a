// The tensors of a checkpoint, those of all layers that are alike in one line.
#pragma once

#include <string>
#include <vector>

#include "tensor/view.h"

namespace paligemma::cli {

struct TensorRow {
  std::string name, dtype;
  std::vector<Index> shape;
};

void print_table(const std::vector<TensorRow>& tensors);

}  // namespace paligemma::cli
