// Memory for tensors: aligned to a cache line, zeroed, moved but never copied; large ones in huge pages where
// there are.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace mnv2 {

/// `size` floats aligned to 64 bytes (a cache line and an AVX-512 vector), all zero.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  /// @throws std::bad_alloc
  explicit AlignedBuffer(std::size_t size);

  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::span<float> span() { return {data_.get(), size_}; }
  std::span<const float> span() const { return {data_.get(), size_}; }

  static constexpr std::size_t kAlignment = 64;

 private:
  struct Free {
    std::size_t mapped_bytes;  // 0: from aligned_alloc
    void operator()(float* p) const;
  };
  std::unique_ptr<float, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace mnv2
