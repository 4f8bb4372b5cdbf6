#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "core/buffer.h"
#include "support/catch.h"

using mnv2::Buffer;

TEST_CASE("buffers of every size are aligned, zero and writable to their end", "[buffer]") {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  for (const std::size_t size : {std::size_t{1}, std::size_t{17}, kHugePage - 1, kHugePage, kHugePage + 1,
                                 kHugePage + kHugePage / 2, 3 * kHugePage + 5}) {
    INFO("size " << size);
    Buffer buffer(size);
    REQUIRE(buffer.size() == size);
    REQUIRE(reinterpret_cast<std::uintptr_t>(buffer.data()) % Buffer::kAlignment == 0);
    REQUIRE(std::all_of(buffer.data(), buffer.data() + size, [](std::byte x) { return x == std::byte{0}; }));
    std::fill_n(buffer.data(), size, std::byte{1});

    // A move takes the memory along; what is assigned over is given back.
    Buffer other(3);
    other = std::move(buffer);
    REQUIRE(other.size() == size);
    REQUIRE(other.data()[size - 1] == std::byte{1});
  }
  REQUIRE(Buffer().data() == nullptr);
  REQUIRE(Buffer(0).data() == nullptr);
}

TEST_CASE("a buffer that no machine can hold is refused", "[buffer]") {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  for (const std::size_t size : {kMost, kMost - 4095, kMost / 2, kMost / 8}) {
    INFO("size " << size);
    REQUIRE_THROWS_AS(Buffer(size), std::bad_alloc);
  }
}
