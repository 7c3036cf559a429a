// PalmE: an encoder of pictures, and a decoder whose every layer looks at the picture's rows.
//
//   rows   = vision(pixels)                                        once per picture
//   keys, values of each cross-attention = linear(rows)            once per picture
//   logits = transformer(ids, looking at them)
//
// PaliGemma puts the picture's rows before the words, as words of their own; here they stand beside, and
// words alone go through the decoder. So the picture costs a layer nothing but its keys and values, and no
// row of it ever sees a word.
//
// Source: zetascale 2.8.8's PalmE, which takes its name from Driess et al. 2023, "PaLM-E": that model
// puts pictures among the words, as PaliGemma does. Taps: img/..., llm/...
//
// Read next: zeta/generate.h.
#pragma once

#include "zeta/transformer.h"
#include "zeta/vision.h"

namespace paligemma::zeta {

template <class W>
struct PalmEWeights {
  VisionWeights<W> vision;
  TransformerWeights<W> text;
};

// What further passes look at. Forgets the words so far.
template <class On, class W, class Pixels, class Tap>
void look_at(const On& on, const PalmEWeights<W>& w, const PalmEShape& shape, const Pixels& pixels,
             VisionScratch<On>& picture, TransformerScratch<On>& text, const Tap& tap) {
  vision(on, w.vision, shape.vision, pixels, picture, tap.in("img"));
  restart(text);
  take_context(on, w.text.layers, shape.text.layers, picture.layers.normed.view(), text.layers);
}

}  // namespace paligemma::zeta
