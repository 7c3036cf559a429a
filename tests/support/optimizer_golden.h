// What torch and optax make of a few steps: tests/golden/make_optimizer_golden.py.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tensor/buffer.h"
#include "tests/support/compare.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

inline nlohmann::json optimizer_golden() {
  return nlohmann::json::parse(std::ifstream(source_dir() + "/tests/golden/optimizers.json"));
}

inline Buffer<float, 2> matrix_of(const nlohmann::json& numbers, const nlohmann::json& shape) {
  Buffer<float, 2> matrix({shape[0].get<Index>(), shape[1].get<Index>()});
  const auto all = numbers.get<std::vector<float>>();
  std::copy(all.begin(), all.end(), matrix.view().data());
  return matrix;
}

// step(g, state, w, number) with two matrices of zeros as the state, for every case of this optimizer; the numbers of w
// are of the size of 1.
template <class Step>
void expect_steps_of(const std::string& optimizer, Tolerance tolerance, const Step& step) {
  const nlohmann::json all = optimizer_golden();  // a temporary would be gone when the loop begins
  for (const auto& golden : all.at(optimizer)) {
    const auto& shape = golden.at("shape");
    SCOPED_TRACE(shape.dump());
    auto w = matrix_of(golden.at("before"), shape);
    Buffer<float, 2> m(w.view().shape()), v(w.view().shape());
    for (std::size_t i = 0; i < golden.at("gradients").size(); ++i) {
      const auto g = matrix_of(golden.at("gradients")[i], shape);
      step(g.view(), m.view(), v.view(), w.view(), static_cast<Index>(i) + 1);
      EXPECT_TRUE(close(w.view(), matrix_of(golden.at("weights")[i], shape).view(), tolerance))
          << "step " << i + 1;
    }
  }
}

}  // namespace paligemma::test
