#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "core/aligned_buffer.h"
#include "support/catch.h"

using mnv2::AlignedBuffer;

TEST_CASE("buffers of every size are aligned, zero and writable to their end", "[aligned_buffer]") {
  constexpr std::size_t kHugePage = (std::size_t{2} << 20) / sizeof(float);
  for (const std::size_t size : {std::size_t{1}, std::size_t{17}, kHugePage - 1, kHugePage, kHugePage + 1,
                                 kHugePage + kHugePage / 2, 3 * kHugePage + 5}) {
    INFO("size " << size);
    AlignedBuffer buffer(size);
    REQUIRE(buffer.size() == size);
    REQUIRE(reinterpret_cast<std::uintptr_t>(buffer.data()) % AlignedBuffer::kAlignment == 0);
    REQUIRE(std::all_of(buffer.data(), buffer.data() + size, [](float x) { return x == 0; }));
    std::fill_n(buffer.data(), size, 1.0f);

    // A move takes the memory along; what is assigned over is given back.
    AlignedBuffer other(3);
    other = std::move(buffer);
    REQUIRE(other.size() == size);
    REQUIRE(other.data()[size - 1] == 1.0f);
  }
  REQUIRE(AlignedBuffer().data() == nullptr);
  REQUIRE(AlignedBuffer(0).data() == nullptr);
}

TEST_CASE("a buffer that no machine can hold is refused", "[aligned_buffer]") {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  for (const std::size_t size : {kMost, kMost / 2, kMost / 4, kMost / 8}) {
    INFO("size " << size);
    REQUIRE_THROWS_AS(AlignedBuffer(size), std::bad_alloc);
  }
}
