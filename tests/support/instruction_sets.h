// Tests of fast versions run once for each instruction set that this machine has, and once each for AVX-512 and
// AMX as written out in C++ (fast/core/products.h, fast/core/amx.h), which every machine has.
#pragma once

#include <gtest/gtest.h>

#include "fast/core/fast.h"
#include "fast/core/kernels.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {

extern const Kernels kEmulatedAvx512Kernels;  // tests/fast/emulated_avx512.cpp
extern const Kernels kEmulatedAmxKernels;     // tests/fast/emulated_amx.cpp

namespace test {

// The kernels of that name; none if this processor does not have them.
inline const Kernels* kernels_named(std::string_view name) {
  for (const Kernels* kernels : {&kEmulatedAvx512Kernels, &kEmulatedAmxKernels}) {
    if (kernels->name == name) return kernels;
  }
  for (const Kernels* kernels : available_kernels()) {
    if (kernels->name == name) return kernels;
  }
  return nullptr;
}

inline constexpr int kThreads = 2;

class OnEveryInstructionSet : public ::testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    if (kernels_named(GetParam()) == nullptr) GTEST_SKIP() << "this processor does not have it";
  }

  const Fast fast{{.kernels = kernels_named(GetParam()), .threads = kThreads}};

  // Whether products with bf16 weights round the other factor to bf16 too.
  bool rounds_to_bf16() const { return fast.kernels().products.starts_with("bf16"); }
};

inline const auto kInstructionSets = ::testing::Values("portable", "avx2", "avx512", "avx512_bf16",
                                                       "amx", "emulated_avx512", "emulated_amx");
inline std::string instruction_set_name(const ::testing::TestParamInfo<std::string_view>& info) {
  return std::string(info.param);
}

}  // namespace test
}  // namespace paligemma
