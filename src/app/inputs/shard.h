// A part of the inputs, so that several runs share the work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "app/inputs/source.h"

namespace mnv2::app {

struct Shard {
  std::uint64_t index = 1;  // from 1 to count
  std::uint64_t count = 1;

  /// Whether this shard has the input with that path. Every path is in exactly one of `count` shards,
  /// whatever other paths there are: shard 1 + path_hash(path) % count.
  bool has(std::string_view path) const;
  bool operator==(const Shard&) const = default;
};

/// FNV-1a with 64 bits over the bytes, then MurmurHash3's finaliser (fmix64), because FNV-1a's low bits alone
/// tell little: its lowest is the parity of the bytes' lowest bits. Part of the interface: never changes.
std::uint64_t path_hash(std::string_view path) noexcept;

/// "I/N", or "slurm" for this task of a Slurm array job.
/// @param variable gives an environment variable, empty when unset.
/// @throws UsageError
Shard parse_shard(const std::string& text, const std::function<std::string(const char*)>& variable);

/// Hands out those inputs of another source that belong to a shard.
class ShardFilter : public InputSource {
 public:
  ShardFilter(std::unique_ptr<InputSource> all, const Shard& shard) : all_(std::move(all)), shard_(shard) {}

  std::optional<Input> next() override;

 private:
  std::unique_ptr<InputSource> all_;
  Shard shard_;
};

}  // namespace mnv2::app
