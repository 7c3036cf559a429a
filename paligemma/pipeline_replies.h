// The members of Pipeline that answer, for the files that instantiate it (paligemma/pipeline_definitions.h).
#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "paligemma/answer_memory.h"
#include "paligemma/pipeline.h"
#include "paligemma/reply_writer.h"
#include "tensor/errors.h"

namespace paligemma {

template <class On>
std::pair<Reply, GenerateOptions> Pipeline<On>::begun(const Picture& picture,
                                                      std::string_view prompt,
                                                      const ReplyOptions& options) const {
  if (config().retrieval_width > 0) {
    throw ModelFileError(
        files_->model.string() +
        ": a ColPali, which makes vectors of pages and queries and answers nothing");
  }
  const auto rows = picture.rows.view();
  const Index L = config().vision.patches(), pictures = rows.size(0) / L;
  PG_CHECK(rows.size(0) == pictures * L && pictures > 0 && rows.size(1) == config().text.width,
           "image rows " + shape_text(rows) + " of another model, here [" + std::to_string(L) +
               ", " + std::to_string(config().text.width) + "]");
  Prompt made = make_prompt(tokenizer(), prompt, static_cast<int>(L), static_cast<int>(pictures));
  Reply reply;
  reply.prompt = std::move(made.ids);
  reply.note = std::move(made.note);

  const auto T = static_cast<Index>(reply.prompt.size());
  const Index room = config().text.max_positions - T;
  constexpr Index kDefaultTokens = 100;
  if (room < 1 || options.max_tokens.value_or(1) > room) {
    throw PromptError("the prompt's " + std::to_string(T) + " tokens and an answer of " +
                      std::to_string(options.max_tokens.value_or(1)) + " exceed the model's " +
                      std::to_string(config().text.max_positions) + " positions");
  }
  return {std::move(reply),
          {options.max_tokens.value_or(std::min(room, kDefaultTokens)), config().end_tokens,
           options.sampler, options.rules, options.likeliest}};
}

template <class On>
Reply Pipeline<On>::generate(const Picture& picture, std::string_view prompt,
                             const ReplyOptions& options, const TapListener& listener) const {
  auto [reply, how] = begun(picture, prompt, options);
  if (options.beams.beams > 1) return searched(picture, std::move(reply), how, options, listener);
  if (options.answers > 1) return drawn(picture, reply, how, options, listener);
  return written(picture, std::move(reply), how, options, listener);
}

// One answer.
template <class On>
Reply Pipeline<On>::written(const Picture& picture, Reply reply, const GenerateOptions& how,
                            const ReplyOptions& options, const TapListener& listener) const {
  const std::vector<TokenId> prompt = reply.prompt;
  ReplyWriter writing(tokenizer(), std::move(reply), how, options);
  const auto on_token = [&](const GeneratedToken& token) { return writing.add(token); };
  const auto T = static_cast<Index>(prompt.size());
  std::visit(
      [&](const auto& model) {
        with_tap(model.on, listener, [&](const auto& tap) {
          if (options.contrast.alpha > 0) {
            Session<On> session(model.text, T, T + how.max_tokens, options.contrast.k);
            return contrastive_search(model, picture.rows.view(), prompt, session, how,
                                      options.contrast, on_token, tap);
          }
          if (options.lookup > 0) {
            Session<On> session(model.text, T, T + how.max_tokens, options.lookup + 1);
            return generate_by_lookup(model, picture.rows.view(), prompt, session, how,
                                      options.lookup, on_token, tap);
          }
          auto session = memory_->take_session(model.text, T, T + how.max_tokens);
          auto tokens =
              paligemma::generate(model, picture.rows.view(), prompt, *session, how, on_token, tap);
          memory_->give_back(std::move(session));
          return tokens;
        });
      },
      model_);
  return writing.finish();
}

// Several answers, each with the seed behind the one before.
template <class On>
Reply Pipeline<On>::drawn(const Picture& picture, const Reply& reply, GenerateOptions how,
                          const ReplyOptions& options, const TapListener& listener) const {
  constexpr Index kAtOnce = 16;
  std::vector<Reply> all(static_cast<std::size_t>(options.answers));
  ReplyOptions mine = options;
  std::visit(
      [&]<class W>(const Model<On, W>& model) {
        with_tap(model.on, listener, [&](const auto& tap) {
          using ABatch = Batch<On, W, decltype(picture.rows.view())>;
          ABatch batch(model, kAtOnce);
          for (std::size_t i = 0; i < all.size();) {
            std::vector<typename ABatch::Request> requests;
            const bool is_first = i == 0;
            for (; i < all.size() && requests.size() < std::size_t{kAtOnce}; ++i) {
              const auto writing = std::make_shared<ReplyWriter>(tokenizer(), reply, how, mine);
              requests.push_back(
                  {picture.rows.view(), reply.prompt, how,
                   [writing](const GeneratedToken& token) { return writing->add(token); },
                   [writing, &one = all[i]] { one = writing->finish(); }});
              ++how.sampler.seed;
              mine.on_text = {};
            }
            if (is_first) {
              batch.begin(std::move(requests), tap);
            } else {
              batch.begin(std::move(requests));
            }
            while (batch.size() > 0) batch.step();
          }
        });
      },
      model_);
  all[0].others.assign(std::make_move_iterator(all.begin() + 1),
                       std::make_move_iterator(all.end()));
  return std::move(all[0]);
}

template <class On>
void Pipeline<On>::generate_all(Index at_once, const NextRequest& next) const {
  const auto is_alone = [](const ReplyOptions& options) {
    return options.beams.beams > 1 || options.contrast.alpha > 0 || options.lookup > 0 ||
           options.answers > 1;
  };
  const auto answer = [&](auto& batch, const Request& request) {
    try {
      if (is_alone(request.options)) {
        request.on_reply(generate(*request.picture, request.prompt, request.options));
        return;
      }
      auto [reply, how] = begun(*request.picture, request.prompt, request.options);
      std::vector<TokenId> prompt = reply.prompt;
      const auto writing =
          std::make_shared<ReplyWriter>(tokenizer(), std::move(reply), how, request.options);
      batch.begin({request.picture->rows.view(), std::move(prompt), how,
                   [writing](const GeneratedToken& token) { return writing->add(token); },
                   [writing, on_reply = request.on_reply] { on_reply(writing->finish()); }});
    } catch (const PromptError& error) {
      request.on_error(error);
    }
  };
  std::visit(
      [&]<class W>(const Model<On, W>& model) {
        Batch<On, W, decltype(std::declval<const Picture&>().rows.view())> batch(model, at_once);
        for (bool is_over = false; !is_over || batch.size() > 0; batch.step()) {
          while (!is_over && batch.size() < at_once) {
            const bool waits = batch.size() == 0;
            const std::optional<Request> request = next(waits);
            is_over = !request && waits;
            if (!request) break;
            answer(batch, *request);
          }
        }
      },
      model_);
}

// The best answers that beams find.
template <class On>
Reply Pipeline<On>::searched(const Picture& picture, Reply reply, const GenerateOptions& how,
                             const ReplyOptions& options, const TapListener& listener) const {
  BeamSearchOptions search{options.beams, how.max_tokens, how.end_tokens, how.rules, {},
                           how.likeliest};
  if (!options.stop.empty()) {
    search.stops = [&](std::span<const TokenId> ids) {
      return has_one_of(tokenizer().decode({ids.begin(), ids.end()}), options.stop);
    };
  }
  const auto T = static_cast<Index>(reply.prompt.size());
  auto found = std::visit(
      [&](const auto& model) {
        return with_tap(model.on, listener, [&](const auto& tap) {
          Session<On> session(model.text, T, T + how.max_tokens, options.beams.beams);
          return beam_search(model, picture.rows.view(), reply.prompt, session, search, tap);
        });
      },
      model_);
  if (static_cast<Index>(found.size()) > options.answers) found.resize(options.answers);

  std::vector<Reply> all;
  ReplyOptions unheard = options;
  unheard.on_text = {};
  for (const BeamAnswer& answer : found) {
    ReplyWriter writing(tokenizer(), reply, how, unheard);
    for (const GeneratedToken& token : answer.tokens) writing.add(token);
    all.push_back(writing.finish());
    all.back().score = answer.score;
  }
  Reply best = std::move(all.front());
  best.others.assign(std::make_move_iterator(all.begin() + 1), std::make_move_iterator(all.end()));
  if (options.on_text) options.on_text(best.text);
  return best;
}

}  // namespace paligemma
