// A whole PalmE on a Stream, with float weights, where nothing is rounded: the words that zeta says.
#include "cuda/zeta/pipeline.h"

#include "tests/support/cuda_test.h"
#include "tests/support/zeta_folder.h"

namespace paligemma {
namespace {

using namespace test;

class CudaZetaPipeline : public CudaTest {};

TEST_F(CudaZetaPipeline, SaysWhatZetaSays) {
  const TemporaryFolder folder;
  write_zeta_model(folder.path(), "palme");
  const auto model =
      zeta::open_pipeline(cuda::Stream(cuda::Math::float32), {.model = folder.path()});

  const NpyArray image = read_zeta("palme", "in/image"), text = read_zeta("palme", "in/text");
  const Index S = image.shape[2];
  Buffer<float, 3> pixels({S, S, 3}, unwritten);
  for (Index i = 0; i < S * S * 3; ++i) {
    pixels.view().data()[i] = image.numbers[static_cast<std::size_t>(i % 3 * S * S + i / 3)];
  }
  model->look_at(pixels.view(), {});

  const std::vector<TokenId> prompt(text.numbers.begin(), text.numbers.begin() + 3);
  std::vector<TokenId> words;
  model->generate(prompt, {.max_tokens = 8},
                  [&](const GeneratedToken& token) {
                    words.push_back(token.id);
                    return true;
                  },
                  {});
  const NpyArray expected = read_zeta("palme", "out/generated");
  EXPECT_EQ(words, std::vector<TokenId>(expected.numbers.begin(), expected.numbers.begin() + 8));

  const std::vector<TokenId> ids(text.numbers.begin(), text.numbers.begin() + text.shape[1]);
  const NpyArray logits = read_zeta("palme", "out/logits");
  const auto found = model->logits(ids, {});
  EXPECT_TRUE(close(std::as_const(found).view(),
                    View<const float, 2>(logits.numbers.data(), found.view().shape()),
                    {0, read_zeta("palme", "tol/logits").numbers[0]}));
}

}  // namespace
}  // namespace paligemma
