// `embed`: pictures as numbers. What the numbers must be is for tests/siglip/pooling_test.cpp.
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/mapped_file.h"
#include "tensor/npz.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/embedding_golden.h"
#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::string kScene = source_dir() + "/examples/pictures/scene.png";

std::vector<json> lines_of(const Ran& ran) {
  EXPECT_EQ(ran.exit_code, 0) << ran;
  std::vector<json> lines;
  std::istringstream out(ran.out);
  for (std::string line; std::getline(out, line);) lines.push_back(json::parse(line));
  return lines;
}

std::vector<float> embedding(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "embed");
  const auto lines = lines_of(run_program(arguments));
  return lines.at(0).at("embedding").get<std::vector<float>>();
}

NpyArray npy(const std::filesystem::path& path) {
  return parse_npy(MappedFile(path).bytes(), path.string());
}

TEST(Embed, PrintsAnObjectForEachPicture) {
  const auto lines = lines_of(run_program({"embed", kPicture, kScene}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["image"], (json{{"path", kPicture}, {"width", 45}, {"height", 37}}));
  EXPECT_EQ(lines[1]["image"]["path"], kScene);
  EXPECT_EQ(lines[0]["pool"], "mean");
  EXPECT_EQ(lines[0]["embedding"].size(), 128u);
  EXPECT_NE(lines[0]["embedding"], lines[1]["embedding"]);
  EXPECT_EQ(lines_of(run_program({"embed", "--image", kPicture, "--json"}))[0], lines[0]);
}

// All digits of what transformers says are there.
TEST(Embed, TakesASiglip) {
  const EmbeddingGolden golden(kSiglip);
  const auto expected = golden.rows("img/pooled");
  for (const char* by : {"--reference", "--kernels=portable"}) {
    const auto row = embedding({kPicture, "-m", kSiglip, by});
    const View<const float, 2> actual(row.data(), {1, static_cast<Index>(row.size())});
    EXPECT_TRUE(close(actual, expected, golden.tolerance("img/pooled"))) << by;
  }
  for (const char* command : {"caption", "ocr"})
    EXPECT_TRUE(refuses(run_program({command, kPicture, "-m", kSiglip}), 4, {"siglip", "embed"}));
}

// Which has no tokenizer that is read here.
TEST(Embed, FindsASiglipInTheHubsCache) {
  const TemporaryFolder cache;
  std::filesystem::create_directories(cache / "models--org--name/snapshots");
  std::filesystem::copy(kSiglip, cache / "models--org--name/snapshots/abc");
  const Ran ran = run_program({"embed", kPicture, "-m", "org/name"},
                              {.environment = {{"HF_HUB_CACHE", cache.path()}}});
  EXPECT_EQ(lines_of(ran).at(0)["embedding"],
            lines_of(run_program({"embed", kPicture, "-m", kSiglip})).at(0)["embedding"]);
}

// As SiglipVisionModel saves it.
TEST(Embed, TakesAVisionTowerAlone) {
  const TemporaryFolder folder;
  auto config = json::parse(read_bytes(kSiglip + "/config.json"))["vision_config"];
  write_text(folder / "config.json", config.dump());
  StoredTensors tensors;
  for (auto& [name, tensor] : read_tensors(kSiglip + "/model.safetensors")) {
    if (name.starts_with("vision_model.")) tensors[name.substr(13)] = tensor;
  }
  write_tensors(folder / "model.safetensors", tensors);
  EXPECT_EQ(embedding({kPicture, "-m", folder.path()}), embedding({kPicture, "-m", kSiglip}));
}

TEST(Embed, PoolsByTheHeadIfThereIsOne) {
  const auto pool = [](const std::string& model, const std::string& asked) {
    const auto lines = lines_of(run_program({"embed", kPicture, "-m", model, "--pool", asked}));
    return lines.at(0)["pool"].get<std::string>();
  };
  EXPECT_EQ(pool(kSiglip, "auto"), "attention");
  EXPECT_EQ(pool(kSiglip, "first"), "first");
  EXPECT_EQ(pool(kGolden, "auto"), "mean");
}

TEST(Embed, PoolsTheRowsThatItPrintsUnpooled) {
  const auto line = lines_of(run_program({"embed", kPicture, "-m", kGolden, "--pool", "none"}))[0];
  const auto rows = line["embedding"].get<std::vector<std::vector<float>>>();
  ASSERT_EQ(rows.size(), 25u);
  ASSERT_EQ(rows[0].size(), 36u);
  EXPECT_EQ(embedding({kPicture, "-m", kGolden, "--pool", "first"}), rows[0]);
  const auto mean = embedding({kPicture, "-m", kGolden, "--pool", "mean"});
  for (std::size_t d = 0; d < 36; ++d) {
    double sum = 0;
    for (const auto& row : rows) sum += row[d];
    EXPECT_NEAR(mean[d], sum / 25, 1e-5);
  }
}

// The rows that the language model reads.
TEST(Embed, ProjectsIntoTheLanguageModelsWidth) {
  const Golden golden(1);
  const auto line =
      lines_of(run_program({"embed", kPicture, "-m", kGolden, "--pool", "none", "--projected"}))[0];
  const auto rows = line["embedding"].get<std::vector<std::vector<float>>>();
  const auto& expected = golden.taps.at("img/head");
  ASSERT_EQ(rows.size(), 25u);
  for (Index l = 0; l < 25; ++l) {
    const auto& row = rows[static_cast<std::size_t>(l)];
    ASSERT_EQ(row.size(), 40u);
    for (std::size_t d = 0; d < 40; ++d)
      EXPECT_NEAR(row[d], expected.row(l)[d], expected.tolerance);
  }
}

TEST(Embed, NormalizesToLengthOne) {
  const auto row = embedding({kPicture, "--normalize"}), plain = embedding({kPicture});
  double squares = 0;
  for (float number : row) squares += double{number} * number;
  EXPECT_NEAR(squares, 1, 1e-6);
  for (std::size_t d = 0; d < row.size(); ++d)
    EXPECT_NEAR(row[d] / row[0], plain[d] / plain[0], 1e-3);
}

TEST(Embed, ComparesPictures) {
  const Ran table = run_program({"embed", kPicture, kScene, kPicture, "--cosine"});
  EXPECT_EQ(table.exit_code, 0) << table;
  EXPECT_EQ(count_lines(table.out), 3u);
  EXPECT_TRUE(table.out.starts_with(kPicture + "\t1.0000\t")) << table;
  const auto all = lines_of(run_program({"embed", kPicture, kScene, "--cosine", "--json"}));
  EXPECT_EQ(all[0]["images"], (json{kPicture, kScene}));
  const auto a = embedding({kPicture, "--normalize"}), b = embedding({kScene, "--normalize"});
  double product = 0;
  for (std::size_t d = 0; d < a.size(); ++d) product += double{a[d]} * b[d];
  EXPECT_NEAR(all[0]["cosine"][0][1], product, 1e-6);
  EXPECT_EQ(all[0]["cosine"][0][1], all[0]["cosine"][1][0]);
}

TEST(Embed, WritesNumPysFile) {
  const TemporaryFolder folder;
  const std::string file = folder / "x.npy";
  const Ran ran = run_program({"embed", kPicture, kScene, "-o", file});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, "");
  const NpyArray array = npy(file);
  EXPECT_EQ(array.shape, (std::vector<Index>{2, 128}));
  const auto second = embedding({kScene});
  EXPECT_EQ(std::vector(array.numbers.begin() + 128, array.numbers.end()), second);
  run_program({"embed", kPicture, "-m", kGolden, "--pool", "none", "-o", file});
  EXPECT_EQ(npy(file).shape, (std::vector<Index>{1, 25, 36}));

  EXPECT_TRUE(refuses(run_program({"embed", kPicture, "-o", "x.png"}), 2, {".npy"}));
  EXPECT_TRUE(refuses(run_program({"embed", "--pixels", file, "-o", file}), 2, {"which is read"}));
}

TEST(Embed, TakesPixels) {
  const TemporaryFolder folder;
  run_program({"--image", kPicture, "-m", kGolden, "-p", "ocr", "--dump", folder.path()});
  EXPECT_EQ(embedding({"--pixels", folder / "img/pixels.npy", "-m", kGolden}),
            embedding({kPicture, "-m", kGolden}));
}

TEST(Embed, RunsOnEmulatedKernels) {
  const EmbeddingGolden golden(kSiglip);
  const auto row = embedding({kPicture, "-m", kSiglip, "--device", "emulated"});
  const View<const float, 2> actual(row.data(), {1, static_cast<Index>(row.size())});
  EXPECT_TRUE(close(actual, golden.rows("img/pooled"), golden.tolerance("img/pooled")));
}

TEST(Embed, NeedsNoTokenizerAndNoLanguageModel) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(kGolden + "/config.json", folder / "config.json");
  StoredTensors tensors = read_tensors(kGolden + "/model.safetensors");
  std::erase_if(tensors, [](const auto& tensor) { return tensor.first.starts_with("language"); });
  write_tensors(folder / "model.safetensors", tensors);
  std::filesystem::copy_file(kGolden + "/preprocessor_config.json",
                             folder / "preprocessor_config.json");
  EXPECT_EQ(embedding({kPicture, "-m", folder.path()}), embedding({kPicture, "-m", kGolden}));
}

TEST(Embed, RefusesWhatTheCheckpointLacks) {
  EXPECT_TRUE(refuses(run_program({"embed", kPicture, "--pool", "attention"}), 4,
                      {"models/tiny", "no pooling head", "vision_tower.head"}));
  EXPECT_TRUE(refuses(run_program({"embed", kPicture, "-m", kSiglip, "--projected"}), 4,
                      {kSiglip, "no projector", "multi_modal_projector"}));
}

TEST(Embed, RefusesWhatMakesNoSense) {
  EXPECT_TRUE(refuses(run_program({"embed"}), 2, {"give a picture"}));
  EXPECT_TRUE(refuses(run_program({"embed", kPicture, "--pool", "max"}), 2, {"--pool max"}));
  EXPECT_TRUE(refuses(run_program({"embed", kPicture, "--dtype", "int8"}), 2, {"--dtype int8"}));
  EXPECT_TRUE(refuses(run_program({"embed", kPicture, "--pool", "none", "--cosine"}), 2,
                      {"--cosine", "none"}));
  EXPECT_TRUE(refuses(run_program({"embed", "-", "-"}), 2, {"standard input"}));
  EXPECT_TRUE(refuses(run_program({"embed", kPicture, "--pixels", "x.npy"}), 2, {"--pixels"}));
  EXPECT_TRUE(refuses(run_program({"embed", "nowhere.png"}), 5, {"nowhere.png"}));
  EXPECT_TRUE(refuses(run_program({"embed", kPicture, "-m", source_dir() + "/models/palme"}), 2,
                      {"PalmE", "embed"}));
}

}  // namespace
}  // namespace paligemma
