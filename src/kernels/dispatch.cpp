#include <algorithm>
#include <string>

#include "kernels/contracts.h"
#include "kernels/isa_tables.h"
#include "mnv2/error.h"

namespace mnv2::kernels {
namespace {

const KernelTable* const kTables[] = {
    &kPortableKernels,
#if defined(__x86_64__)
    &kAvx2Kernels,
    &kAvx512Kernels,
    &kAvx512ZenKernels,
#elif defined(__aarch64__)
    &kNeonKernels,
#endif
};

}  // namespace

const KernelTable& kernel_table(Isa isa) {
  const std::vector<Isa> supported = supported_isas();
  if (std::find(supported.begin(), supported.end(), isa) != supported.end())
    for (const KernelTable* const table : kTables)
      if (table->isa == isa) return *table;
  throw Error(ErrorCode::unsupported_isa,
              "instruction set '" + std::string(isa_name(isa)) + "' cannot run here");
}

}  // namespace mnv2::kernels
