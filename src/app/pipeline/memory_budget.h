// How much memory the images under way may take together.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

namespace mnv2::app {

/// Bytes that threads share. A thread that wants more than is left waits for its turn, in the order of
/// asking, so that small wishes do not keep a large one waiting for ever; one above the whole budget is
/// granted when nothing else is held. Who holds a part never waits for another part of the same budget.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::int64_t bytes) : budget_(bytes) {}

  /// How many have asked and wait for their turn.
  std::uint64_t waiting() const;

  /// A part of the budget, given back at its end.
  class Part {
   public:
    Part() = default;
    ~Part() { give_back(); }
    Part(Part&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

    /// Waits until `bytes` of `budget` are free, or nothing is held; call once.
    void take(MemoryBudget& budget, std::int64_t bytes);
    void give_back() noexcept;

   private:
    MemoryBudget* budget_ = nullptr;
    std::int64_t bytes_ = 0;
  };

 private:
  const std::int64_t budget_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t held_ = 0;
  std::uint64_t asked_ = 0;   // how many have asked
  std::uint64_t served_ = 0;  // and got their part
};

/// What the workers of a run share. Files are read before it is known what their pixels take, so these are
/// budgets of their own; who holds pixels never waits for a file's bytes, so the two cannot block each other.
struct ImageMemory {
  explicit ImageMemory(int workers);

  MemoryBudget files;
  MemoryBudget pixels;
};

}  // namespace mnv2::app
