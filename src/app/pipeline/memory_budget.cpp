#include "app/pipeline/memory_budget.h"

#include <algorithm>

namespace mnv2::app {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

// A photo of 12 million pixels takes 36 MB, so workers seldom wait for each other.
constexpr std::int64_t kLeastPixels = 128 * kMiB;
constexpr std::int64_t kPixelsPerWorker = 48 * kMiB;
constexpr std::int64_t kLeastFiles = 32 * kMiB;
constexpr std::int64_t kFilesPerWorker = 8 * kMiB;

}  // namespace

std::uint64_t MemoryBudget::waiting() const {
  const std::scoped_lock lock(mutex_);
  return asked_ - served_;
}

void MemoryBudget::Part::take(MemoryBudget& budget, std::int64_t bytes) {
  std::unique_lock lock(budget.mutex_);
  const std::uint64_t turn = budget.asked_++;
  budget.changed_.wait(lock, [&] {
    return budget.served_ == turn && (budget.held_ == 0 || bytes <= budget.budget_ - budget.held_);
  });
  ++budget.served_;
  budget.held_ += bytes;
  budget_ = &budget;
  bytes_ = bytes;
  budget.changed_.notify_all();  // the next one's turn
}

void MemoryBudget::Part::give_back() noexcept {
  if (budget_ == nullptr) return;
  const std::scoped_lock lock(budget_->mutex_);
  budget_->held_ -= bytes_;
  budget_->changed_.notify_all();  // within the lock: afterwards the budget may be gone
  budget_ = nullptr;
}

ImageMemory::ImageMemory(int workers)
    : files(std::max(kLeastFiles, workers * kFilesPerWorker)),
      pixels(std::max(kLeastPixels, workers * kPixelsPerWorker)) {}

}  // namespace mnv2::app
