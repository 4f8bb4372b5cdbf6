// Image files written byte by byte, for tests of the header check and the decoder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace test {

using ByteVector = std::vector<std::uint8_t>;

inline ByteVector bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

inline ByteVector operator+(ByteVector left, const ByteVector& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline ByteVector u16(unsigned value, bool little = false) {
  const auto high = static_cast<std::uint8_t>(value >> 8), low = static_cast<std::uint8_t>(value);
  return little ? ByteVector{low, high} : ByteVector{high, low};
}

inline ByteVector u32(std::uint32_t value, bool little = false) {
  const ByteVector high = u16(value >> 16, little), low = u16(value & 0xffff, little);
  return little ? low + high : high + low;
}

/// A JPEG marker segment with its length.
inline ByteVector segment(std::uint8_t marker, const ByteVector& data) {
  return ByteVector{0xff, marker} + u16(static_cast<unsigned>(data.size() + 2)) + data;
}

/// A TIFF structure with one entry: the orientation.
inline ByteVector exif_tiff(unsigned orientation, bool little, unsigned type = 3) {
  const ByteVector value = type == 4 ? u32(orientation, little) : u16(orientation, little) + ByteVector{0, 0};
  return bytes_of(little ? "II" : "MM") + u16(42, little) + u32(8, little) + u16(1, little) +
         u16(0x0112, little) + u16(type, little) + u32(1, little) + value + u32(0, little);
}

inline ByteVector exif_app1(const ByteVector& tiff) {
  return segment(0xe1, bytes_of(std::string_view("Exif\0\0", 6)) + tiff);
}

/// `file`, a JPEG, with `extra` right after its start marker.
inline ByteVector after_soi(const ByteVector& file, const ByteVector& extra) {
  return ByteVector(file.begin(), file.begin() + 2) + extra + ByteVector(file.begin() + 2, file.end());
}

/// CRC-32 as PNG's specification (annex D) writes it, bit by bit.
inline std::uint32_t crc32(const ByteVector& bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
  }
  return ~crc;
}

inline ByteVector chunk(std::string_view type, const ByteVector& data) {
  const ByteVector checked = bytes_of(type) + data;
  return u32(static_cast<std::uint32_t>(data.size())) + checked + u32(crc32(checked));
}

inline ByteVector png_signature() { return {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}; }

inline ByteVector ihdr(std::uint32_t width, std::uint32_t height, std::uint8_t depth, std::uint8_t color,
                       std::uint8_t interlace = 0) {
  return chunk("IHDR", u32(width) + u32(height) + ByteVector{depth, color, 0, 0, interlace});
}

/// A zlib stream that stores `raw` (below 64 KiB) uncompressed.
inline ByteVector zlib_stored(const ByteVector& raw) {
  std::uint32_t a = 1, b = 0;
  for (const std::uint8_t byte : raw) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  const auto size = static_cast<unsigned>(raw.size());
  return ByteVector{0x78, 0x01, 0x01} + u16(size, true) + u16(~size & 0xffff, true) + raw + u32(b << 16 | a);
}

/// A whole PNG; `rows`: each row's filter byte and packed samples, one after the other.
inline ByteVector png(const ByteVector& ihdr_chunk, const ByteVector& rows,
                      const ByteVector& before_data = {}) {
  return png_signature() + ihdr_chunk + before_data + chunk("IDAT", zlib_stored(rows)) + chunk("IEND", {});
}

}  // namespace test
