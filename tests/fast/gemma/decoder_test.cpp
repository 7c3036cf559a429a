#include "gemma/decoder.h"

#include "fast/paligemma/model.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/sequences.h"

namespace paligemma {
namespace {

using namespace test;

class FastDecoder : public OnEveryInstructionSet {};
INSTANTIATE_TEST_SUITE_P(, FastDecoder, kInstructionSets, instruction_set_name);

TEST_P(FastDecoder, TakesSeveralSequencesAtOnce) {
  for (const auto& shape : {small_gemma1(), small_gemma2()}) {
    const RandomDecoder<float> decoder(shape);
    expect_sequences_as_defined(fast, decoder.weights, decoder);
  }
}

}  // namespace
}  // namespace paligemma
