// All golden outputs of tests/golden/zeta/, by the fast executor. Weights are float, so nothing is rounded but
// sums, and the tolerances are those of the reference.
#include "fast/zeta/palme.h"

#include "tests/support/zeta_golden.h"

namespace paligemma {
namespace {

using namespace test;

class FastPalmE : public ::testing::TestWithParam<std::string> {};

TEST_P(FastPalmE, EveryOutputIsWithinItsTolerance) {
  static const Fast fast({.threads = 2});
  expect_golden(fast, GetParam());
}

INSTANTIATE_TEST_SUITE_P(, FastPalmE, ::testing::ValuesIn(zeta_case_names()), name_of_case);

}  // namespace
}  // namespace paligemma
