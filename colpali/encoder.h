// A page's picture, or what is asked, to rows that the host holds, whoever executes.
//
// Read next: colpali/prompt.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "colpali/model.h"
#include "colpali/prompt.h"
#include "paligemma/pipeline.h"
#include "tensor/errors.h"

namespace paligemma::colpali {

// How a model wants to be asked, as far as its configuration tells: transformers' as it asks, colpali-engine's as its
// last models were trained.
inline const PromptForm& usual_form(const Config& config) {
  return config.retrieval_width_is_open ? kQuery : kQuestion;
}

// f(model, memory, tap) with the ids checked, as rows on the host. Throws ModelFileError or PromptError.
template <class On, class Encode>
Buffer<float, 2> encoded(const Pipeline<On>& pipeline, const std::vector<TokenId>& ids,
                         const TapListener& listener, const Encode& encode) {
  if (pipeline.config().retrieval_width == 0) {
    throw ModelFileError(
        "the model is no ColPali: it has no projection (tensor embedding_proj_layer.weight or "
        "custom_text_proj.weight)");
  }
  const Index room = pipeline.config().text.max_positions;
  if (std::ssize(ids) > room) {
    throw PromptError("the prompt's " + std::to_string(ids.size()) + " tokens exceed the model's " +
                      std::to_string(room) + " positions");
  }
  return pipeline.with_model([&](const auto& model, AnswerMemory<On>& memory) {
    return with_tap(model.on, listener, [&](const auto& tap) -> Buffer<float, 2> {
      auto rows = encode(model, memory, tap);
      if constexpr (OnHost<On>) {
        return rows;
      } else {
        return to_host(model.on, rows.view());
      }
    });
  });
}

template <class On>
Buffer<float, 2> page_rows(const Pipeline<On>& pipeline, View<const std::uint8_t, 3> image,
                           const PromptForm& form, const TapListener& listener = {}) {
  const Config& config = pipeline.config();
  const auto ids = page_ids(pipeline.tokenizer(), form, static_cast<int>(config.vision.patches()));
  const Buffer<float, 3> pixels = vision_pixels(config, image);
  return encoded(pipeline, ids, listener, [&](const auto& model, auto& memory, const auto& tap) {
    BufferOn<On, float, 3> there(pixels.view().shape(), unwritten);
    copy_from_host(model.on, pixels.view(), there.view());
    return encode_page(model, std::as_const(there).view(), ids, memory, tap);
  });
}

template <class On>
Buffer<float, 2> query_rows(const Pipeline<On>& pipeline, std::string_view text,
                            const PromptForm& form, const TapListener& listener = {}) {
  const auto ids = query_ids(pipeline.tokenizer(), form, text);
  return encoded(pipeline, ids, listener, [&](const auto& model, auto& memory, const auto& tap) {
    return encode_query(model, ids, memory, tap);
  });
}

}  // namespace paligemma::colpali
