// All kernels, compiled for one instruction set. Everything but the table stays in anonymous namespaces, so that no
// code made with these compiler flags can replace code that other CPUs run.
#include "kernels/simd_portable.h"

#include "kernels/isa_tables.h"
#include "kernels/table-inl.h"

namespace mnv2::kernels {

constinit const KernelTable kPortableKernels = make_table(Isa::portable, Precision::float32, kFormats);

}  // namespace mnv2::kernels
