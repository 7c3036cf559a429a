#include "processing/mask_encoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "processing/segmentation.h"
#include "tensor/errors.h"
#include "tensor/npz.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/error_text.h"
#include "tests/support/npz_writer.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

using Codes = std::array<int, 16>;
using Arrays = std::map<std::string, NpzArray>;

const std::string kTiny = source_dir() + "/models/tiny/vae-oid.npz";

// 20 masks of drawn scenes, by what PyTorch makes of them with the same weights. None hangs on a
// rounding: tools/tiny/make_mask_codes.py.
TEST(MaskEncoderOf, TheTinyModelMatchesPyTorch) {
  const MaskEncoder encoder(kTiny);
  NpzFile golden(source_dir() + "/tests/golden/tiny/mask_codes.npz");
  const NpyArray masks = golden.read("masks"), codes = golden.read("codes");
  ASSERT_EQ(codes.shape, (std::vector<Index>{20, 16}));
  for (std::size_t i = 0; i < 20; ++i) {
    Mask mask({64, 64});
    std::copy_n(masks.numbers.begin() + i * 64 * 64, 64 * 64, mask.view().data());
    Codes expected;
    std::copy_n(codes.numbers.begin() + i * 16, 16, expected.begin());
    EXPECT_EQ(encoder.encode(mask.view()), expected) << "mask " << i;
  }
}

// A disc that fills its box, as every object's mask does.
TEST(MaskEncoderOf, TheTinyModelsDecoderTurnsBack) {
  Mask disc({64, 64});
  for (int r = 0; r < 64; ++r) {
    for (int q = 0; q < 64; ++q) {
      disc.view()(r, q) = std::hypot(r - 31.5, q - 31.5) < 32 ? 255 : 0;
    }
  }
  const auto values = MaskDecoder(kTiny).decode(MaskEncoder(kTiny).encode(disc.view()));
  int both = 0, either = 0;
  for (Index i = 0; i < 64 * 64; ++i) {
    const bool was = disc.view().data()[i] > 127, is = values.view().data()[i] > 0;
    both += was && is;
    either += was || is;
  }
  EXPECT_GT(both, 0.9 * either);
}

}  // namespace
}  // namespace paligemma
