#include "paligemma/random_weights.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "paligemma/pipeline.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/tiny_model.h"

namespace paligemma {
namespace {

using namespace test;

class RandomWeights : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const RandomWeightsOptions& options = {}) {
    write_random_checkpoint(text_, expected_tensors(config_), folder_ / name, options);
    return read_bytes(folder_ / name / "model.safetensors");
  }

  const std::string text_ = read_bytes(kGolden + "/config.json");
  const Config config_ = parse_config(text_, "config.json");
  TemporaryFolder folder_;
};

// docs/paligemma/random_weights.md
TEST_F(RandomWeights, WorkedExample) {
  write("out", {.seed = 1, .tokenizer = kGolden + "/tokenizer.model"});
  const Pipeline<Reference> pipeline(reference, {.model = folder_ / "out"});
  EXPECT_FALSE(pipeline.trained());
  EXPECT_EQ(pipeline.dtype(), WeightFormat::bf16);
  const auto picture = pipeline.encode(scene_picture(3).view());
  EXPECT_EQ(pipeline.generate(picture, "caption en", {.max_tokens = 4}).tokens.size(), 4u);
}

// Means and variances are within five standard deviations of what is said.
TEST_F(RandomWeights, AreSpreadAsTheHeaderSays) {
  write("out");
  for (const auto& [name, tensor] : read_tensors(folder_ / "out" / "model.safetensors")) {
    const auto n = static_cast<double>(tensor.bytes.size() / sizeof(bf16));
    double sum = 0, squares = 0, most = 0;
    const bool is_matrix = tensor.shape.size() > 1, is_bias = name.ends_with("bias");
    const double mean = is_matrix || is_bias || name.starts_with("language_model.") ? 0 : 1;
    for (std::size_t i = 0; i < tensor.bytes.size(); i += sizeof(bf16)) {
      bf16 number;
      std::memcpy(&number, &tensor.bytes[i], sizeof number);
      const double u = static_cast<double>(widen(number)) - mean;
      sum += u, squares += u * u, most = std::max(most, std::abs(u));
    }
    const double inputs = n / static_cast<double>(tensor.shape[0]);
    const double width = is_matrix ? std::sqrt(3 / inputs) : is_bias ? 0.02 : 0.1;
    EXPECT_LE(most, width * 1.01 + mean * 0x1p-8) << name;  // bf16 rounds by 2^-9 of the number
    EXPECT_NEAR(sum / n, 0, 5 * width / std::sqrt(3 * n) + mean * 0x1p-10) << name;
    EXPECT_NEAR(squares / n, width * width / 3, 5 * width * width * std::sqrt(4 / (45 * n)) + 1e-5)
        << name;
  }
}

TEST_F(RandomWeights, AreAFunctionOfTheSeed) {
  const std::string one = write("one", {.seed = 7});
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  EXPECT_EQ(write("two", {.seed = 7}), one);
  omp_set_num_threads(threads);
  EXPECT_NE(write("three", {.seed = 8}), one);
  EXPECT_NE(write("four", {.seed = 7 + (std::uint64_t{1} << 32)}), one);
}

// Nor does one tensor repeat another's numbers, or its own.
TEST_F(RandomWeights, DoNotRepeat) {
  write("out");
  const StoredTensors tensors = read_tensors(folder_ / "out" / "model.safetensors");
  std::set<std::string> seen;
  int equal = 0, all = 0;
  for (const auto& [name, tensor] : tensors) {
    for (std::size_t i = 0; i + 16 <= tensor.bytes.size() && tensor.shape.size() > 1; i += 16) {
      EXPECT_TRUE(seen.insert(tensor.bytes.substr(i, 16)).second) << name;
      equal += tensor.bytes.substr(i, 2) == tensor.bytes.substr(i + 2, 2);
      ++all;
    }
  }
  EXPECT_LT(
      equal,
      all / 50);  // two of a bf16's 256 to 512 numbers of one size and sign are equal by chance
}

TEST_F(RandomWeights, MayBeHoles) {
  const std::string whole = write("whole"), sparse = write("sparse", {.sparse = true});
  ASSERT_EQ(sparse.size(), whole.size());
  std::uint64_t length = 0;
  std::memcpy(&length, sparse.data(), sizeof length);
  const std::size_t begin = sizeof length + length;
  EXPECT_EQ(sparse.substr(0, begin), whole.substr(0, begin));
  EXPECT_EQ(sparse.find_first_not_of('\0', begin), std::string::npos);
  EXPECT_EQ(begin % 64, 0u);
}

TEST_F(RandomWeights, TakeATokenizerOfEitherKind) {
  write_text(folder_ / "a.json", "{}");
  write("json", {.sparse = true, .tokenizer = folder_ / "a.json"});
  EXPECT_EQ(read_bytes(folder_ / "json/tokenizer.json"), "{}");
  EXPECT_THROW(write("none", {.tokenizer = folder_ / "none.model"}), std::runtime_error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none"));
}

}  // namespace
}  // namespace paligemma
