#include "app/inputs/shard.h"

#include "app/base/numbers.h"

namespace mnv2::app {
namespace {

constexpr std::uint64_t kMaxShards = 1'000'000'000;

using Variables = std::function<std::string(const char*)>;

std::uint64_t slurm_number(const Variables& variable, const char* name) {
  const std::string text = variable(name);
  if (text.empty())
    throw UsageError(std::string("--shard slurm: $") + name +
                     " is not set; it is in tasks of an array job (sbatch --array=1-N)");
  return parse_number<std::uint64_t>(std::string("--shard slurm: $") + name, text, 0, kMaxShards);
}

/// Slurm numbers an array's tasks from any minimum in any steps, or as a list of numbers. Of the list's tasks
/// nothing tells which of them this one is.
Shard slurm_shard(const Variables& variable) {
  const std::uint64_t id = slurm_number(variable, "SLURM_ARRAY_TASK_ID");
  const std::uint64_t count = slurm_number(variable, "SLURM_ARRAY_TASK_COUNT");
  // Slurm itself sets both; who sets only the task and the count, in a container, numbers from 1.
  const bool has_range =
      !variable("SLURM_ARRAY_TASK_MIN").empty() || !variable("SLURM_ARRAY_TASK_MAX").empty();
  const std::uint64_t min = has_range ? slurm_number(variable, "SLURM_ARRAY_TASK_MIN") : 1;
  const std::uint64_t max = has_range ? slurm_number(variable, "SLURM_ARRAY_TASK_MAX") : count;
  const bool is_range = count > 0 && min <= id && id <= max && (count == 1) == (min == max);
  const std::uint64_t step = is_range && count > 1 ? (max - min) / (count - 1) : 1;
  if (!is_range || max - min != step * (count - 1) || (id - min) % step != 0) {
    throw UsageError("--shard slurm: the array's " + std::to_string(count) + " tasks from " +
                     std::to_string(min) + " to " + std::to_string(max) + " and task " + std::to_string(id) +
                     " are no range; for a list of tasks name the shard, as --shard I/N");
  }
  return {.index = (id - min) / step + 1, .count = count};
}

}  // namespace

bool Shard::has(std::string_view path) const { return path_hash(path) % count == index - 1; }

std::uint64_t path_hash(std::string_view path) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : path) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53;
  hash ^= hash >> 33;
  return hash;
}

Shard parse_shard(const std::string& text, const Variables& variable) {
  if (text == "slurm") return slurm_shard(variable);
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos)
    throw UsageError("--shard: '" + text + "' is neither I/N, as 1/8, nor slurm");
  const auto count = parse_number<std::uint64_t>("--shard", text.substr(slash + 1), 1, kMaxShards);
  return {.index = parse_number<std::uint64_t>("--shard", text.substr(0, slash), 1, count), .count = count};
}

std::optional<Input> ShardFilter::next() {
  while (std::optional<Input> input = all_->next())
    if (shard_.has(input->path)) return input;
  return std::nullopt;
}

}  // namespace mnv2::app
