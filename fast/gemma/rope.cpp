#include "fast/gemma/rope.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "fast/core/rows.h"

namespace paligemma {
namespace {

// cos and sin of position t times frequency j, for H / 2 frequencies and as many positions as have been
// asked for.
class Turns {
 public:
  Turns(float theta, Index H) : half_(H / 2) {
    for (Index j = 0; j < half_; ++j) {
      const double exponent = -2.0 * static_cast<double>(j) / static_cast<double>(H);
      frequency_.push_back(static_cast<float>(std::pow(static_cast<double>(theta), exponent)));
    }
  }
  Turns extended(Index positions) const {
    Turns longer = *this;
    longer.cos_.reserve(static_cast<std::size_t>(positions * half_));
    longer.sin_.reserve(static_cast<std::size_t>(positions * half_));
    for (Index t = longer.positions(); t < positions; ++t) {
      for (const float frequency : frequency_) {
        const float angle = static_cast<float>(t) * frequency;
        longer.cos_.push_back(std::cos(angle));
        longer.sin_.push_back(std::sin(angle));
      }
    }
    return longer;
  }
  Index positions() const { return half_ == 0 ? 0 : static_cast<Index>(cos_.size()) / half_; }
  const float* cos(Index t) const { return cos_.data() + t * half_; }
  const float* sin(Index t) const { return sin_.data() + t * half_; }

 private:
  Index half_;
  std::vector<float> frequency_, cos_, sin_;
};

std::shared_ptr<const Turns> turns(float theta, Index H, Index positions) {
  static std::mutex mutex;
  static std::map<std::pair<float, Index>, std::shared_ptr<const Turns>> tables;
  const std::lock_guard lock(mutex);
  auto& table = tables[{theta, H}];
  if (table == nullptr) table = std::make_shared<const Turns>(theta, H);
  if (table->positions() < positions) {  // twice as many, so that decoding seldom comes here
    table =
        std::make_shared<const Turns>(table->extended(std::max(positions, 2 * table->positions())));
  }
  return table;
}

}  // namespace

void rope(Fast, Index first_position, float theta, View<float, 3> x) {
  const Index T = x.size(0), N = x.size(1), H = x.size(2), half = H / 2;
  PG_CHECK(H % 2 == 0, "x " + shape_text(x) + ": the head size must be even");
  PG_CHECK(first_position >= 0, "position " + std::to_string(first_position));
  PG_CHECK(x.stride()[2] == 1, "the numbers of a head must be contiguous");
  if (H == 0) return;
  const auto table = turns(theta, H, first_position + T);
#pragma omp parallel for if (T * N * H > kWorthAThread)
  for (Index t = 0; t < T; ++t) {
    const float *const cos = table->cos(first_position + t), *const sin =
                                                                 table->sin(first_position + t);
    for (Index n = 0; n < N; ++n) {
      float* const lower = &x(t, n, 0);
      float* const upper = lower + half;
      const auto turn = [](auto& a, auto& b, auto c, auto s) {
        const auto turned = a * c - b * s;
        b = b * c + a * s;
        a = turned;
      };
      for_row(
          half,
          [&](Index j) {
            Lanes a = load<Lanes>(lower + j), b = load<Lanes>(upper + j);
            turn(a, b, load<Lanes>(cos + j), load<Lanes>(sin + j));
            store(lower + j, a);
            store(upper + j, b);
          },
          [&](Index j) { turn(lower[j], upper[j], cos[j], sin[j]); });
    }
  }
}

}  // namespace paligemma
