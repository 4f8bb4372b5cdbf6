#include "core/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <string>

#include "mnv2/error.h"
#include "mnv2/isa.h"

namespace mnv2 {
namespace {

#if defined(__x86_64__)
constexpr bool kX86 = true, kAarch64 = false;
#elif defined(__aarch64__)
constexpr bool kX86 = false, kAarch64 = true;
#else
constexpr bool kX86 = false, kAarch64 = false;
#endif

/// An instruction set, or another set of kernels for the same instructions.
struct IsaRow {
  Isa isa;
  std::string_view name;
  bool compiled;           // into this build
  CpuFeatures needs = {};  // to run
  CpuFeatures suits = {};  // to be the best: which is the last of those that run and suit
};

constexpr IsaRow kIsas[] = {
    {Isa::portable, "portable", true},
    {Isa::avx2, "avx2", kX86, kAvx2Fma},
    {Isa::avx512, "avx512", kX86, kAvx2Fma | kAvx512Basic},
    {Isa::avx512_zen, "avx512-zen", kX86, kAvx2Fma | kAvx512Basic, kSpareAdders},
    {Isa::neon, "neon", kAarch64, kNeon},
};

/// The instruction sets of which `accept` is true, in the table's order.
template <typename Accept>
std::vector<Isa> select(const Accept& accept) {
  std::vector<Isa> isas;
  for (const IsaRow& row : kIsas)
    if (accept(row)) isas.push_back(row.isa);
  return isas;
}

std::string join_names(const std::vector<Isa>& isas) {
  std::string names;
  for (const Isa isa : isas) names.append(names.empty() ? "" : ", ").append(isa_name(isa));
  return names;
}

}  // namespace

CpuFeatures cpu_features() {
  CpuFeatures features;
#if defined(__x86_64__)
  // The compiler's runtime checks XGETBV too: the operating system must save the wider registers.
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) features = features | kAvx2Fma;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    features = features | kAvx512Basic;
  if (__builtin_cpu_is("amd")) features = features | kSpareAdders;
  // Not all compilers know these names. Intel's manual, volume 2, CPUID, leaf 7.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && features.has(kAvx512Basic) &&
      (ecx >> 11 & 1) != 0)
    features = features | kAvx512Vnni;
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
    if (features.has(kAvx2Fma) && (eax >> 4 & 1) != 0) features = features | kAvxVnni;
    if (features.has(kAvx512Basic) && (eax >> 5 & 1) != 0) features = features | kAvx512Bf16;
  }
#elif defined(__aarch64__)
  features = kNeon;  // part of the baseline
#endif
  return features;
}

std::string_view isa_name(Isa isa) noexcept {
  for (const IsaRow& row : kIsas)
    if (row.isa == isa) return row.name;
  return "unknown";
}

std::vector<Isa> compiled_isas() {
  return select([](const IsaRow& row) { return row.compiled; });
}

std::vector<Isa> supported_isas() {
  const CpuFeatures cpu = cpu_features();
  return select([&](const IsaRow& row) { return row.compiled && cpu.has(row.needs); });
}

Isa best_isa() {
  const CpuFeatures cpu = cpu_features();
  return select([&](const IsaRow& row) { return row.compiled && cpu.has(row.needs | row.suits); }).back();
}

Isa parse_isa(std::string_view name) {
  const auto unsupported = [&](const std::string& why, const std::vector<Isa>& expected) {
    return Error(ErrorCode::unsupported_isa,
                 "instruction set '" + std::string(name) + "': " + why + " " + join_names(expected));
  };
  const auto row =
      std::find_if(std::begin(kIsas), std::end(kIsas), [&](const IsaRow& r) { return r.name == name; });
  if (row == std::end(kIsas)) throw unsupported("unknown, expected one of", compiled_isas());
  if (!row->compiled) throw unsupported("not in this build, which has", compiled_isas());
  if (!cpu_features().has(row->needs))
    throw unsupported("this machine cannot run it, only", supported_isas());
  return row->isa;
}

}  // namespace mnv2
