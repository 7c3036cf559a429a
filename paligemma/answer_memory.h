// What one answer leaves for the next: memory for activations, keys and values, as large as the longest
// so far needed, and so never larger than an answer that fills all of the model's positions. Whoever takes it
// writes before he reads.
//
// Read next: paligemma/pipeline.h.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "paligemma/model.h"

namespace paligemma {

template <class On>
class AnswerMemory {
 public:
  siglip::EncoderScratch<On>& encoder_scratch(const siglip::EncoderShape& shape) {
    if (!encoder_) encoder_ = std::make_unique<siglip::EncoderScratch<On>>(shape);
    return *encoder_;
  }

  // A session for at least such a prefix and capacity. Until it is given back, who takes another one gets
  // another one: an answer's listener may ask for an answer.
  std::unique_ptr<Session<On>> take_session(const gemma::DecoderShape& shape, Index prefix,
                                            Index capacity) {
    if (session_) {
      const Index rows = session_->scratch.x.view().size(0),
                  room = session_->cache.capacity(session_->sequence);
      if (prefix <= rows && capacity <= room) return std::move(session_);
      prefix = std::max(prefix, rows), capacity = std::max(capacity, room);
      session_.reset();  // never both at once
    }
    return std::make_unique<Session<On>>(shape, prefix, capacity);
  }
  void give_back(std::unique_ptr<Session<On>> session) { session_ = std::move(session); }

 private:
  std::unique_ptr<siglip::EncoderScratch<On>> encoder_;
  std::unique_ptr<Session<On>> session_;
};

}  // namespace paligemma
