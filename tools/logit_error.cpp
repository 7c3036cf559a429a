// How far quantised weights move a model's logits from its own bf16 ones:
//
//   logit_error MODEL          a picture of noise, 8 words, and 16 tokens that the bf16 model chooses
//
// For each number of bits: the root mean square of the differences, as a share of the logits' own spread;
// the largest difference, as a share of it; and how many choices are the same. It needs no tokenizer.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <utility>
#include <vector>

#include "fast/paligemma/model.h"
#include "paligemma/checkpoint.h"
#include "paligemma/generate.h"
#include "tensor/philox.h"

namespace {

using namespace paligemma;

constexpr Index kWords = 8, kTokens = 16;

struct Run {
  std::vector<TokenId> tokens;  // chosen
  std::vector<std::vector<float>> logits;
};

// Follows `told` instead of its own choices, if there are any.
template <class Real>
Run run(const char* path, const std::vector<TokenId>& told) {
  const Config config = read_config(checkpoint_folder(path));
  Checkpoint checkpoint(path, config);
  const Fast fast;
  auto placed = place_weights<Real>(fast, checkpoint, config, {});
  const Model<Fast, WeightsOn<Fast, Real>> model{fast, config.vision, config.text,
                                                 config.image_token, std::move(placed.weights)};
  const Index R = config.vision.image_size, T = config.vision.patches() + kWords;
  Buffer<float, 3> pixels({R, R, 3}, unwritten);
  for (Index i = 0; i < pixels.view().count(); ++i) {
    pixels.view().data()[i] =
        static_cast<float>(2 * philox_uniform(1, static_cast<std::uint64_t>(i)) - 1);
  }
  siglip::EncoderScratch<Fast> scratch(model.vision);
  const auto rows = encode_image(model, std::as_const(pixels).view(), scratch, NoTap());

  std::vector<TokenId> prompt(static_cast<std::size_t>(T));
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    prompt[i] =
        static_cast<TokenId>(philox_uniform(2, i) * static_cast<double>(config.text.vocabulary));
  }
  std::fill_n(prompt.begin(), config.vision.patches(), config.image_token);
  Session<Fast> session(model.text, T, T + kTokens);
  forward(model, prompt, rows.view(), T, session, NoTap());
  Run result;
  for (Index step = 0; step < kTokens; ++step) {
    const auto logits = std::as_const(session.scratch.logits).view();
    result.logits.emplace_back(logits.data(), logits.data() + logits.count());
    result.tokens.push_back(sample(fast, logits.row(0), {}, 0));
    const TokenId next = told.empty() ? result.tokens.back() : told[static_cast<std::size_t>(step)];
    decode(model, next, T, session, {}, step);
  }
  return result;
}

void print(const char* name, const Run& expected, const Run& found) {
  double squares = 0, own = 0, sum = 0, count = 0, largest = 0;
  Index same = 0;
  for (std::size_t i = 0; i < expected.logits.size(); ++i) {
    for (std::size_t v = 0; v < expected.logits[i].size(); ++v) {
      const double difference = static_cast<double>(found.logits[i][v]) - expected.logits[i][v];
      squares += difference * difference;
      largest = std::max(largest, std::abs(difference));
      sum += expected.logits[i][v];
      own += static_cast<double>(expected.logits[i][v]) * expected.logits[i][v];
      ++count;
    }
    same += expected.tokens[i] == found.tokens[i];
  }
  const double spread = std::sqrt(own / count - (sum / count) * (sum / count));
  std::printf("%s: rms %.4f, largest %.4f of the logits' spread; %td of %td choices the same\n",
              name, std::sqrt(squares / count) / spread, largest / spread, same, kTokens);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: logit_error MODEL\n");
    return 2;
  }
  try {
    const Run expected = run<bf16>(argv[1], {});
    print("int8", expected, run<Int8Block>(argv[1], expected.tokens));
    print("int4", expected, run<Int4Block>(argv[1], expected.tokens));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "logit_error: %s\n", error.what());
    return 1;
  }
  return 0;
}
