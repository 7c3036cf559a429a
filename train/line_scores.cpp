#include "train/line_scores.h"

#include <algorithm>
#include <limits>
#include <map>
#include <sstream>
#include <vector>

#include "processing/detections.h"

namespace paligemma {
namespace {

std::map<std::string, Index> words_of(const std::string& text) {
  std::map<std::string, Index> counts;
  std::istringstream words(text);
  for (std::string word; words >> word;) ++counts[word];
  return counts;
}

double word_f1(const std::string& a, const std::string& b) {
  const auto one = words_of(a), other = words_of(b);
  Index common = 0, all = 0;
  for (const auto& [word, count] : one) {
    all += count;
    const auto found = other.find(word);
    if (found != other.end()) common += std::min(count, found->second);
  }
  for (const auto& [word, count] : other) all += count;
  return all == 0 ? 1 : 2 * static_cast<double>(common) / static_cast<double>(all);
}

double intersection_over_union(const Detection& a, const Detection& b) {
  const auto area = [](double top, double left, double bottom, double right) {
    return std::max(0.0, bottom - top) * std::max(0.0, right - left);
  };
  const auto of = [&](const Detection& d) {
    return area(d.bins[0], d.bins[1], d.bins[2], d.bins[3]);
  };
  const double both = area(std::max(a.bins[0], b.bins[0]), std::max(a.bins[1], b.bins[1]),
                           std::min(a.bins[2], b.bins[2]), std::min(a.bins[3], b.bins[3]));
  return both / (of(a) + of(b) - both);
}

struct Pair {
  double overlap;
  std::size_t wanted, found;
};

}  // namespace

double LineScores::Mean::value() const {
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(count);
}

void LineScores::add(const std::string& suffix, const std::string& answer) {
  exact.add(suffix == answer ? 1 : 0);
  f1.add(word_f1(suffix, answer));
  const auto wanted = parse_detections(suffix), found = parse_detections(answer);
  std::vector<Pair> pairs;
  for (std::size_t w = 0; w < wanted.size(); ++w) {
    for (std::size_t f = 0; f < found.size(); ++f) {
      const double iou = intersection_over_union(wanted[w], found[f]);
      if (wanted[w].label == found[f].label && iou > 0) pairs.push_back({iou, w, f});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.overlap > b.overlap; });
  std::vector<double> best(wanted.size(), 0);
  std::vector<bool> is_taken(found.size(), false);
  for (const Pair& pair : pairs) {
    if (best[pair.wanted] > 0 || is_taken[pair.found]) continue;
    best[pair.wanted] = pair.overlap;
    is_taken[pair.found] = true;
  }
  for (const double iou : best) {
    overlap.add(iou);
    recall50.add(iou > 0.5 ? 1 : 0);
  }
}

}  // namespace paligemma
