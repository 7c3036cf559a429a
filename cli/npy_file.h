// Numbers as NumPy reads them.
#pragma once

#include <filesystem>
#include <span>

#include "tensor/view.h"

namespace paligemma::cli {

// A .npy file of float32. Throws std::runtime_error if it cannot be written.
void write_npy(const std::filesystem::path& path, std::span<const float> numbers,
               std::span<const Index> shape);

}  // namespace paligemma::cli
