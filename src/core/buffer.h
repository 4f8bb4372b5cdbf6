// Memory for tensors: aligned to a cache line, zeroed, moved but never copied; large ones in huge pages where
// there are.
#pragma once

#include <cstddef>
#include <memory>

namespace mnv2 {

/// `size` bytes aligned to 64 (a cache line and an AVX-512 vector), all zero.
class Buffer {
 public:
  Buffer() = default;
  /// @throws std::bad_alloc
  explicit Buffer(std::size_t size);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  /// The same memory as an array of T.
  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(data_.get());
  }

  static constexpr std::size_t kAlignment = 64;

 private:
  struct Free {
    std::size_t mapped_bytes;  // 0: from aligned_alloc
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace mnv2
