#include "siglip/pooling.h"

#include "fast/paligemma/model.h"
#include "fast/paligemma/pipeline.h"
#include "tests/support/embedding_golden.h"
#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

class FastPooling : public OnEveryInstructionSet {};
INSTANTIATE_TEST_SUITE_P(, FastPooling, kInstructionSets, instruction_set_name);

TEST_P(FastPooling, IsAsKerasHubHasIt) { embeds_as_keras_hub_does(fast); }
TEST_P(FastPooling, IsAsTransformersHasIt) { embeds_as_transformers_does(fast); }

}  // namespace
}  // namespace paligemma
