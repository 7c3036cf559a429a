#include "train/lessons.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "tensor/errors.h"
#include "train/batch.h"

namespace paligemma {
namespace {

std::vector<const Example*> pointers(const std::vector<Example>& examples, std::size_t begin,
                                     std::size_t end) {
  std::vector<const Example*> all;
  for (std::size_t i = begin; i < end; ++i) all.push_back(&examples[i]);
  return all;
}

}  // namespace

LineLessons::LineLessons(const LineOrder& how, Examples& examples, Examples* validation)
    : how_(how),
      examples_(examples),
      validation_(validation),
      order_(examples.count(), how.shuffles, how.seed) {}

// Those whose pictures can be decoded; all of them, unless the others may be passed over.
std::vector<Example> LineLessons::decoded(Examples& from, std::span<const Index> lines) {
  std::vector<Example> all;
  for (const Index line : lines) {
    try {
      all.push_back(from.at(line));
    } catch (const ImageError&) {
      if (!how_.skip_bad) throw;
      ++skipped_;
    }
  }
  return all;
}

std::vector<TrainingBatch> LineLessons::of_step(Index step) {
  const Index at_once = how_.batch * how_.accumulate;
  std::vector<Index> lines;
  for (Index i = 0; i < at_once; ++i) lines.push_back(order_.at((step - 1) * at_once + i));
  const std::vector<Example> examples = decoded(examples_, lines);
  if (examples.empty()) {
    throw ImageError("step " + std::to_string(step) + ": none of its pictures can be decoded");
  }
  const Index tokens = learned_tokens(pointers(examples, 0, examples.size()));
  std::vector<TrainingBatch> batches;
  const auto batch = static_cast<std::size_t>(how_.batch);
  for (std::size_t begin = 0; begin < examples.size(); begin += batch) {
    const auto some = pointers(examples, begin, std::min(begin + batch, examples.size()));
    batches.push_back(make_batch(some, 1 / static_cast<float>(tokens)));
    batches.back().number =
        static_cast<std::uint64_t>((step - 1) * how_.accumulate) + begin / batch;
  }
  return batches;
}

// Some lines at a time.
std::optional<double> LineLessons::validation_loss(Learner& learner) {
  if (validation_ == nullptr) return std::nullopt;
  double sum = 0;
  Index tokens = 0;
  for (Index begin = 0; begin < validation_->count(); begin += how_.batch) {
    const Index end = std::min(begin + how_.batch, validation_->count());
    std::vector<Index> lines(static_cast<std::size_t>(end - begin));
    std::iota(lines.begin(), lines.end(), begin);
    const std::vector<Example> examples = decoded(*validation_, lines);
    if (examples.empty()) continue;
    const auto some = pointers(examples, 0, examples.size());
    sum += learner.loss(make_batch(some, 1));
    tokens += learned_tokens(some);
  }
  if (tokens == 0) throw ImageError("none of the validation's pictures can be decoded");
  return sum / static_cast<double>(tokens);
}

}  // namespace paligemma
