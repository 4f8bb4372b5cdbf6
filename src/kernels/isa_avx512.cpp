// All kernels, compiled for one instruction set. Everything but the table stays in anonymous namespaces, so that no
// code made with these compiler flags can replace code that other CPUs run.
#include "kernels/simd_avx512.h"

#include "kernels/isa_tables.h"
#include "kernels/pairs-inl.h"
#include "kernels/table-inl.h"

namespace {

constexpr mnv2::kernels::KernelTable make_zen_table() {
  mnv2::kernels::KernelTable table = make_table(mnv2::Isa::avx512_zen);
  table.pointwise_pairs = pointwise_pairs;
  table.pair_products = pair_products;
  return table;
}

}  // namespace

namespace mnv2::kernels {

constinit const KernelTable kAvx512Kernels = make_table(Isa::avx512);
constinit const KernelTable kAvx512ZenKernels = make_zen_table();

}  // namespace mnv2::kernels
