// All kernels, compiled for one instruction set. Everything but the table stays in anonymous namespaces, so that no
// code made with these compiler flags can replace code that other CPUs run.
#include "kernels/simd_avx512.h"

#include "kernels/f32/pairs-inl.h"
#include "kernels/isa_tables.h"
#include "kernels/low/dots_avx512-inl.h"
#include "kernels/table-inl.h"

namespace {

/// Pairs first: this CPU has adders that have nothing else to do.
constexpr mnv2::kernels::PanelFormat kZenFormats[] = {kF32PairsFormat, kF32HalvesFormat, kF32Format,
                                                      kBf16DotsFormat, kBf16Format,      kInt8DotsFormat,
                                                      kInt8Format};

/// Intel's CPUs multiply bfloat16s at half the rate of float32.
constexpr mnv2::kernels::PanelFormat kAvx512Formats[] = {kF32HalvesFormat, kF32Format, kBf16Format,
                                                         kInt8DotsFormat, kInt8Format};

}  // namespace

namespace mnv2::kernels {

constinit const KernelTable kAvx512Kernels = make_table(Isa::avx512, Precision::int8, kAvx512Formats);
constinit const KernelTable kAvx512ZenKernels = make_table(Isa::avx512_zen, Precision::int8, kZenFormats);

}  // namespace mnv2::kernels
