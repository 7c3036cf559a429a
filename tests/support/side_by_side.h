// Answers that grow side by side, beside each alone.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "paligemma/pipeline.h"
#include "tests/support/tiny_model.h"

namespace paligemma::test {

// The default model's prompts about these scenes, up to eight at once, answered by so many tokens. A row may be
// computed in another order than alone: where that moves logits by up to `logit_error`, only tokens closer than twice
// that may differ. Returns how many answers do.
template <class On>
int only_close_answers_differ(const Pipeline<On>& pipeline, const std::vector<int>& scenes,
                              Index max_tokens, double logit_error) {
  using Picture = typename Pipeline<On>::Picture;
  using Request = typename Pipeline<On>::Request;
  const ReplyOptions how{.max_tokens = max_tokens, .likeliest = 2};
  std::vector<std::pair<std::shared_ptr<const Picture>, std::string>> asked;
  for (const int scene : scenes) {
    const auto picture =
        std::make_shared<const Picture>(pipeline.encode(scene_picture(scene).view()));
    for (const Exchange& exchange : exchanges().at(scene))
      asked.emplace_back(picture, exchange.prompt);
  }
  std::vector<Reply> replies(asked.size());
  std::size_t next = 0;
  pipeline.generate_all(8, [&](bool) -> std::optional<Request> {
    if (next == asked.size()) return std::nullopt;
    const std::size_t i = next++;
    return Request{asked[i].first, asked[i].second, how,
                   [&replies, i](Reply reply) { replies[i] = std::move(reply); },
                   [](const PromptError& error) { ADD_FAILURE() << error.what(); }};
  });

  int differing = 0;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto& [picture, prompt] = asked[i];
    const auto alone = pipeline.generate(*picture, prompt, how).tokens, here = replies[i].tokens;
    EXPECT_FALSE(here.empty()) << prompt;
    for (std::size_t t = 0; t < std::min(alone.size(), here.size()); ++t) {
      if (alone[t].id == here[t].id) continue;
      const auto& top = alone[t].likeliest;
      const double lead = top[0].log_probability - top[1].log_probability;
      EXPECT_LE(lead, 2 * logit_error) << prompt << ", token " << t;
      std::printf("[ close ] %s: token %zu differs, lead %.4f\n", prompt.c_str(), t, lead);
      ++differing;
      break;
    }
  }
  return differing;
}

}  // namespace paligemma::test
