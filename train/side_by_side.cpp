#include "train/side_by_side.h"

#include <algorithm>
#include <exception>
#include <numeric>

namespace paligemma {
namespace {

// Calls of(i) for all i below count, each in a thread of its own. What one throws is thrown behind all.
template <class Of>
void for_each_thread(Index count, const Of& of) {
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(count));
#pragma omp parallel for num_threads(static_cast <int>(count)) schedule(static, 1)
  for (Index i = 0; i < count; ++i) {
    try {
      of(i);
    } catch (...) {
      thrown[static_cast<std::size_t>(i)] = std::current_exception();
    }
  }
  for (const std::exception_ptr& one : thrown) {
    if (one) std::rethrow_exception(one);
  }
}

// The part's pictures, of which `shown` becomes places.
void take_pictures(const TrainingBatch& batch, TrainingBatch& part) {
  std::vector<Index> pictures = part.shown;
  std::ranges::sort(pictures);
  pictures.erase(std::unique(pictures.begin(), pictures.end()), pictures.end());
  auto size = batch.pixels.view().shape();
  size[0] = std::ssize(pictures);
  part.pixels = Buffer<float, 4>(size, unwritten);
  for (Index i = 0; i < size[0]; ++i) {
    const auto from = batch.pixels.view().row(pictures[static_cast<std::size_t>(i)]);
    std::copy_n(from.data(), from.count(), part.pixels.view().row(i).data());
  }
  for (Index& picture : part.shown) {
    picture = std::ranges::lower_bound(pictures, picture) - pictures.begin();
  }
}

}  // namespace

std::vector<TrainingBatch> split(const TrainingBatch& batch, Index parts, Index image_tokens,
                                 TokenId image_token) {
  PG_CHECK(!batch.dense, "a dense head's batch is one");
  std::vector<TrainingBatch> all;
  const auto R = std::ssize(batch.ids);
  Index row = 0, last_part = -1;
  std::size_t picture = 0, next = 0;
  for (const gemma::Segment& segment : batch.segments) {
    const Index end = row + segment.T, number = (row + end) * parts / (2 * R);  // by its middle
    if (number != last_part) all.emplace_back().first_row = batch.first_row + row;
    last_part = number;
    TrainingBatch& part = all.back();
    const Index first = part.first_row - batch.first_row;
    part.ids.insert(part.ids.end(), batch.ids.begin() + row, batch.ids.begin() + end);
    part.segments.push_back(segment);
    const Index tokens = std::count(batch.ids.begin() + row, batch.ids.begin() + end, image_token);
    for (Index i = 0; i < tokens / image_tokens; ++i, ++picture) {
      part.shown.push_back(batch.shown.empty() ? static_cast<Index>(picture)
                                               : batch.shown[picture]);
    }
    for (; next < batch.next.rows.size() && batch.next.rows[next] < end; ++next) {
      PG_CHECK(batch.next.rows[next] >= row, "rows in another order than sequences");
      part.next.rows.push_back(batch.next.rows[next] - first);
      part.next.targets.push_back(batch.next.targets[next]);
      part.next.weights.push_back(batch.next.weights[next]);
    }
    row = end;
  }
  for (TrainingBatch& part : all) {
    part.next.scale = batch.next.scale;
    part.number = batch.number;
    take_pictures(batch, part);
  }
  return all;
}

SideBySide::SideBySide(Index count, const Config& config, Parameters& parameters,
                       const LearnerOptions& options, const Make& make)
    : image_tokens_(config.vision.patches()),
      image_token_(config.image_token),
      parameters_(parameters) {
  PG_CHECK(count > 0, "no learners");
  for (Index i = 1; i < count; ++i) sums_.push_back(parameters.sums());
  learners_.push_back(make(options));
  for (GradientSums& sums : sums_) {
    LearnerOptions its = options;
    its.sums = &sums;
    learners_.push_back(make(its));
  }
}

std::vector<TrainingBatch> SideBySide::parts_of(const TrainingBatch& batch) const {
  return split(batch, std::ssize(learners_), image_tokens_, image_token_);
}

double SideBySide::learn(const TrainingBatch& batch) {
  if (batch.dense) return learners_.front()->learn(batch);
  return learn_all(parts_of(batch));
}

// Learner i learns batches i, i + N, i + 2 N, ...
double SideBySide::learn_all(std::span<const TrainingBatch> batches) {
  const Index N = std::min(std::ssize(learners_), std::ssize(batches));
  if (N == 1 && N < std::ssize(learners_) && batches[0].segments.size() > 1)
    return learn(batches[0]);
  std::vector<double> losses(batches.size());
  for_each_thread(N, [&](Index learner) {
    for (Index i = learner; i < std::ssize(batches); i += N) {
      losses[static_cast<std::size_t>(i)] =
          learners_[static_cast<std::size_t>(learner)]->learn(batches[static_cast<std::size_t>(i)]);
    }
  });
  for (Index i = 0; i + 1 < N; ++i) parameters_.add(sums_[static_cast<std::size_t>(i)]);
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

double SideBySide::loss(const TrainingBatch& batch) {
  const std::vector<TrainingBatch> parts = parts_of(batch);
  std::vector<double> losses(parts.size());
  for_each_thread(std::ssize(parts), [&](Index i) {
    const auto place = static_cast<std::size_t>(i);
    losses[place] = learners_[place]->loss(parts[place]);
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace paligemma
