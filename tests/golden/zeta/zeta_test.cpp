// zeta's models in plain loops against what x-transformers computes: README.md beside this file says where the
// archives and their tolerances come from.
#include "tests/support/zeta_golden.h"

namespace paligemma {
namespace {

using namespace test;

class ZetaGolden : public ::testing::TestWithParam<ZetaOutput> {};

TEST_P(ZetaGolden, HoldsWithinItsTolerance) {
  ZetaCase<Reference> of_case(reference, GetParam().of_case);
  expect_golden(of_case, GetParam());
}

INSTANTIATE_TEST_SUITE_P(, ZetaGolden, ::testing::ValuesIn(zeta_outputs()), name_of);

}  // namespace
}  // namespace paligemma
