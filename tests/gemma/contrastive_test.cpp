#include "gemma/contrastive.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gemma/likeliest_tokens.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;

Contrastive after(float alpha, const Buffer<float, 2>& seen) {
  Contrastive text(alpha, seen.view().size(1));
  for (Index t = 0; t < seen.view().size(0); ++t) text.see(seen.view().row(t));
  return text;
}

// docs/gemma/contrastive.md, "By hand".
TEST(Contrastive, WorkedExample) {
  const auto seen = rows_of({{1, 0}, {0, 2}});
  const auto candidates = rows_of({{0, 3}, {-1, -1}, {1, 1}});
  const std::vector<float> p{0.6f, 0.1f, 0.3f};
  EXPECT_EQ(after(0.3f, seen).best(p, candidates.view()), 1);
  EXPECT_EQ(after(0.2f, seen).best(p, candidates.view()), 0);
}

TEST(Contrastive, WithoutAPenaltyTheLikeliestIsTaken) {
  const auto seen = random<float, 2>({5, 3}, 1), candidates = random<float, 2>({4, 3}, 2);
  const std::vector<float> p{0.1f, 0.2f, 0.4f, 0.3f};
  EXPECT_EQ(after(0, seen).best(p, candidates.view()), 2);
}

// The likeness is the largest one, whichever token has it, and it may be below 0.
TEST(Contrastive, LikenessIsThatOfTheMostSimilarToken) {
  const std::vector<float> even{0.5f, 0.5f};
  const auto candidates = rows_of({{1, 0}, {0, 1}});
  EXPECT_EQ(after(1, rows_of({{1, 0}, {-1, -9}})).best(even, candidates.view()), 1);
  EXPECT_EQ(after(1, rows_of({{-1, -9}, {1, 0}})).best(even, candidates.view()), 1);
  EXPECT_EQ(after(1, rows_of({{-1, -0.5}})).best(even, candidates.view()), 0);
}

TEST(Contrastive, LengthsDoNotMatter) {
  const std::vector<float> p{0.5f, 0.4f};
  const auto seen = rows_of({{300, 0}}), candidates = rows_of({{0.25, 0.25}, {0, 40}});
  EXPECT_EQ(after(0.5f, seen).best(p, candidates.view()), 1);  // 0.25 - 0.354 beside 0.2 - 0
}

TEST(Contrastive, OfEqualsTheFirstIsTaken) {
  const std::vector<float> p{0.2f, 0.4f, 0.4f};
  const auto candidates = rows_of({{1, 0}, {1, 0}, {1, 0}});
  EXPECT_EQ(after(0.5f, rows_of({{0, 1}})).best(p, candidates.view()), 1);
  EXPECT_EQ(Contrastive(1, 2).best(p, candidates.view()), 0) << "nothing before: all are like -1";
}

TEST(Contrastive, ZerosAreLikeNothing) {
  const std::vector<float> even{0.5f, 0.5f};
  const auto candidates = rows_of({{1, 1}, {0, 0}});
  EXPECT_EQ(after(1, rows_of({{1, 0}, {0, 0}})).best(even, candidates.view()), 1);
  const auto away = rows_of({{-1, 1}, {0, 0}});
  EXPECT_EQ(after(1, rows_of({{1, 0}})).best(even, away.view()), 0) << "not even unlike it";
}

// keras_hub 0.32.0's sampler by a table: tests/golden/README.md.
TEST(Contrastive, IsKerasHubs) {
  const auto table =
      nlohmann::json::parse(std::ifstream(source_dir() + "/tests/golden/contrastive.json"));
  const auto numbers = [&](const char* name, Index row) {
    return table[name][static_cast<std::size_t>(row)].get<std::vector<float>>();
  };
  const auto hidden = [&](TokenId id, Index place) {
    auto row = numbers("of_tokens", id);
    const auto more = numbers("of_places", place);
    for (std::size_t d = 0; d < row.size(); ++d) row[d] += more[d];
    return row;
  };
  for (const auto& given : table["cases"]) {
    std::vector<TokenId> ids = table["prompt"];
    const auto begun = std::ssize(ids);
    const Index D = std::ssize(hidden(0, 0));
    Contrastive text(given["alpha"], D);
    for (Index t = 0; t < begun; ++t) {
      const auto row = hidden(ids[static_cast<std::size_t>(t)], t);
      text.see(View<const float, 1>(row.data(), {D}));
    }
    while (std::ssize(ids) < begun + std::ssize(given["ids"])) {
      const auto logits = numbers("logits", ids.back());
      const auto candidates =
          likeliest_tokens(View<const float, 1>(logits.data(), {std::ssize(logits)}), given["k"]);
      std::vector<float> p;
      Buffer<float, 2> states({std::ssize(candidates), D});
      for (Index i = 0; i < std::ssize(candidates); ++i) {
        const Choice& candidate = candidates[static_cast<std::size_t>(i)];
        p.push_back(std::exp(candidate.log_probability));
        const auto row = hidden(candidate.id, std::ssize(ids));
        std::copy(row.begin(), row.end(), states.view().row(i).data());
      }
      const Index best = text.best(p, std::as_const(states).view());
      text.see(std::as_const(states).view().row(best));
      ids.push_back(candidates[static_cast<std::size_t>(best)].id);
    }
    ids.erase(ids.begin(), ids.begin() + begun);
    EXPECT_EQ(ids, given["ids"]) << given;
  }
}

TEST(Contrastive, RejectsWhatMakesNoSense) {
  EXPECT_THROW(Contrastive(-0.1f, 2), ContractError);
  EXPECT_THROW(Contrastive(1.1f, 2), ContractError);
  EXPECT_THROW(Contrastive(NAN, 2), ContractError);
  EXPECT_THROW(Contrastive(0.5f, 0), ContractError);
  Contrastive text(0.5f, 2);
  const auto three = rows_of({{1, 2, 3}}), two = rows_of({{1, 2}});
  EXPECT_THROW(text.see(three.view().row(0)), ContractError);
  const std::vector<float> p{0.5f};
  EXPECT_THROW(text.best(p, three.view()), ContractError);
  EXPECT_THROW(text.best({}, two.view().rows(0, 0)), ContractError);
  EXPECT_EQ(text.best(p, two.view()), 0);
}

}  // namespace
}  // namespace paligemma
