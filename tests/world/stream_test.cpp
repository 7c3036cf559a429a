// The world as a stream of bytes: the default model was trained on it, and is scored on it, so it
// must not change unnoticed. Whoever changes it on purpose trains again and renews these numbers.
//
// Pictures and places come from sines and powers of the C library, whose last bits another
// processor or library may round differently; that is the only excuse for other numbers here.
//
// What training reads is all of this in records, with pictures resized and masks cut out. The first
// 100 of a split, scene_examples --split S --count 100 | sha256sum (tools/tiny/scenes.py --hashes):
//
//   train     8a84e8010b7062dd5fe626108c837f66ce18ea2805451c05b5a327d6105d753d
//   val       5ef4a91bd98ebecc9bbe7e0c83a23d59f81fe81d1a5c5b7c3d0b94658976227f
//   test      eb01c29487d6ba5b3a753060e74f070ca149899b224d05ebf992b6d2774c66ac
//   held-out  d8c05c197620b5ad6b2005597b5397f66fd527f1e4c1f413e912d73d2d5e397f
#include <gtest/gtest.h>

#include <ostream>

#include "world/curriculum.h"
#include "world/render.h"

namespace paligemma::world {
namespace {

// FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv
class Hash {
 public:
  void add(std::uint8_t byte) { state_ = (state_ ^ byte) * 0x100000001b3; }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<std::uint8_t>(c));
    add(std::uint8_t{0});
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

void add(const Truth& truth, Hash& hash) {
  for (const Thing& thing : truth.things) {
    hash.add(name_of(thing.color));
    hash.add(name_of(thing.shape));
    hash.add(location_tokens(thing.box));
  }
  if (!truth.writing) return;
  hash.add(truth.writing->text);
  hash.add(location_tokens(truth.writing->box));
  for (const CanvasBox& box : truth.writing->characters) hash.add(location_tokens(box));
}

void add(const std::vector<Question>& questions, Hash& hash) {
  for (const Question& q : questions) {
    hash.add(q.prompt);
    hash.add(q.answer);
  }
}

struct Expected {
  Split split;
  std::uint64_t truths, questions, pictures;  // of its first 100 scenes; 20 pictures
};
std::ostream& operator<<(std::ostream& out, const Expected& e) { return out << int(e.split); }

class Stream : public testing::TestWithParam<Expected> {};

TEST_P(Stream, TellsTheSameTruths) {
  Hash hash;
  for (std::uint64_t i = 0; i < 100; ++i) add(truth_of(random_scene(GetParam().split, i)), hash);
  EXPECT_EQ(hash.value(), GetParam().truths) << std::hex << "0x" << hash.value();
}

TEST_P(Stream, AsksTheSameQuestions) {
  const Split split = GetParam().split;
  Hash hash;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Truth truth = truth_of(random_scene(split, i));
    Random random(scene_seed(split, i) ^ (std::uint64_t{1} << 61));  // as scene_examples does
    add(training_questions(truth, 4, random), hash);
    add(evaluation_questions(truth, split, i), hash);
  }
  EXPECT_EQ(hash.value(), GetParam().questions) << std::hex << "0x" << hash.value();
}

TEST_P(Stream, ShowsTheSamePictures) {
  Hash hash;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const RgbImage image = render(random_scene(GetParam().split, i));
    const auto x = image.view();
    for (Index k = 0; k < x.count(); ++k) hash.add(x.data()[k]);
  }
  EXPECT_EQ(hash.value(), GetParam().pictures) << std::hex << "0x" << hash.value();
}

INSTANTIATE_TEST_SUITE_P(
    Splits, Stream,
    testing::Values(
        Expected{Split::train, 0xa35fc793d91ed0fe, 0x6e252a03cb476387, 0x86c187b06303b400},
        Expected{Split::validation, 0x66b84b4a43bf2f17, 0x56f0065f63cfa0e3, 0xf6caf4915411dff9},
        Expected{Split::test, 0x4cd014d90bc6366f, 0xb3ab41e2447c51df, 0x8fb1b42376dba181},
        Expected{Split::held_out, 0x12fba733cdf5fbbb, 0xe288bdfdefdd533f, 0x9f8fe59a882dfc54}));

}  // namespace
}  // namespace paligemma::world
