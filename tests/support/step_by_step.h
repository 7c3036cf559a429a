// Two executors compared between any two taps. From end to end they are not comparable where both round:
// a sum that differs in its last bit is rounded to the other side now and then, that number differs by
// a whole step, and whatever is rounded behind it differs too. Some blocks later they are as far apart as if
// only one of them had rounded. Between two taps little of that happens.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>

#include "tests/support/golden.h"

namespace paligemma::test {

// A TapListener: compares what it hears with what another executor had there, and lets the one that is heard
// go on with the other's numbers. Errors are roots of mean squares, as parts of the other's.
class StepByStep {
 public:
  // How far a step may be off in which several numbers went to the other side: half of what rounding all
  // of them once makes, which is about 1e-3 in bf16 and 4e-3 in 8 bits.
  static constexpr double kInBf16 = 0x1p-11, kIn8Bits = 0x1p-9;
  explicit StepByStep(double most) : most_(most) {}

  // `other` may not go before the last tap is heard.
  void compare_with(const RecordedTaps& other) { other_ = &other; }

  void operator()(const std::string& name, std::span<const float> numbers, std::span<const Index>) {
    const auto& others = other_->at(name).numbers;
    ASSERT_EQ(numbers.size(), others.size()) << name;
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      difference += std::pow(static_cast<double>(numbers[i]) - others[i], 2);
      size += std::pow(static_cast<double>(others[i]), 2);
    }
    const double error = std::sqrt(difference / size);
    EXPECT_LE(error, most_) << name;
    double& least = least_.try_emplace(kind_of(name), error).first->second;
    least = std::min(least, error);

    // A listener is shown the model's own memory.
    std::copy(others.begin(), others.end(), const_cast<float*>(numbers.data()));
  }

  // Of the same step in all blocks, and of all that was compared, one at least had nothing on the other
  // side: what is left there are sums in another order, and the last bits of exp and tanh.
  void expect_each_step_exact_once() const {
    constexpr double kSums = 2e-6;
    EXPECT_GT(least_.size(), 10u);
    for (const auto& [kind, error] : least_) EXPECT_LE(error, kSums) << kind;
  }

 private:
  static std::string kind_of(std::string name) {
    std::erase_if(name, [](char c) { return '0' <= c && c <= '9'; });
    return name;
  }

  double most_;
  const RecordedTaps* other_ = nullptr;
  std::map<std::string, double> least_;  // by the name without the block
};

}  // namespace paligemma::test
