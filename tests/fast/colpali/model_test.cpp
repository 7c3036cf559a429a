#include "colpali/model.h"

#include "fast/paligemma/model.h"
#include "fast/paligemma/pipeline.h"
#include "tests/support/colpali_golden.h"
#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

class FastColpali : public OnEveryInstructionSet {};
INSTANTIATE_TEST_SUITE_P(, FastColpali, kInstructionSets, instruction_set_name);

TEST_P(FastColpali, EncodesAsTheOriginalsDo) {
  for (const char* name : {"hf", "hf_old", "adapter", "merged"}) {
    encodes_as_the_originals_do(fast, name, WeightFormat::f32, kColpaliSums);
  }
}
TEST_P(FastColpali, RoundsNoMoreThanItSays) {
  const double tolerance = rounds_to_bf16() ? kColpaliRoundings : kColpaliSums;
  encodes_as_the_originals_do(fast, "hf", WeightFormat::bf16, tolerance);
}

}  // namespace
}  // namespace paligemma
