// How exactly a network is computed: what its large products are made of.
#pragma once

#include <array>
#include <string_view>

#include "mnv2/export.h"
#include "mnv2/isa.h"

namespace mnv2 {

/// The type of the factors in the products of pointwise and fully connected layers. Sums, biases and depthwise filters are
/// float32 in all of them.
enum class Precision {
  float32,   ///< PyTorch's digits.
  bfloat16,  ///< Weights and inputs rounded to bfloat16, those of the stem and what is filtered too.
  /// Weights in 8 bits by output channel, inputs in 8 bits by pixel; sums of integers, which are exact. The outputs are
  /// the same bits on every instruction set.
  int8,
};

/// All of them.
inline constexpr std::array kPrecisions{Precision::float32, Precision::bfloat16, Precision::int8};

/// "float32", "bfloat16" or "int8". Of a literal, which ends with NUL.
MNV2_API std::string_view precision_name(Precision precision) noexcept;

/// The quickest precision with these kernels on this CPU, of those that give float32's answer for 99 of 100 photos.
/// @throws Error{unsupported_isa}
MNV2_API Precision fast_precision(Isa isa);

/// The precision of that name. @throws Error{invalid_argument} for one that there is not.
MNV2_API Precision parse_precision(std::string_view name);

}  // namespace mnv2
