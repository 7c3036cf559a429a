// Tests of fast versions run once for each instruction set that this machine has.
#pragma once

#include <gtest/gtest.h>

#include "fast/core/processor.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma::test {

class OnEveryInstructionSet : public ::testing::TestWithParam<InstructionSet> {
 protected:
  void SetUp() override {
    if (!use_instruction_set(GetParam())) GTEST_SKIP() << "this processor does not have it";
  }
  void TearDown() override { use_instruction_set(before_); }

 private:
  InstructionSet before_ = instruction_set();
};

inline const auto kInstructionSets =
    ::testing::Values(InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512);
inline std::string instruction_set_name(const ::testing::TestParamInfo<InstructionSet>& info) {
  return std::string(name_of(info.param));
}

}  // namespace paligemma::test
