// The list of instruction sets is that of this architecture, and the others are refused by name.
#include <algorithm>
#include <string>
#include <vector>

#include "mnv2/error.h"
#include "mnv2/isa.h"
#include "support/catch.h"

using namespace mnv2;

namespace {

#if defined(__x86_64__)
const std::vector<Isa> kOwn{Isa::portable, Isa::avx2, Isa::avx512, Isa::avx512_zen};
const std::string kForeign = "neon", kOwnNames = "portable, avx2, avx512, avx512-zen";
#elif defined(__aarch64__)
const std::vector<Isa> kOwn{Isa::portable, Isa::neon};
const std::string kForeign = "avx2", kOwnNames = "portable, neon";
#else
const std::vector<Isa> kOwn{Isa::portable};
const std::string kForeign = "neon", kOwnNames = "portable";
#endif

std::string refusal(const std::string& name) {
  try {
    parse_isa(name);
  } catch (const Error& e) {
    return e.code() == ErrorCode::unsupported_isa ? e.what() : "another code";
  }
  return "no error";
}

}  // namespace

TEST_CASE("instruction sets: those of this architecture, portable first, and the best of them") {
  CHECK(compiled_isas() == kOwn);
  const std::vector<Isa> supported = supported_isas();
  REQUIRE(!supported.empty());
  CHECK(supported.front() == Isa::portable);
  CHECK(std::count(supported.begin(), supported.end(), best_isa()) == 1);
  for (const Isa isa : supported) {
    CHECK(std::count(kOwn.begin(), kOwn.end(), isa) == 1);
    CHECK(parse_isa(isa_name(isa)) == isa);
  }
#if defined(__aarch64__)
  CHECK(best_isa() == Isa::neon);
#elif defined(__x86_64__)
  // Of the two for AVX-512 it is the maker of the CPU that decides.
  if (supported.back() != Isa::avx512_zen)
    CHECK(best_isa() == supported.back());
  else
    CHECK(best_isa() == (__builtin_cpu_is("amd") ? Isa::avx512_zen : Isa::avx512));
#endif
}

TEST_CASE("instruction sets: a refusal says whether the name, the build or the machine is at fault") {
  CHECK(refusal(kForeign) == "instruction set '" + kForeign + "': not in this build, which has " + kOwnNames);
  CHECK(refusal("sse9") == "instruction set 'sse9': unknown, expected one of " + kOwnNames);
  CHECK(refusal("") == "instruction set '': unknown, expected one of " + kOwnNames);
  const std::vector<Isa> supported = supported_isas();
  for (const Isa isa : compiled_isas()) {
    if (std::count(supported.begin(), supported.end(), isa) != 0) continue;
    const std::string name(isa_name(isa));
    CHECK(refusal(name).find("instruction set '" + name + "': this machine cannot run it, only portable") ==
          0);
  }
}
