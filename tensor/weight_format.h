// WeightFormat: how weights are kept in memory, which is what --dtype means. What a file says of its
// numbers is a DType (tensor/safetensors.h): it knows integers, and no blocks.
#pragma once

#include <optional>
#include <string_view>

#include "tensor/numbers.h"
#include "tensor/quantized_linear.h"

namespace paligemma {

enum class WeightFormat { f32, bf16, f16, int8_blocks, int4_blocks };

constexpr std::string_view name_of(WeightFormat format) {
  switch (format) {
    case WeightFormat::f32:
      return "f32";
    case WeightFormat::bf16:
      return "bf16";
    case WeightFormat::f16:
      return "f16";
    case WeightFormat::int8_blocks:
      return "int8";
    case WeightFormat::int4_blocks:
      break;
  }
  return "int4";
}

// Nothing if no format has this name. PyTorch's names mean the same.
constexpr std::optional<WeightFormat> weight_format_named(std::string_view name) {
  if (name == "float32" || name == "float" || name == "fp32") return WeightFormat::f32;
  if (name == "bfloat16") return WeightFormat::bf16;
  if (name == "float16" || name == "half" || name == "fp16") return WeightFormat::f16;
  for (const WeightFormat format : {WeightFormat::f32, WeightFormat::bf16, WeightFormat::f16,
                                    WeightFormat::int8_blocks, WeightFormat::int4_blocks}) {
    if (name_of(format) == name) return format;
  }
  return std::nullopt;
}

constexpr bool is_quantized(WeightFormat format) {
  return format == WeightFormat::int8_blocks || format == WeightFormat::int4_blocks;
}

// The format whose numbers, or blocks, are of this type.
template <class Real>
inline constexpr WeightFormat kFormatOf = WeightFormat::f32;
template <>
inline constexpr WeightFormat kFormatOf<bf16> = WeightFormat::bf16;
template <>
inline constexpr WeightFormat kFormatOf<f16> = WeightFormat::f16;
template <>
inline constexpr WeightFormat kFormatOf<Int8Block> = WeightFormat::int8_blocks;
template <>
inline constexpr WeightFormat kFormatOf<Int4Block> = WeightFormat::int4_blocks;

// Calls `run` with a number, or a block, of the format.
template <class Run>
auto with_format(WeightFormat format, const Run& run) {
  switch (format) {
    case WeightFormat::bf16:
      return run(bf16{});
    case WeightFormat::f16:
      return run(f16{});
    case WeightFormat::int8_blocks:
      return run(Int8Block{});
    case WeightFormat::int4_blocks:
      return run(Int4Block{});
    case WeightFormat::f32:
      break;
  }
  return run(0.0f);
}

}  // namespace paligemma
