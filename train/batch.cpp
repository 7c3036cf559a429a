#include "train/batch.h"

#include <algorithm>

namespace paligemma {

Index learned_tokens(std::span<const Example* const> examples) {
  Index sum = 0;
  for (const Example* example : examples) sum += example->learned();
  return sum;
}

TrainingBatch make_batch(std::span<const Example* const> examples, float weight) {
  PG_CHECK(!examples.empty(), "a batch has examples");
  auto size = examples.front()->pixels.view().shape();
  size[0] = 0;
  for (const Example* example : examples) size[0] += example->pixels.view().size(0);

  TrainingBatch batch;
  batch.pixels = Buffer<float, 4>(size, unwritten);
  float* pixels = batch.pixels.view().data();
  for (const Example* example : examples) {
    const auto from = example->pixels.view();
    PG_CHECK(from.size(1) == size[1] && from.size(2) == size[2], "pixels " + shape_text(from));
    pixels = std::copy_n(from.data(), from.count(), pixels);

    const auto T = static_cast<Index>(example->ids.size());
    PG_CHECK(0 < example->prefix && example->prefix < T,
             std::to_string(example->prefix) + " of " + std::to_string(T) + " ids are the prefix");
    const auto first = static_cast<Index>(batch.ids.size());
    batch.segments.push_back({SequenceId{}, 0, T, example->prefix});
    batch.ids.insert(batch.ids.end(), example->ids.begin(), example->ids.end());
    for (Index t = example->prefix; t < T; ++t) {
      batch.next.rows.push_back(first + t - 1);
      batch.next.targets.push_back(example->ids[static_cast<std::size_t>(t)]);
      batch.next.weights.push_back(weight);
    }
  }
  return batch;
}

}  // namespace paligemma
