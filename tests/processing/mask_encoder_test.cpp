#include "processing/mask_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

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
const std::array<std::string, 6> kInBlocks{"8.net.0", "8.net.2", "8.net.4",
                                           "9.net.0", "9.net.2", "9.net.4"};

void add_layer(Arrays& arrays, const std::string& name, const std::vector<Index>& shape,
               float scale = 1) {
  const auto seed = static_cast<unsigned>(arrays.size());
  const auto weight = random<float, 4>({shape[0], shape[1], shape[2], shape[3]}, seed);
  const auto bias = random<float, 1>({shape[0]}, seed + 1);
  NpzArray &w = arrays[name + ".weight"] = {shape, {}},
           &b = arrays[name + ".bias"] = {{shape[0]}, {}};
  for (Index i = 0; i < weight.view().count(); ++i) {
    w.numbers.push_back(scale * weight.view().data()[i]);
  }
  for (Index i = 0; i < shape[0]; ++i) b.numbers.push_back(0.1f * bias.view()(i));
}

// An encoder of random weights, of which signals of both signs come.
Arrays random_encoder(const std::array<Index, 4>& widths, Index E) {
  Arrays arrays;
  const auto codebook = random<float, 2>({128, E}, 7);
  arrays["_vq_vae._embedding"] = {{128, E},
                                  {codebook.view().data(), codebook.view().data() + 128 * E}};
  const auto scale = [](Index inputs) { return 2.0f / std::sqrt(static_cast<float>(inputs)); };
  Index C = 1;
  for (int i = 0; i < 4; ++i) {
    add_layer(arrays, "encoder." + std::to_string(2 * i), {widths[i], C, 4, 4}, scale(16 * C));
    C = widths[i];
  }
  for (const std::string& name : kInBlocks) {
    const Index k = name.ends_with("4") ? 1 : 3;
    add_layer(arrays, "encoder." + name, {C, C, k, k}, scale(k * k * C));
  }
  add_layer(arrays, "encoder.10", {E, C, 1, 1}, scale(C));
  return arrays;
}

Mask random_mask(unsigned seed) {
  const auto numbers = random<float, 2>({64, 64}, seed);
  Mask mask({64, 64});
  for (Index i = 0; i < 64 * 64; ++i) {
    mask.view().data()[i] = static_cast<std::uint8_t>(127.5f * (1 + numbers.view().data()[i]));
  }
  return mask;
}

Mask disc() {
  Mask mask({64, 64});
  for (int r = 0; r < 64; ++r) {
    for (int q = 0; q < 64; ++q) {
      mask.view()(r, q) = std::hypot(r - 31.5, q - 31.5) < 32 ? 255 : 0;
    }
  }
  return mask;
}

// The definition, in double and as PyTorch has it: pictures [C, H, W], weights [O, C, k, k].
struct Picture {
  Index C, side;
  std::vector<double> values;
};

Picture layer(const Arrays& arrays, const std::string& name, const Picture& x, Index stride) {
  const NpzArray &w = arrays.at("encoder." + name + ".weight"),
                 &b = arrays.at("encoder." + name + ".bias");
  const Index O = w.shape[0], k = w.shape[2], border = (k - 1) / 2, side = x.side / stride;
  Picture y{O, side, {}};
  for (Index o = 0; o < O; ++o) {
    for (Index r = 0; r < side; ++r) {
      for (Index q = 0; q < side; ++q) {
        double sum = b.numbers[o];
        for (Index c = 0; c < x.C; ++c) {
          for (Index i = 0; i < k; ++i) {
            for (Index j = 0; j < k; ++j) {
              const Index from_r = r * stride - border + i, from_q = q * stride - border + j;
              if (from_r < 0 || from_r >= x.side || from_q < 0 || from_q >= x.side) continue;
              sum += w.numbers[((o * x.C + c) * k + i) * k + j] *
                     x.values[(c * x.side + from_r) * x.side + from_q];
            }
          }
        }
        y.values.push_back(sum);
      }
    }
  }
  return y;
}

Picture positive(Picture x) {
  for (double& value : x.values) value = std::max(0.0, value);
  return x;
}

// And by how much the second nearest is farther away, by the first's distance.
struct Nearest {
  int code;
  double lead;
};

std::vector<Nearest> exact_codes(const Arrays& arrays, const Mask& mask) {
  Picture x{1, 64, {}};
  for (Index i = 0; i < 64 * 64; ++i) x.values.push_back(mask.view().data()[i] / 127.5 - 1);
  for (const char* name : {"0", "2", "4", "6"}) x = positive(layer(arrays, name, x, 2));
  for (const std::string block : {"8.net.", "9.net."}) {
    Picture y = positive(layer(arrays, block + "0", x, 1));
    y = layer(arrays, block + "4", positive(layer(arrays, block + "2", y, 1)), 1);
    for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] += y.values[i];
  }
  const Picture z = layer(arrays, "10", x, 1);
  const std::vector<float>& codebook = arrays.at("_vq_vae._embedding").numbers;
  std::vector<Nearest> found;
  for (Index at = 0; at < 16; ++at) {
    std::vector<std::pair<double, int>> distances;
    for (int k = 0; k < 128; ++k) {
      double distance = 0;
      for (Index e = 0; e < z.C; ++e) {
        distance += std::pow(z.values[e * 16 + at] - codebook[k * z.C + e], 2);
      }
      distances.emplace_back(distance, k);
    }
    std::sort(distances.begin(), distances.end());
    found.push_back({distances[0].second, distances[1].first / distances[0].first - 1});
  }
  return found;
}

class MaskEncoderFile : public ::testing::Test {
 protected:
  MaskEncoder open(const Arrays& arrays) {
    write_text(path_, npz_of(arrays));
    return MaskEncoder(path_);
  }
  std::string refusal(const Arrays& arrays) {
    return error_text<ModelFileError>([&] { open(arrays); });
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "masks.npz";
};

using MaskEncoderByHand = MaskEncoderFile;

// Each layer takes the mean of four pixels; the first adds one, so that relu takes nothing away, and the
// last subtracts it. Code k stands for 2k / 127 - 1.
Arrays encoder_of_means() {
  Arrays arrays = random_encoder({1, 1, 1, 1}, 1);
  for (auto& [name, array] : arrays) {
    if (name.starts_with("encoder.")) std::fill(array.numbers.begin(), array.numbers.end(), 0.0f);
  }
  for (const char* name : {"0", "2", "4", "6"}) {
    auto& kernel = arrays[std::string("encoder.") + name + ".weight"].numbers;
    for (std::size_t i : {5, 6, 9, 10}) kernel[i] = 0.25f;  // the four in the middle
  }
  arrays["encoder.0.bias"].numbers[0] = 1;
  arrays["encoder.10.weight"].numbers[0] = 1;
  arrays["encoder.10.bias"].numbers[0] = -1;
  for (int k = 0; k < 128; ++k) {
    arrays["_vq_vae._embedding"].numbers[k] = 2 * static_cast<float>(k) / 127 - 1;
  }
  return arrays;
}

// docs/processing/mask_encoder.md, "By hand".
TEST_F(MaskEncoderByHand, WorkedExample) {
  Mask mask({64, 64});
  for (Index r = 0; r < 16; ++r) {
    for (Index q = 0; q < 28; ++q) mask.view()(r, q) = 255;
  }
  EXPECT_EQ(open(encoder_of_means()).encode(mask.view()),
            (Codes{127, 95, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(MaskEncoderByHand, TheFirstOfEquallyNearCodesIsTaken) {
  Arrays arrays = encoder_of_means();
  auto& codebook = arrays["_vq_vae._embedding"].numbers;
  std::fill(codebook.begin(), codebook.end(), 5.0f);
  codebook[40] = -0.5f;
  codebook[41] = codebook[90] = -1.5f;  // as far from -1, on the other side
  const Mask empty({64, 64});
  Codes expected;
  expected.fill(40);
  EXPECT_EQ(open(arrays).encode(empty.view()), expected);
}

TEST_F(MaskEncoderFile, OfAnyWidthsMatchesTheDefinition) {
  int compared = 0;
  std::set<int> seen;
  for (const auto& [widths, E] :
       {std::pair{std::array<Index, 4>{3, 2, 5, 4}, 6}, {{1, 7, 1, 3}, 2}, {{8, 4, 6, 9}, 17}}) {
    const Arrays arrays = random_encoder(widths, E);
    const MaskEncoder encoder = open(arrays);
    for (unsigned seed = 0; seed < 4; ++seed) {
      const Mask mask = seed == 0 ? disc() : random_mask(seed);
      const Codes codes = encoder.encode(mask.view());
      const auto exact = exact_codes(arrays, mask);
      for (std::size_t i = 0; i < 16; ++i) {
        if (exact[i].lead < 1e-4) continue;  // either may be the nearest
        EXPECT_EQ(codes[i], exact[i].code) << "E " << E << ", mask " << seed << ", code " << i;
        seen.insert(codes[i]);
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 180);
  EXPECT_GT(seen.size(), 20u);
}

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
  const Mask mask = disc();
  const auto values = MaskDecoder(kTiny).decode(MaskEncoder(kTiny).encode(mask.view()));
  int both = 0, either = 0;
  for (Index i = 0; i < 64 * 64; ++i) {
    const bool was = mask.view().data()[i] > 127, is = values.view().data()[i] > 0;
    both += was && is;
    either += was || is;
  }
  EXPECT_GT(both, 0.9 * either);
}

// Threads that are already many share an encoder; each sees a part of a larger picture.
TEST(MaskEncoderOf, TheTinyModelServesManyThreads) {
  const MaskEncoder encoder(kTiny);
  Mask picture({70, 90}), mask = disc();
  for (Index r = 0; r < 64; ++r) {
    for (Index q = 0; q < 64; ++q) picture.view()(r + 3, q + 11) = mask.view()(r, q);
  }
  const View<const std::uint8_t, 2> part(&picture.view()(3, 11), {64, 64}, {90, 1});
  const Codes alone = encoder.encode(mask.view());
  std::array<Codes, 8> codes{};
#pragma omp parallel for num_threads(4)
  for (int i = 0; i < 8; ++i) codes[i] = encoder.encode(part);
  for (const Codes& of_one : codes) EXPECT_EQ(of_one, alone);
}

TEST(MaskEncoderOf, TheTinyModelTakesMasksOf64By64) {
  const MaskEncoder encoder(kTiny);
  EXPECT_THROW(encoder.encode(Mask({64, 63}).view()), ContractError);
  EXPECT_THROW(encoder.encode(Mask({32, 64}).view()), ContractError);
  EXPECT_THROW(encoder.encode({}), ContractError);
}

TEST_F(MaskEncoderFile, NeedsNoDecoder) {
  NpzFile file(kTiny);
  Arrays arrays;
  for (const auto& [name, where] : file.arrays()) {
    if (name.starts_with("decoder.")) continue;
    const NpyArray array = file.read(name);
    arrays[name] = {array.shape, array.numbers};
  }
  const Mask mask = disc();
  EXPECT_EQ(open(arrays).encode(mask.view()), MaskEncoder(kTiny).encode(mask.view()));
}

TEST_F(MaskEncoderFile, MustHoldEveryArray) {
  const Arrays whole = random_encoder({3, 2, 5, 4}, 6);
  ASSERT_EQ(whole.size(), 23u);
  for (const auto& [name, array] : whole) {
    Arrays arrays = whole;
    arrays.erase(name);
    EXPECT_TRUE(holds(refusal(arrays), path_, "array " + name + " is missing, expected ["));
  }
}

// One more along each axis in turn, or an axis more.
TEST_F(MaskEncoderFile, MustHoldArraysOfTheRightShapes) {
  const Arrays whole = random_encoder({3, 2, 5, 4}, 6);
  for (const auto& [name, array] : whole) {
    for (std::size_t axis = 0; axis <= array.shape.size(); ++axis) {
      Arrays arrays = whole;
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

TEST_F(MaskEncoderFile, IsRefusedByTheFirstArrayThatDoesNotFit) {
  Arrays arrays = random_encoder({3, 2, 5, 4}, 6);
  arrays["encoder.4.weight"] = {{5, 3, 4, 4}, std::vector<float>(240)};
  EXPECT_EQ(refusal(arrays), path_.string() +
                                 ": array encoder.4.weight is [5, 3, 4, 4], expected "
                                 "[1 to 1024, 2, 4, 4]");
  arrays = random_encoder({3, 2, 5, 4}, 6);
  arrays["encoder.6.weight"] = {{1025, 5, 4, 4}, std::vector<float>(82000)};
  EXPECT_EQ(refusal(arrays), path_.string() +
                                 ": array encoder.6.weight is [1025, 5, 4, 4], expected "
                                 "[1 to 1024, 5, 4, 4]");
}

TEST_F(MaskEncoderFile, ThatIsNoneIsRefused) {
  EXPECT_THROW(MaskEncoder(folder_ / "nowhere.npz"), NotFoundError);
  write_text(path_, "hello");
  EXPECT_THROW(MaskEncoder{path_}, ModelFileError);
  const std::string decoder = source_dir() + "/tests/golden/masks/vae-oid.npz";  // and a layer more
  EXPECT_EQ(error_text<ModelFileError>([&] { MaskEncoder{decoder}; }),
            decoder + ": array encoder.2.weight is missing, expected [1 to 1024, 3, 4, 4]");
}

}  // namespace
}  // namespace paligemma
