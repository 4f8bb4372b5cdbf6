#include "mnv2/isa.h"

#include <algorithm>
#include <array>
#include <string>

#include "mnv2/error.h"

namespace mnv2 {
namespace {

#if defined(__x86_64__)
constexpr std::array kCompiled{Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_zen};
#elif defined(__aarch64__)
constexpr std::array kCompiled{Isa::portable, Isa::neon};
#else
constexpr std::array kCompiled{Isa::portable};
#endif

bool cpu_supports(Isa isa) {
  switch (isa) {
    case Isa::portable: return true;
#if defined(__x86_64__)
    // The compiler's runtime checks XGETBV too: the operating system must save the wider registers.
    case Isa::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Isa::avx512:
    case Isa::avx512_zen:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#elif defined(__aarch64__)
    case Isa::neon: return true;  // part of the baseline
#endif
    default: return false;
  }
}

/// Whether the CPU adds in units that do not multiply: of those with AVX-512, AMD's (Software Optimization Guide for
/// the AMD Zen5 Microarchitecture, publication 58455).
bool adds_beside_multiplying() {
#if defined(__x86_64__)
  return __builtin_cpu_is("amd");
#else
  return false;
#endif
}

std::string join_names(const std::vector<Isa>& isas) {
  std::string names;
  for (const Isa isa : isas) names.append(names.empty() ? "" : ", ").append(isa_name(isa));
  return names;
}

}  // namespace

std::string_view isa_name(Isa isa) noexcept {
  switch (isa) {
    case Isa::portable: return "portable";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::avx512_zen: return "avx512-zen";
    case Isa::neon: return "neon";
  }
  return "unknown";
}

std::vector<Isa> compiled_isas() { return {kCompiled.begin(), kCompiled.end()}; }

std::vector<Isa> supported_isas() {
  std::vector<Isa> supported;
  for (const Isa isa : kCompiled)
    if (cpu_supports(isa)) supported.push_back(isa);
  return supported;
}

Isa best_isa() {
  Isa best = Isa::portable;
  for (const Isa isa : supported_isas())
    if (isa != Isa::avx512_zen || adds_beside_multiplying()) best = isa;
  return best;
}

Isa parse_isa(std::string_view name) {
  const auto unsupported = [&](const std::string& why, const std::vector<Isa>& expected) {
    return Error(ErrorCode::unsupported_isa,
                 "instruction set '" + std::string(name) + "': " + why + " " + join_names(expected));
  };
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512, Isa::neon, Isa::avx512_zen}) {
    if (isa_name(isa) != name) continue;
    if (std::find(kCompiled.begin(), kCompiled.end(), isa) == kCompiled.end())
      throw unsupported("not in this build, which has", compiled_isas());
    if (!cpu_supports(isa)) throw unsupported("this machine cannot run it, only", supported_isas());
    return isa;
  }
  throw unsupported("unknown, expected one of", compiled_isas());
}

}  // namespace mnv2
