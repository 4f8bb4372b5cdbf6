// Instruction sets: which kernels this build has, and which of them this machine can run.
#pragma once

#include <string_view>
#include <vector>

#include "mnv2/export.h"

namespace mnv2 {

/// An instruction set that the kernels are compiled for, or another set of kernels for the same instructions.
enum class Isa {
  portable,    ///< The compiler's baseline for the target; runs everywhere.
  avx2,        ///< x86-64 with AVX2 and FMA.
  avx512,      ///< x86-64 with AVX-512 F, BW, DQ and VL.
  neon,        ///< aarch64, where every CPU has it.
  avx512_zen,  ///< As avx512, for CPUs whose adders work beside their multipliers: AMD's Zen 4 and later.
};

/// The name used by `--isa` and `MNV2_ISA`: "portable", "avx2", "avx512", "avx512-zen", "neon". Of a literal, which
/// ends with NUL.
MNV2_API std::string_view isa_name(Isa isa) noexcept;

/// All instruction sets compiled into this library, the portable one first.
MNV2_API std::vector<Isa> compiled_isas();

/// Those of `compiled_isas()` that this CPU and its operating system can run; never empty.
MNV2_API std::vector<Isa> supported_isas();

/// The fastest of `supported_isas()` on this CPU: not always the last.
MNV2_API Isa best_isa();

/// The instruction set called `name`.
/// @throws Error{unsupported_isa} for an unknown name, or one that this machine or this build cannot run.
MNV2_API Isa parse_isa(std::string_view name);

}  // namespace mnv2
