// Pixels of a row put side by side.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace mnv2 {

/// out[i] = the pixel of `row` at offsets[i]. `out` [offsets][3]; nothing else is read or written.
inline void pick_pixels(const std::uint8_t* row, std::span<const std::int32_t> offsets, std::uint8_t* out) {
  constexpr int kPixelBytes = 3;
  for (const std::int32_t offset : offsets) {
    std::memcpy(out, row + offset, kPixelBytes);
    out += kPixelBytes;
  }
}

}  // namespace mnv2
