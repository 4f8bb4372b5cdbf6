// What a run needs beside the weights: every buffer is named and sized here, once.
#pragma once

#include <array>
#include <cstddef>

namespace mnv2 {

struct NetworkPlan;

enum class BufferId {
  // Of an image.
  planes,          // the padded input planes, with a border of zeros
  rounded_planes,  // the same in bfloat16's precision
  activation,      // inputs and outputs of blocks, in turn with the next
  next_activation,
  filtered,       // a whole hidden tensor after its filters, where threads share a block by chunks
  sums,           // raw sums of a projection: of each of two groups
  prepared_head,  // what the head's format prepares of its input
  zero_row,       // for windows that reach over the edge
  features,       // pooled
  logits,         // of each group of the tail
  dense,          // outputs of the layers after that, in turn with the next
  next_dense,
  // Of each thread.
  rows,               // that the expansion or the stem produces: a ring, or the whole map
  filtered_rows,      // a band or a chunk after its filters
  prepared_input,     // what a format prepares of a block's input
  prepared_filtered,  // the same of filtered rows
  head_panel,         // the map of a panel of the head
};

inline constexpr int kBuffers = static_cast<int>(BufferId::head_panel) + 1;

const char* buffer_name(BufferId id);
constexpr bool is_per_thread(BufferId id) { return id >= BufferId::rows; }

/// How large each buffer must be, and where it lies in one piece of memory: first those of an image, then those of each
/// thread.
class MemoryPlan {
 public:
  /// @param threads that work on one image.
  explicit MemoryPlan(int threads) : threads_(threads) {}

  /// Buffer `id` will hold `bytes`.
  void need(BufferId id, std::size_t bytes);

  std::size_t bytes(BufferId id) const { return bytes_[static_cast<int>(id)]; }
  int threads() const { return threads_; }
  /// From the start of the memory, a multiple of a cache line. `thread`: of a buffer that each has.
  std::size_t offset(BufferId id, int thread = 0) const;
  /// Of all buffers.
  std::size_t total() const { return image_bytes_ + std::size_t(threads_) * thread_bytes_; }

 private:
  std::array<std::size_t, kBuffers> bytes_{};  // multiples of a cache line
  std::size_t image_bytes_ = 0;
  std::size_t thread_bytes_ = 0;
  int threads_;
};

/// What an image may take: 2 GiB. A model file of 100 KB can describe layers whose maps take terabytes at the largest
/// input; MobileNetV2 at 4096 x 4096 takes 600 MB.
/// @throws Error{invalid_argument} when `bytes`, of buffers and tables, are more.
void check_memory(const NetworkPlan& plan, std::size_t bytes);

}  // namespace mnv2
