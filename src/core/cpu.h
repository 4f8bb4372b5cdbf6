// What the CPU and its operating system can do, and the instruction sets that are told apart by it.
#pragma once

#include <cstdint>

namespace mnv2 {

/// A set of features.
struct CpuFeatures {
  std::uint32_t bits = 0;

  constexpr bool has(CpuFeatures needed) const { return (bits & needed.bits) == needed.bits; }
  friend constexpr CpuFeatures operator|(CpuFeatures a, CpuFeatures b) { return {a.bits | b.bits}; }
};

inline constexpr CpuFeatures kAvx2Fma{1u << 0};      // AVX2 and FMA
inline constexpr CpuFeatures kAvx512Basic{1u << 1};  // AVX-512 F, BW, DQ and VL
inline constexpr CpuFeatures kNeon{1u << 2};
/// Adds in units that do not multiply: of those with AVX-512, AMD's (Software Optimization Guide for the AMD Zen5
/// Microarchitecture, publication 58455).
inline constexpr CpuFeatures kSpareAdders{1u << 3};
inline constexpr CpuFeatures kAvx512Bf16{1u << 4};
inline constexpr CpuFeatures kAvx512Vnni{1u << 5};
inline constexpr CpuFeatures kAvxVnni{1u << 6};  // the same of 32 bytes, in VEX encoding

/// Those of this machine. Registers that the operating system does not save do not count.
CpuFeatures cpu_features();

}  // namespace mnv2
