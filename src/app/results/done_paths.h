// Which inputs have a record from an earlier run: paths counted by their hashes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mnv2::app {

/// A multiset of paths in 20 bytes for each. Two of a billion paths share a 128-bit hash with a chance of
/// 1e-21.
class DonePaths {
 public:
  void add(std::string_view path);

  /// To be called once after the last add().
  void seal();

  /// Takes `path` out once. @return whether it was there
  bool take(std::string_view path);

 private:
  using Hash = std::array<std::uint64_t, 2>;  // high, low

  static Hash hash(std::string_view path);

  std::vector<Hash> hashes_;           // sorted and unique once sealed
  std::vector<std::uint32_t> counts_;  // of each hash
};

}  // namespace mnv2::app
