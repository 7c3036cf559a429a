// --dump: every tap as a .npy file.
#include <charconv>
#include <cstring>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using Shape = std::vector<Index>;

struct Npy {
  Shape shape;
  std::vector<float> numbers;
};

// NumPy's format 1.0, read anew: "\x93NUMPY", 1, 0, length of a Python dict, the dict, the numbers.
Npy read_npy(const std::string& path) {
  const std::string file = read_bytes(path);
  EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8)) << path;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(file[i]); };
  const std::size_t length = byte(8) + 256u * byte(9);
  const std::string header = file.substr(10, length);
  EXPECT_EQ((10 + length) % 64, 0u) << path;
  EXPECT_TRUE(header.ends_with('\n')) << path;
  EXPECT_NE(header.find("'descr': '<f4'"), std::string::npos) << header;
  EXPECT_NE(header.find("'fortran_order': False"), std::string::npos) << header;

  Npy npy;
  const char* at = header.data() + header.find("'shape': (") + 10;
  const char* end = header.data() + header.find(')');
  for (Index size = 0; at < end; at += *at == ',' || *at == ' ') {
    const auto [next, error] = std::from_chars(at, end, size);
    if (error == std::errc()) npy.shape.push_back(size);
    at = next;
  }
  npy.numbers.resize((file.size() - 10 - length) / 4);
  std::memcpy(npy.numbers.data(), file.data() + 10 + length, 4 * npy.numbers.size());
  Index count = 1;
  for (Index size : npy.shape) count *= size;
  EXPECT_EQ(static_cast<std::size_t>(count), npy.numbers.size()) << path;
  return npy;
}

// docs/taps.md for the golden PaliGemma 1: R = 32, L = 25, D = 36 of 2 layers; D = 40 of 3 layers.
std::map<std::string, Shape> expected_shapes(Index T, Index steps) {
  std::map<std::string, Shape> shapes{{"img/pixels", {32, 32, 3}},   {"img/stem", {25, 36}},
                                      {"img/with_posemb", {25, 36}}, {"img/encoded", {25, 36}},
                                      {"img/head", {25, 40}},        {"llm/embedded", {T, 40}},
                                      {"llm/final_norm", {T, 40}},   {"logits", {steps, 1856}}};
  for (const char* part : {"sa", "+sa", "mlp", "+mlp"}) {
    for (const char* block : {"00", "01"}) {
      shapes[std::string("img/encoder/block") + block + "/" + part] = {25, 36};
    }
  }
  for (const char* part : {"attn", "+attn", "mlp", "+mlp"}) {
    for (const char* block : {"00", "01", "02"}) {
      shapes[std::string("llm/block") + block + "/" + part] = {T, 40};
    }
  }
  return shapes;
}

class Dumped : public ::testing::Test {
 protected:
  Ran run(const std::vector<std::string>& more) const {
    std::vector<std::string> words{"-m",         kGolden, "--image", kPicture, "-p",
                                   "caption en", "-n",    "3",       "--dump", folder_ / "taps"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  TemporaryFolder folder_;
};

TEST_F(Dumped, TapsAreAllThereAndOfTheRightShape) {
  const Ran ran = run({});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.err, cut_at(3));
  const auto expected = expected_shapes(25 + 1 + 2 + 1, 3);  // picture, <bos>, "caption en", "\n"
  std::map<std::string, Shape> found;
  const std::filesystem::path taps = folder_ / "taps";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(taps)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = std::filesystem::relative(entry.path(), taps).string();
    EXPECT_TRUE(name.ends_with(".npy")) << name;
    found[name.substr(0, name.size() - 4)] = read_npy(entry.path()).shape;
  }
  EXPECT_EQ(found, expected);
}

TEST_F(Dumped, LogitsHaveARowForEveryTokenAndChoseIt) {
  const Ran ran = run({"--json"});
  const auto tokens = nlohmann::json::parse(ran.out)["tokens"];
  const Npy logits = read_npy(folder_ / "taps/logits.npy");
  ASSERT_EQ(logits.shape, (Shape{3, 1856}));
  for (Index step = 0; step < 3; ++step) {
    const auto row = logits.numbers.begin() + step * 1856;
    EXPECT_EQ(std::max_element(row, row + 1856) - row, tokens[step]["id"].get<Index>());
  }
}

TEST_F(Dumped, SumsAreTheSumsOfTheirParts) {
  run({});
  const Npy before = read_npy(folder_ / "taps/llm/embedded.npy"),
            part = read_npy(folder_ / "taps/llm/block00/attn.npy"),
            sum = read_npy(folder_ / "taps/llm/block00/+attn.npy");
  for (std::size_t i = 0; i < sum.numbers.size(); ++i) {
    ASSERT_EQ(sum.numbers[i], before.numbers[i] + part.numbers[i]);
  }
}

TEST_F(Dumped, WithoutAPlaceToGoAreRefused) {
  for (const char* place : {"/dev/null/taps", "/proc/taps"}) {
    const Ran ran = run_program({"-m", kGolden, "--image", kPicture, "-p", "ocr", "--dump", place});
    EXPECT_TRUE(refuses(ran, 1, {place}));
  }
}

}  // namespace
}  // namespace paligemma
