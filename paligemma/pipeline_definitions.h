// The members of Pipeline, for the files that instantiate it: one for each executor.
#pragma once

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <utility>

#include "paligemma/answer_memory.h"
#include "paligemma/pipeline.h"
#include "paligemma/reply_writer.h"
#include "tensor/errors.h"

namespace paligemma {

// What does not depend on who executes.
namespace pipeline_parts {

using Clock = std::chrono::steady_clock;
double milliseconds_since(Clock::time_point start);

Config configured(const PipelineOptions& options);
std::optional<MaskDecoder> found_mask_decoder(const PipelineOptions& options);

}  // namespace pipeline_parts

template <class On>
Pipeline<On>::Files::Files(const PipelineOptions& options)
    : config(pipeline_parts::configured(options)),
      tokenizer(options.tokenizer.value_or(checkpoint_folder(options.model)), config.image_token,
                static_cast<TokenId>(config.text.vocabulary)),
      checkpoint(options.model, config),
      mask_decoder(pipeline_parts::found_mask_decoder(options)) {
  if (config.end_tokens.empty()) config.end_tokens.insert(tokenizer.eos());
}

template <class On>
Pipeline<On>::Pipeline(On on, const PipelineOptions& options)
    : memory_(std::make_shared<AnswerMemory<On>>()) {
  const auto files = std::make_shared<Files>(options);
  files_ = files;
  Checkpoint& checkpoint = files->checkpoint;
  const Config& config = files->config;
  with_format(options.dtype.value_or(checkpoint.format()), [&]<class Real>(Real) {
    if constexpr (Quantized<Real> && !kQuantized) {
      throw std::runtime_error("quantised weights are for the CPU alone: give --device cpu");
    } else {
      auto placed = place_weights<Real>(on, checkpoint, config, options.on_load);
      model_ = ModelOf<Real>{std::move(on),
                             config.vision,
                             config.text,
                             config.image_token,
                             std::move(placed.weights),
                             std::move(placed.memory)};
    }
  });
}

template <class On>
Pipeline<On> Pipeline<On>::with(On on) const requires std::copyable<On> {
  Pipeline other = *this;
  std::visit([&](auto& model) { model.on = std::move(on); }, other.model_);
  other.memory_ = std::make_shared<AnswerMemory<On>>();
  return other;
}

template <class On>
WeightFormat Pipeline<On>::dtype() const {
  return static_cast<WeightFormat>(model_.index());
}

template <class On>
auto Pipeline<On>::encode(View<const std::uint8_t, 3> image, const TapListener& listener) const
    -> Picture {
  using namespace pipeline_parts;
  const auto start = Clock::now();
  const Buffer<float, 3> pixels = vision_pixels(config(), image);
  const double preprocess_ms = milliseconds_since(start);
  Picture picture = encode_pixels(pixels.view(), listener);
  picture.preprocess_ms = preprocess_ms;
  return picture;
}

template <class On>
auto Pipeline<On>::encode_pixels(View<const float, 3> pixels, const TapListener& listener) const
    -> Picture {
  using namespace pipeline_parts;
  const Index R = config().vision.image_size;
  PG_CHECK((pixels.shape() == std::array<Index, 3>{R, R, 3} && pixels.is_row_major()),
           "pixels " + shape_text(pixels) + ", pictures have a side of " + std::to_string(R));
  const auto start = Clock::now();
  return std::visit(
      [&](const auto& model) {
        BufferOn<On, float, 3> there({R, R, 3}, unwritten);
        copy_from_host(model.on, pixels, there.view());
        auto rows = with_tap(model.on, listener, [&](const auto& tap) {
          return encode_image(model, there.view(), memory_->encoder_scratch(model.vision), tap);
        });
        wait_for(model.on);
        return Picture{std::move(rows), 0, milliseconds_since(start)};
      },
      model_);
}

template <class On>
auto Pipeline<On>::together(std::span<const Picture* const> pictures) const -> Picture {
  const Index L = config().vision.patches(), P = static_cast<Index>(pictures.size());
  Picture all{BufferOn<On, float, 2>({P * L, config().text.width}, unwritten), 0, 0};
  std::visit(
      [&](const auto& model) {
        for (Index i = 0; i < P; ++i) {
          const Picture& picture = *pictures[static_cast<std::size_t>(i)];
          copy(model.on, picture.rows.view(), all.rows.view().rows(i * L, (i + 1) * L));
          all.preprocess_ms += picture.preprocess_ms;
          all.encode_ms += picture.encode_ms;
        }
        wait_for(model.on);
      },
      model_);
  return all;
}

template <class On>
std::pair<Reply, GenerateOptions> Pipeline<On>::begun(const Picture& picture,
                                                      std::string_view prompt,
                                                      const ReplyOptions& options) const {
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

  Reply first = written(picture, reply, how, options, listener);
  ReplyOptions unheard = options;
  unheard.on_text = {};
  for (Index i = 1; i < options.answers; ++i) {
    ++how.sampler.seed;
    first.others.push_back(written(picture, reply, how, unheard, {}));
  }
  return first;
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

template <class On>
void Pipeline<On>::generate_all(Index at_once, const NextRequest& next) const {
  const auto is_alone = [](const ReplyOptions& options) {
    return options.beams.beams > 1 || options.lookup > 0 || options.answers > 1;
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
