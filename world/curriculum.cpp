#include "world/curriculum.h"

#include <algorithm>
#include <array>

namespace paligemma::world {
namespace {

constexpr std::array<Family, 5> kAnswers = {Family::color, Family::shape, Family::count,
                                            Family::existence, Family::relation};

// Asks, again if chance has picked what cannot be asked here; false if nothing came of it.
struct Questioner {
  const Truth& truth;
  bool about_held_out;
  Random random;
  std::vector<Question> asked = {};

  bool ask(Family family) {
    constexpr int kTries = 8;
    for (int i = 0; i < kTries; ++i) {
      if (const auto made = question(truth, family, about_held_out, random)) {
        asked.push_back(*made);
        return true;
      }
    }
    return false;
  }
};

}  // namespace

std::vector<Question> training_questions(const Truth& truth, int count, Random& random, bool hard) {
  std::vector<Question> asked;
  constexpr int kTries = 40;
  for (int i = 0; i < kTries && static_cast<int>(asked.size()) < count; ++i) {
    const double ocr = truth.writing ? 0.35 : 0.03, relation = hard ? 0.3 : 0.1;
    const auto family =
        Family{random.weighted({0.18, 0.09, 0.09, 0.08, 0.08, relation, 0.22, 0.12, ocr})};
    const auto made = question(truth, family, false, random);
    const bool easy = family == Family::detect && made->prompt.find(" ; ") == std::string::npos;
    if (hard && easy && random.chance(0.7)) continue;
    const auto same = [&](const Question& other) { return other.prompt == made->prompt; };
    if (made && std::none_of(asked.begin(), asked.end(), same)) asked.push_back(*made);
  }
  return asked;
}

std::vector<Question> evaluation_questions(const Truth& truth, Split split, std::uint64_t index) {
  Questioner questioner = {truth, split == Split::held_out,
                           Random(scene_seed(split, index) ^ (std::uint64_t{1} << 60))};
  questioner.ask(Family::caption);
  for (std::size_t i = 0; i < kAnswers.size(); ++i) {
    if (questioner.ask(kAnswers[(index + i) % kAnswers.size()])) break;
  }
  questioner.ask(Family::detect);
  questioner.ask(Family::segment);
  if (truth.writing) questioner.ask(Family::ocr);
  return questioner.asked;
}

std::vector<Question> all_questions(const Truth& truth, std::uint64_t index) {
  Questioner questioner = {truth, false, Random(index ^ (std::uint64_t{1} << 62))};
  questioner.ask(Family::caption);
  for (const Family family : kAnswers) questioner.ask(family);
  questioner.ask(Family::detect);
  if (truth.writing) questioner.ask(Family::ocr);
  return questioner.asked;
}

}  // namespace paligemma::world
