#include <string>

#include "kernels/isa_tables.h"
#include "kernels/kernels.h"
#include "mnv2/error.h"

namespace mnv2::kernels {

const KernelTable& kernel_table(Isa isa) {
  for (const Isa supported : supported_isas()) {
    if (supported != isa) continue;
    switch (isa) {
      case Isa::portable: return kPortableKernels;
#if defined(__x86_64__)
      case Isa::avx2: return kAvx2Kernels;
      case Isa::avx512: return kAvx512Kernels;
      case Isa::avx512_zen: return kAvx512ZenKernels;
#elif defined(__aarch64__)
      case Isa::neon: return kNeonKernels;
#endif
      default: break;
    }
  }
  throw Error(ErrorCode::unsupported_isa,
              "instruction set '" + std::string(isa_name(isa)) + "' cannot run here");
}

}  // namespace mnv2::kernels
