// Any bytes as config.json: refused, or a list of tensors can be made of it and its parameters counted.
#include <cstdint>
#include <string_view>

#include "paligemma/config.h"
#include "paligemma/weights.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Config config = parse_config({reinterpret_cast<const char*>(data), size}, "config.json");
    for (const auto& [name, shape] : expected_tensors(config)) {
      require(!name.empty() && !shape.empty());
      for (Index axis : shape) require(axis > 0);
    }
    require(parameter_count(config) > 0);
    require(std::ssize(config.text.window) == config.text.layers);
  } catch (const ModelFileError&) {
  }
  return 0;
}
