// Any bytes as config.json, of a whole model and of a vision tower: refused, or a list of tensors can be made of it
// and its parameters counted.
#include <cstdint>
#include <string_view>

#include "paligemma/config.h"
#include "paligemma/weights.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

namespace {

void parse(std::string_view text, Towers towers) {
  try {
    const Config config = parse_config(text, "config.json", towers);
    for (const auto& [name, shape] : expected_tensors(config)) {
      require(!name.empty() && !shape.empty());
      for (Index axis : shape) require(axis > 0);
    }
    require(parameter_count(config) > 0);
    require(towers == Towers::vision || std::ssize(config.text.window) == config.text.layers);
  } catch (const ModelFileError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  parse(text, Towers::both);
  parse(text, Towers::vision);
  return 0;
}
