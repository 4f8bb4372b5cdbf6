// What kernel tests share: random and extreme numbers, buffers with guards, comparison with a rigorous error bound.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/contracts.h"
#include "mnv2/isa.h"
#include "support/catch.h"

namespace mnv2::test {

/// Floats that a kernel writes: NaN until written, between guards that must stay as they are. The start is aligned to
/// a float only, not to a vector.
class GuardedOutput {
 public:
  explicit GuardedOutput(std::size_t size) : memory_(size + 2 * kGuard, kGuardValue), size_(size) {
    std::fill_n(memory_.begin() + kGuard, size, std::numeric_limits<float>::quiet_NaN());
  }
  float* data() { return memory_.data() + kGuard; }
  const float* data() const { return memory_.data() + kGuard; }
  std::size_t size() const { return size_; }
  bool guards_intact() const {
    for (std::size_t i = 0; i < kGuard; ++i)
      if (memory_[i] != kGuardValue || memory_[kGuard + size_ + i] != kGuardValue) return false;
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 67;
  static constexpr float kGuardValue = -12345.5f;
  std::vector<float> memory_;
  std::size_t size_;
};

enum class Values {
  ordinary,  // normal, around 1
  extreme,   // from 1e-20 to 1e15, both signs, some zeros
};

class RandomFloats {
 public:
  explicit RandomFloats(std::uint32_t seed) : engine_(seed) {}
  float operator()(Values values = Values::ordinary) {
    if (values == Values::ordinary) return std::normal_distribution<float>()(engine_);
    const int pick = std::uniform_int_distribution<int>(0, 9)(engine_);
    if (pick == 0) return 0.0f;
    const float magnitude = std::pow(10.0f, std::uniform_real_distribution<float>(-20.0f, 15.0f)(engine_));
    return pick % 2 ? magnitude : -magnitude;
  }
  std::vector<float> vector(std::size_t size, Values values = Values::ordinary) {
    std::vector<float> v(size);
    for (float& x : v) x = (*this)(values);
    return v;
  }
  int integer(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }

 private:
  std::mt19937 engine_;
};

/// A sum in double precision, and how far off a float sum of the same terms may be in any order: each of its n
/// roundings is at most half an ulp of a partial sum, which the sum of magnitudes bounds.
struct ReferenceSum {
  double sum = 0;
  double magnitude = 0;
  int terms = 0;

  void add(double term) {
    sum += term;
    magnitude += std::abs(term);
    ++terms;
  }
  /// The same sum passes through another term on the way: added, and taken away again.
  void pass(double term) {
    magnitude += std::abs(term);
    ++terms;
  }
  double tolerance() const {
    return (2 * terms + 2) * 0x1p-24 * magnitude + std::numeric_limits<float>::min();
  }
  /// Whether `found` is this sum, clamped, and then `residual` added.
  bool matches(float found, float clamp_min, float clamp_max, float residual = 0) const {
    const double low = std::min<double>(std::max<double>(sum - tolerance(), clamp_min), clamp_max) + residual;
    const double high =
        std::min<double>(std::max<double>(sum + tolerance(), clamp_min), clamp_max) + residual;
    return found >= low - 1e-6 * std::abs(low) && found <= high + 1e-6 * std::abs(high);
  }
};

constexpr std::ptrdiff_t kFloat = sizeof(float);  // bytes

/// Kernels take bytes.
inline const std::byte* as_bytes(const float* p) { return reinterpret_cast<const std::byte*>(p); }
inline std::byte* as_bytes(float* p) { return reinterpret_cast<std::byte*>(p); }

inline int divide_up(int a, int b) { return (a + b - 1) / b; }

/// Calls `test` with the kernels of each instruction set of this machine, and says which were left out.
template <typename Test>
void for_each_isa(Test test) {
  for (const Isa isa : compiled_isas()) {
    const std::vector<Isa> supported = supported_isas();
    if (std::find(supported.begin(), supported.end(), isa) == supported.end()) {
      WARN("skipped: this machine cannot run " << std::string(isa_name(isa)));
      continue;
    }
    const kernels::KernelTable& table = kernels::kernel_table(isa);
    INFO("isa " << std::string(isa_name(isa)));
    REQUIRE(table.isa == isa);
    test(table);
  }
}

}  // namespace mnv2::test
