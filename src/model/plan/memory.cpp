#include "model/plan/memory.h"

#include <string>

#include "core/buffer.h"
#include "core/rounding.h"
#include "mnv2/error.h"
#include "model/plan/plan.h"

namespace mnv2 {

const char* buffer_name(BufferId id) {
  static constexpr const char* kNames[kBuffers] = {
      "planes",    "rounded_planes", "activation",     "next_activation",
      "filtered",  "sums",           "prepared_head",  "zero_row",
      "features",  "logits",         "dense",          "next_dense",
      "rows",      "filtered_rows",  "prepared_input", "prepared_filtered",
      "head_panel"};
  return kNames[static_cast<int>(id)];
}

void MemoryPlan::need(BufferId id, std::size_t bytes) {
  std::size_t& size = bytes_[static_cast<int>(id)];
  const std::size_t wanted = round_up(bytes, Buffer::kAlignment);
  if (wanted <= size) return;
  (is_per_thread(id) ? thread_bytes_ : image_bytes_) += wanted - size;
  size = wanted;
}

std::size_t MemoryPlan::offset(BufferId id, int thread) const {
  const bool per_thread = is_per_thread(id);
  std::size_t offset = per_thread ? image_bytes_ + thread * thread_bytes_ : 0;
  for (int i = per_thread ? static_cast<int>(BufferId::rows) : 0; i < static_cast<int>(id); ++i)
    offset += bytes_[i];
  return offset;
}

void check_memory(const NetworkPlan& plan, std::size_t bytes) {
  constexpr std::size_t kMaxBytes = std::size_t{2} << 30;
  if (bytes <= kMaxBytes) return;
  throw Error(ErrorCode::invalid_argument, "input size: " + std::to_string(plan.input_h) + " x " +
                                               std::to_string(plan.input_w) +
                                               " needs more than 2 GiB of memory with this network");
}

}  // namespace mnv2
