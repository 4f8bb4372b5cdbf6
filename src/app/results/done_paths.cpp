#include "app/results/done_paths.h"

#include <algorithm>

namespace mnv2::app {

// FNV-1a with 128 bits (RFC 9923): nobody gains by making paths collide, and it is three lines.
DonePaths::Hash DonePaths::hash(std::string_view path) {
  __extension__ using Wide = unsigned __int128;
  constexpr Wide kPrime = (Wide{1} << 88) + 0x13b;
  Wide state = Wide{0x6c62272e07bb0142} << 64 | 0x62b821756295c58d;
  for (const char c : path) state = (state ^ static_cast<unsigned char>(c)) * kPrime;
  return {static_cast<std::uint64_t>(state >> 64), static_cast<std::uint64_t>(state)};
}

void DonePaths::add(std::string_view path) { hashes_.push_back(hash(path)); }

void DonePaths::seal() {
  std::sort(hashes_.begin(), hashes_.end());
  std::size_t unique = 0;
  for (const Hash& value : hashes_) {
    if (unique > 0 && hashes_[unique - 1] == value) {
      ++counts_.back();
    } else {
      hashes_[unique++] = value;
      counts_.push_back(1);
    }
  }
  hashes_.resize(unique);
}

bool DonePaths::take(std::string_view path) {
  const Hash value = hash(path);
  const auto found = std::lower_bound(hashes_.begin(), hashes_.end(), value);
  if (found == hashes_.end() || *found != value) return false;
  std::uint32_t& count = counts_[static_cast<std::size_t>(found - hashes_.begin())];
  if (count == 0) return false;
  --count;
  return true;
}

}  // namespace mnv2::app
