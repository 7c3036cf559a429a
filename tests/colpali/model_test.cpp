#include "colpali/model.h"

#include "tests/support/colpali_golden.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/error_text.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

// docs/colpali/model.md, "By hand". A decoder without blocks is its last norm.
TEST(Colpali, WorkedExample) {
  const auto words = rows_of({{3, 4}, {-4, 3}}), projection = rows_of({{1, 0}, {0, 1}});
  const auto no_gain = vector_of({0, 0}), bias = vector_of({0, -0.56568542});
  Model<Reference, HostWeights<float>> model{};
  model.text.vocabulary = model.text.width = 2;
  model.text.norm_offset = 1;
  model.weights.text.embedding = words.view();
  model.weights.text.final_norm = no_gain.view();
  model.weights.text.head = {words.view()};
  model.weights.retrieval = {projection.view(), bias.view()};
  model.text.kv_heads = model.text.heads = 1;
  model.text.head_size = 2;
  AnswerMemory<Reference> memory;
  const auto rows = colpali::encode_query(model, std::vector<TokenId>{0, 1}, memory, NoTap());
  const auto expected = rows_of({{0.83205029, 0.5547002}, {-0.9701425, 0.24253563}});
  EXPECT_TRUE(close(rows.view(), expected.view(), float_operations(30)));
}

class ColpaliAsStored : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, ColpaliAsStored, kColpaliCases, colpali_case_name);

TEST_P(ColpaliAsStored, EncodesAsTheOriginalDoes) {
  encodes_as_the_originals_do(reference, GetParam(), {}, kColpaliSums);
}

class ColpaliModel : public ::testing::Test {
 protected:
  Buffer<float, 2> query(std::vector<TokenId> ids) const {
    return pipeline_.with_model([&](const auto& model, AnswerMemory<Reference>& memory) {
      return colpali::encode_query(model, ids, memory, NoTap());
    });
  }
  const Pipeline<Reference> pipeline_{reference, ColpaliCase("hf").options()};
};

// transformers 5 without token_type_ids is causal in a padded batch, and not otherwise.
TEST_F(ColpaliModel, EveryRowSeesEveryRow) {
  const auto one = query({2, 310, 337, 5}), other = query({2, 310, 337, 339});
  for (Index t = 0; t < 4; ++t) {
    EXPECT_FALSE(close(one.view().rows(t, t + 1), other.view().rows(t, t + 1), kExact)) << t;
  }
}

TEST_F(ColpaliModel, RowsHaveLengthOne) {
  const auto rows = query({2, 310, 337, 339, 506, 5});
  for (Index t = 0; t < rows.view().size(0); ++t) {
    double sum_sq = 0;
    for (Index d = 0; d < rows.view().size(1); ++d) sum_sq += std::pow(rows.view()(t, d), 2);
    EXPECT_NEAR(sum_sq, 1, 1e-6) << t;  // 16 squares, each rounded
  }
}

// Of a base alone the projection is there, and random; without it there is nothing to be read.
TEST(ColpaliFiles, MustHoldTheProjection) {
  const TemporaryFolder folder;
  const ColpaliCase golden("hf");
  std::filesystem::copy(golden.folder + "/config.json", folder / "config.json");
  std::string file = read_bytes(golden.folder + "/model.safetensors");
  const std::string name = "embedding_proj_layer.weight", other = "embedding_proj_layer.weihgt";
  file.replace(file.find(name), name.size(), other);
  write_text(folder / "model.safetensors", file);
  PipelineOptions options = golden.options();
  options.model = folder.path();
  EXPECT_EQ(error_text<ModelFileError>([&] { Pipeline<Reference>(reference, options); }),
            folder.path().string() + ": tensor embedding_proj_layer.weight is missing");
}

// A picture is embedded by the vision tower alone, as with any other model.
TEST(ColpaliFiles, HaveAVisionTower) {
  PipelineOptions options = ColpaliCase("adapter").options();
  options.adapter.reset();
  options.towers = Towers::vision;
  const Pipeline<Reference> pipeline(reference, options);
  const auto image = read_image(ColpaliCase("adapter").folder + "/page0.png");
  EXPECT_EQ(pipeline.embed(image.view(), {}).view().size(1), 24);
}

TEST(ColpaliFiles, AnswerNothing) {
  const ColpaliCase golden("hf");
  const Pipeline<Reference> pipeline(reference, golden.options());
  const auto picture = pipeline.encode(read_image(golden.folder + "/page0.png").view());
  EXPECT_EQ(
      error_text<ModelFileError>([&] { pipeline.generate(picture, "caption en", {}); }),
      golden.folder + ": a ColPali, which makes vectors of pages and queries and answers nothing");
}

// The memory that one leaves is the next one's.
TEST_F(ColpaliModel, DoesNotRememberTheOneBefore) {
  const auto first = query({2, 310, 337});
  query({2, 506, 339, 310, 337, 5});
  EXPECT_TRUE(close(query({2, 310, 337}).view(), first.view(), kExact));
}

}  // namespace
}  // namespace paligemma
