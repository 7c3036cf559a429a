#include "processing/segmentation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

const std::string kGoldenMasks = source_dir() + "/tests/golden/masks";
const std::string kGoldenDecoder = kGoldenMasks + "/vae-oid.npz";

Buffer<float, 3> picture_of(std::initializer_list<std::initializer_list<double>> rows) {
  const auto flat = rows_of(rows);
  Buffer<float, 3> x({flat.view().size(0), flat.view().size(1), 1});
  std::copy_n(flat.view().data(), flat.view().count(), x.view().data());
  return x;
}

// "##..", a row of characters for each row of pixels.
std::string drawn(const Mask& mask) {
  std::string text;
  for (Index r = 0; r < mask.view().size(0); ++r) {
    for (Index q = 0; q < mask.view().size(1); ++q) {
      const int byte = mask.view()(r, q);
      text += byte == 255 ? '#' : byte == 0 ? '.' : '?';
    }
    text += '\n';
  }
  return text;
}

// docs/processing/segmentation.md, "By hand".
TEST(Segmentation, WorkedExample) {
  const auto x = picture_of({{1, 10}});
  Buffer<float, 4> weight({4, 4, 1, 1});
  const auto rows = rows_of({{9, 9, 9, 9}, {1, 2, 3, 4}, {5, 6, 7, 8}, {9, 9, 9, 9}});
  std::copy_n(rows.view().data(), 16, weight.view().data());
  Buffer<float, 3> y({2, 4, 1});
  convolve_transposed(x.view(), weight.view(), vector_of({0}).view(), y.view());
  const auto expected = picture_of({{2, 13, 24, 30}, {6, 57, 68, 70}});
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));

  const auto values = rows_of({{-1, 3}});
  EXPECT_EQ(drawn(mask_on_picture(values.view(), {1, 0, 5, 1}, 6, 1)), "...##.\n");
}

std::vector<int> golden_codes(NpzFile& golden, std::size_t set) {
  const auto codes = golden.read("codes").numbers;
  return {codes.begin() + 16 * set, codes.begin() + 16 * (set + 1)};
}

// The whole network, by what PyTorch makes of the same file. The tolerance is in the file and says
// how far two computations in float may lie apart: tests/golden/make_mask_golden.py.
TEST(MaskDecoderOf, TheGoldenFileMatchesPyTorch) {
  const MaskDecoder decoder(kGoldenDecoder);
  NpzFile golden(kGoldenMasks + "/golden.npz");
  const NpyArray values = golden.read("values");
  const double tolerance = golden.read("tolerance").numbers[0];
  for (std::size_t set = 0; set < 3; ++set) {
    const auto actual = decoder.decode(golden_codes(golden, set));
    const View<const float, 2> expected(values.numbers.data() + set * 64 * 64, {64, 64});
    EXPECT_TRUE(close(actual.view(), expected, Tolerance{0, tolerance})) << "set " << set;
  }
}

TEST(MaskDecoderOf, TheGoldenFileReadsCodesRowByRow) {
  const MaskDecoder decoder(kGoldenDecoder);
  std::vector<int> one(16, 0), other(16, 0);
  one[1] = 77;
  other[4] = 77;
  const auto a = decoder.decode(one), b = decoder.decode(other), same = decoder.decode(one);
  EXPECT_TRUE(close(a.view(), same.view(), kExact));
  // A code in the first row moves what lies to the right more than what lies below.
  const auto plain = decoder.decode(std::vector<int>(16, 0));
  const auto moved = [&](const Buffer<float, 2>& by, Index r, Index q) {
    return std::abs(by.view()(r, q) - plain.view()(r, q));
  };
  EXPECT_GT(moved(a, 8, 24), 10 * moved(a, 60, 60));
  EXPECT_GT(moved(b, 24, 8), 10 * moved(b, 60, 60));
  EXPECT_FALSE(close(a.view(), b.view(), {0, 0.01}));
}

TEST(MaskDecoderOf, TheGoldenFileTakesSixteenCodesOfSevenBits) {
  const MaskDecoder decoder(kGoldenDecoder);
  EXPECT_THROW(decoder.decode(std::vector<int>(15, 0)), ContractError);
  EXPECT_THROW(decoder.decode(std::vector<int>(17, 0)), ContractError);
  EXPECT_THROW(decoder.decode(std::vector<int>(16, 128)), ContractError);
  EXPECT_THROW(decoder.decode(std::vector<int>(16, -1)), ContractError);
  EXPECT_NO_THROW(decoder.decode(std::vector<int>(16, 127)));
}

using Arrays = std::map<std::string, NpzArray>;

Arrays golden_arrays() {
  NpzFile file(kGoldenDecoder);
  Arrays arrays;
  for (const auto& [name, index] : file.arrays()) {
    const NpyArray array = file.read(name);
    arrays[name] = {array.shape, array.numbers};
  }
  return arrays;
}

class MaskDecoderFile : public ::testing::Test {
 protected:
  MaskDecoder open(const Arrays& arrays) {
    write_text(path_, npz_of(arrays));
    return MaskDecoder(path_);
  }
  std::string refusal(const Arrays& arrays) {
    return error_text<ModelFileError>([&] { open(arrays); });
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "masks.npz";
};

TEST_F(MaskDecoderFile, NeedsNoEncoder) {
  Arrays arrays = golden_arrays();
  ASSERT_EQ(arrays.erase("encoder.0.weight") + arrays.erase("encoder.0.bias"), 2u);
  const std::vector<int> codes(16, 5);
  const auto with = MaskDecoder(kGoldenDecoder).decode(codes), without = open(arrays).decode(codes);
  EXPECT_TRUE(close(without.view(), with.view(), kExact));
}

TEST_F(MaskDecoderFile, MustHoldEveryArray) {
  for (const auto& [name, array] : golden_arrays()) {
    if (name.starts_with("encoder.")) continue;
    Arrays arrays = golden_arrays();
    arrays.erase(name);
    EXPECT_TRUE(holds(refusal(arrays), path_, "array " + name + " is missing, expected ["));
  }
}

// One more along each axis in turn, or an axis more.
TEST_F(MaskDecoderFile, MustHoldArraysOfTheRightShapes) {
  for (const auto& [name, array] : golden_arrays()) {
    if (name.starts_with("encoder.")) continue;
    for (std::size_t axis = 0; axis <= array.shape.size(); ++axis) {
      Arrays arrays = golden_arrays();
      auto& [shape, numbers] = arrays[name];
      if (axis == shape.size()) shape.push_back(1);
      if (axis < array.shape.size()) ++shape[axis];
      Index count = 1;
      for (Index size : shape) count *= size;
      numbers.resize(static_cast<std::size_t>(count));
      EXPECT_TRUE(holds(refusal(arrays), path_, "array ", ", expected [")) << name << " " << axis;
    }
  }
}

TEST_F(MaskDecoderFile, IsRefusedByTheFirstArrayThatDoesNotFit) {
  Arrays arrays = golden_arrays();
  arrays["decoder.4.weight"] = {{3, 7, 4, 4}, std::vector<float>(3 * 7 * 16)};
  EXPECT_EQ(
      refusal(arrays),
      path_.string() + ": array decoder.4.weight is [3, 7, 4, 4], expected [8, 1 to 1024, 4, 4]");
  arrays = golden_arrays();
  arrays["_vq_vae._embedding"] = {{64, 10}, std::vector<float>(640)};
  EXPECT_EQ(refusal(arrays),
            path_.string() + ": array _vq_vae._embedding is [64, 10], expected [128, 1 to 1024]");
  arrays["_vq_vae._embedding"] = {{128, 0}, {}};
  EXPECT_TRUE(holds(refusal(arrays), "_vq_vae._embedding is [128, 0], expected [128, 1 to 1024]"));
}

// Arrays of a few kilobytes each could ask for a picture of [64, 64, 1025] and more.
TEST_F(MaskDecoderFile, HasNoWidthThatNoDecoderHas) {
  const auto with_last_width = [](Index O) {
    Arrays arrays = golden_arrays();
    const Index C = arrays.at("decoder.10.weight").shape[0];
    arrays["decoder.10.weight"] = {{C, O, 4, 4}, std::vector<float>(C * O * 16)};
    arrays["decoder.10.bias"] = {{O}, std::vector<float>(O)};
    arrays["decoder.12.weight"] = {{1, O, 1, 1}, std::vector<float>(O)};
    return arrays;
  };
  EXPECT_NO_THROW(open(with_last_width(1024)));
  EXPECT_TRUE(holds(refusal(with_last_width(1025)), "decoder.10.weight is [5, 1025, 4, 4]"));
}

TEST_F(MaskDecoderFile, ThatIsNoneIsRefused) {
  EXPECT_THROW(MaskDecoder(folder_ / "nowhere.npz"), NotFoundError);
  write_text(path_, "hello");
  EXPECT_THROW(MaskDecoder{path_}, ModelFileError);
}

// The widths of big_vision's file, with numbers of our own.
TEST_F(MaskDecoderFile, MayHaveTheGenuineWidths) {
  Arrays arrays;
  const auto add = [&](const std::string& name, const std::vector<Index>& shape) {
    Index count = 1;
    for (Index size : shape) count *= size;
    const auto numbers = random<float, 1>({count}, static_cast<unsigned>(arrays.size()));
    const float scale =
        shape.size() < 2 ? 0.1f : 2 / std::sqrt(static_cast<float>(count / shape[0]));
    NpzArray& array = arrays[name] = {shape, {}};
    for (Index i = 0; i < count; ++i) array.numbers.push_back(scale * numbers.view()(i));
  };
  const auto add_layer = [&](const std::string& name, const std::vector<Index>& shape, Index O) {
    add(name + ".weight", shape);
    add(name + ".bias", {O});
  };
  add("_vq_vae._embedding", {128, 512});
  add_layer("decoder.0", {128, 512, 1, 1}, 128);
  for (const std::string block : {"decoder.2.net.", "decoder.3.net."}) {
    add_layer(block + "0", {128, 128, 3, 3}, 128);
    add_layer(block + "2", {128, 128, 3, 3}, 128);
    add_layer(block + "4", {128, 128, 1, 1}, 128);
  }
  add_layer("decoder.4", {128, 128, 4, 4}, 128);
  add_layer("decoder.6", {128, 64, 4, 4}, 64);
  add_layer("decoder.8", {64, 32, 4, 4}, 32);
  add_layer("decoder.10", {32, 16, 4, 4}, 16);
  add_layer("decoder.12", {1, 16, 1, 1}, 1);
  const auto values = open(arrays).decode(std::vector<int>(16, 3));
  float lowest = values.view()(0, 0), highest = lowest;
  for (Index i = 0; i < values.view().count(); ++i) {
    ASSERT_TRUE(std::isfinite(values.view().data()[i])) << i;
    lowest = std::min(lowest, values.view().data()[i]);
    highest = std::max(highest, values.view().data()[i]);
  }
  EXPECT_GT(highest - lowest, 0.01f);
}

// Pillow's bilinear resizing of floats, by where the result lies above each of 39 thresholds: the
// weights of a pixel sum to one, so that values can be lowered before instead of after.
TEST(MaskOnPicture, StretchesValuesAsPillow) {
  NpzFile golden(kGoldenMasks + "/golden.npz");
  const NpyArray small = golden.read("small");
  for (const auto& [name, H, W] :
       {std::tuple{"12x9", 12, 9}, std::tuple{"3x4", 3, 4}, std::tuple{"20x2", 20, 2}}) {
    const NpyArray expected = golden.read(name);
    ASSERT_EQ(expected.shape, (std::vector<Index>{H, W}));
    Index compared = 0;
    for (int threshold = -19; threshold <= 19; ++threshold) {
      const float level = static_cast<float>(threshold) / 20;
      Buffer<float, 2> lowered({5, 7});
      for (Index i = 0; i < 35; ++i) lowered.view().data()[i] = small.numbers[i] - level;
      const Box box{2, 1, 2.0 + W, 1.0 + H};
      const Mask mask = mask_on_picture(lowered.view(), box, W + 5, H + 4);
      for (Index r = 0; r < H + 4; ++r) {
        for (Index q = 0; q < W + 5; ++q) {
          const bool is_inside = r >= 1 && r < 1 + H && q >= 2 && q < 2 + W;
          const float value = is_inside ? expected.numbers[(r - 1) * W + q - 2] - level : -1;
          if (std::abs(value) < float_operations(8).relative) continue;  // either side is right
          ASSERT_EQ(mask.view()(r, q), value > 0 ? 255 : 0) << name << ": " << r << ", " << q;
          ++compared;
        }
      }
    }
    EXPECT_GT(compared, 38 * H * W);
  }
}

TEST(MaskOnPicture, RoundsTheBoxToPixels) {
  const auto values = rows_of({{1}});
  EXPECT_EQ(drawn(mask_on_picture(values.view(), {1.4, 0.6, 3.5, 1.5}, 5, 3)),
            ".....\n"
            ".###.\n"
            ".....\n");
  EXPECT_EQ(drawn(mask_on_picture(values.view(), {0, 0, 2, 2}, 2, 2)), "##\n##\n");
}

TEST(MaskOnPicture, OfABoxWithoutPixelsIsEmpty) {
  const auto values = rows_of({{1}});
  EXPECT_EQ(drawn(mask_on_picture(values.view(), {0.6, 0, 1.4, 1}, 3, 1)), "...\n");
  EXPECT_EQ(drawn(mask_on_picture(values.view(), {0, 0.1, 3, 0.2}, 3, 1)), "...\n");
}

TEST(MaskOnPicture, IsWhereValuesAreAboveZero) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto values = rows_of({{0, -0.0, 1e-30, -1e-30, nan, 2}});
  EXPECT_EQ(drawn(mask_on_picture(values.view(), {0, 0, 6, 1}, 6, 1)).substr(0, 3), "..#");
  const auto finite = rows_of({{0, -0.0, 1e-30, -1e-30, 1, 2}});
  EXPECT_EQ(drawn(mask_on_picture(finite.view(), {0, 0, 6, 1}, 6, 1)), "..#.##\n");
}

TEST(MaskOnPicture, RejectsBoxesOutsideThePicture) {
  const auto values = rows_of({{1}});
  for (const Box& box : {Box{-1, 0, 1, 1}, Box{0, -1, 1, 1}, Box{0, 0, 4, 1}, Box{0, 0, 1, 2},
                         Box{2, 0, 1, 1}, Box{0, 1, 1, 0}}) {
    EXPECT_THROW(mask_on_picture(values.view(), box, 3, 1), ContractError);
  }
  EXPECT_THROW(mask_on_picture({}, {0, 0, 1, 1}, 3, 1), ContractError);
}

TEST(MasksOf, ObjectsWithoutCodesAreNone) {
  const MaskDecoder decoder(kGoldenDecoder);
  const std::vector<int> codes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const auto masks =
      masks_of(decoder, {{{0, 0, 500, 1023}, codes, "a"}, {{0, 0, 9, 9}, {}, "b"}}, 40, 30);
  ASSERT_EQ(masks.size(), 2u);
  ASSERT_TRUE(masks[0]);
  EXPECT_FALSE(masks[1]);
  const Box box{0, 0, 40, 500 / 1023.0 * 30};
  EXPECT_EQ(drawn(*masks[0]), drawn(mask_on_picture(decoder.decode(codes).view(), box, 40, 30)));
}

}  // namespace
}  // namespace paligemma
