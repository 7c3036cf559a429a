#include "cli/tensor_table.h"

#include <cctype>
#include <cstdio>
#include <map>
#include <tuple>

#include "tensor/safetensors.h"

namespace paligemma::cli {
namespace {

// "layers.12.mlp" as "layers.*.mlp": equal rows of all layers become one.
std::string layer_pattern(const std::string& name) {
  std::string pattern;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool starts_number =
        std::isdigit(static_cast<unsigned char>(name[i])) && i > 0 && name[i - 1] == '.';
    if (!starts_number) {
      pattern += name[i];
      continue;
    }
    pattern += '*';
    while (i + 1 < name.size() && std::isdigit(static_cast<unsigned char>(name[i + 1]))) ++i;
  }
  return pattern;
}

}  // namespace

void print_table(const std::vector<TensorRow>& tensors) {
  using Row = std::tuple<std::string, std::string, std::vector<Index>>;
  std::map<Row, int> rows;
  for (const auto& [name, dtype, shape] : tensors) ++rows[{layer_pattern(name), dtype, shape}];
  for (const auto& [row, count] : rows) {
    const auto& [pattern, dtype, shape] = row;
    std::printf("%4d x %-68s %-5s %s\n", count, pattern.c_str(), dtype.c_str(),
                shape_text(shape).c_str());
  }
}

}  // namespace paligemma::cli
