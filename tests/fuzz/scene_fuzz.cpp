// Any text as a description of a scene: refused, or drawn, with every box on the canvas.
#include <cstdint>
#include <stdexcept>
#include <string_view>

#include "tests/fuzz/require.h"
#include "world/description.h"
#include "world/geometry.h"

using namespace paligemma::world;
using paligemma::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Truth truth =
        truth_of(parse_scene(std::string_view(reinterpret_cast<const char*>(data), size)));
    for (const Thing& thing : truth.things) {
      for (const double edge : thing.box) require(edge >= 0 && edge <= kCanvas);
      require(thing.box[0] <= thing.box[2] && thing.box[1] <= thing.box[3]);
    }
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
