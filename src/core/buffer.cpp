#include "core/buffer.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/rounding.h"

namespace mnv2 {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Zero pages from the system, aligned to a huge page. A weight arena in small pages would need thousands of
/// address translations for each image, and as many page faults at load. Where the system has no huge pages
/// to give, small ones do.
std::byte* map_pages(std::size_t bytes) {
  void* mapped =
      ::mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  std::byte* const begin = static_cast<std::byte*>(mapped);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::size_t before = round_up<std::uintptr_t>(address, kHugePage) - address;
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + bytes, kHugePage - before);
#ifdef MADV_HUGEPAGE
  ::madvise(begin + before, bytes, MADV_HUGEPAGE);
#endif
  return begin + before;
}

}  // namespace

Buffer::Buffer(std::size_t size) : size_(size) {
  if (size == 0) return;
  if (size > SIZE_MAX - 2 * kHugePage) throw std::bad_alloc();
  if (size >= kHugePage) {
    // A huge page that would be less than half used is not worth its memory.
    const bool fill = size % kHugePage >= kHugePage / 2;
    const std::size_t mapped_bytes = round_up(size, fill ? kHugePage : std::size_t{64} << 10);
    data_ = {map_pages(mapped_bytes), Free{mapped_bytes}};
    return;
  }
  const std::size_t aligned = round_up(size, kAlignment);
  data_ = {static_cast<std::byte*>(std::aligned_alloc(kAlignment, aligned)), Free{0}};
  if (!data_) throw std::bad_alloc();
  std::memset(data_.get(), 0, aligned);
}

void Buffer::Free::operator()(std::byte* p) const {
  if (mapped_bytes > 0)
    ::munmap(p, mapped_bytes);
  else
    std::free(p);
}

}  // namespace mnv2
