#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

#include "app/image/header_parts.h"

namespace mnv2::image {
namespace {

/// A TIFF structure: every offset in it comes from the file, so every read is checked.
class Tiff {
 public:
  explicit Tiff(Bytes bytes) : bytes_(bytes) {
    if (bytes.size() < 8) return;
    little_ = bytes[0] == 'I' && bytes[1] == 'I';
    const bool big = bytes[0] == 'M' && bytes[1] == 'M';
    valid_ = (little_ || big) && u16(2) == 42;
  }
  bool valid() const { return valid_; }
  bool has(std::size_t at, std::size_t count) const {
    return at <= bytes_.size() && bytes_.size() - at >= count;
  }
  std::uint32_t u8(std::size_t at) const { return bytes_[at]; }
  std::uint32_t u16(std::size_t at) const {
    return little_ ? bytes_[at] | bytes_[at + 1] << 8 : bytes_[at] << 8 | bytes_[at + 1];
  }
  std::uint32_t u32(std::size_t at) const {
    return little_ ? u16(at) | u16(at + 2) << 16 : u16(at) << 16 | u16(at + 2);
  }
  std::uint64_t u64(std::size_t at) const {
    const std::uint64_t first = u32(at), second = u32(at + 4);
    return little_ ? second << 32 | first : first << 32 | second;
  }

 private:
  Bytes bytes_;
  bool little_ = false;
  bool valid_ = false;
};

constexpr std::string_view kExifPrefix{"Exif\0\0", 6};

/// The numbers of TIFF 6.0, section 2, and BigTIFF's of 8 bytes.
enum Type : std::uint32_t {
  kShort = 3,
  kLong = 4,
  kRational = 5,
  kSignedByte = 6,
  kSignedShort = 8,
  kSignedLong = 9,
  kSignedRational = 10,
  kFloat = 11,
  kDouble = 12,
  kIfd = 13,
  kLong8 = 16,
};

/// Bytes of a number, 0 for what is none.
std::size_t size_of(std::uint32_t type) {
  switch (type) {
    case kSignedByte: return 1;
    case kShort:
    case kSignedShort: return 2;
    case kLong:
    case kSignedLong:
    case kFloat:
    case kIfd: return 4;
    case kRational:
    case kSignedRational:
    case kDouble:
    case kLong8: return 8;
    default: return 0;
  }
}

double number_at(const Tiff& tiff, std::uint32_t type, std::size_t at) {
  switch (type) {
    case kSignedByte: return static_cast<std::int8_t>(tiff.u8(at));
    case kShort: return tiff.u16(at);
    case kSignedShort: return static_cast<std::int16_t>(tiff.u16(at));
    case kLong:
    case kIfd: return tiff.u32(at);
    case kSignedLong: return static_cast<std::int32_t>(tiff.u32(at));
    case kRational: return static_cast<double>(tiff.u32(at)) / tiff.u32(at + 4);
    case kSignedRational:
      return static_cast<double>(static_cast<std::int32_t>(tiff.u32(at))) /
             static_cast<std::int32_t>(tiff.u32(at + 4));
    case kFloat: return std::bit_cast<float>(tiff.u32(at));
    case kDouble: return std::bit_cast<double>(tiff.u64(at));
    case kLong8: return static_cast<double>(tiff.u64(at));
    default: return 0;
  }
}

/// The first number of the directory entry at `entry`; nothing when there is none or its place is not in the file.
std::optional<double> first_number(const Tiff& tiff, std::size_t entry) {
  constexpr std::size_t kBytesInEntry = 4;
  const std::uint32_t type = tiff.u16(entry + 2);
  const std::uint64_t size = std::uint64_t{size_of(type)} * tiff.u32(entry + 4);
  const std::size_t at = size > kBytesInEntry ? tiff.u32(entry + 8) : entry + 8;
  if (size == 0 || !tiff.has(at, size)) return std::nullopt;
  return number_at(tiff, type, at);
}

}  // namespace

std::optional<int> exif_orientation(Bytes exif) noexcept {
  constexpr std::uint32_t kOrientationTag = 0x0112;
  constexpr std::size_t kEntryBytes = 12;
  if (exif.size() >= kExifPrefix.size() &&
      std::string_view(reinterpret_cast<const char*>(exif.data()), kExifPrefix.size()) == kExifPrefix) {
    exif = exif.subspan(kExifPrefix.size());
  }
  const Tiff tiff(exif);
  if (!tiff.valid()) return std::nullopt;
  const std::size_t directory = tiff.u32(4);
  if (!tiff.has(directory, 2)) return std::nullopt;
  const std::uint32_t entries = tiff.u16(directory);
  std::optional<int> orientation;
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (!tiff.has(entry, kEntryBytes)) break;
    if (tiff.u16(entry) != kOrientationTag) continue;
    const std::optional<double> value = first_number(tiff, entry);
    if (!value) continue;
    const bool makes_sense = *value >= 1 && *value <= 8 && *value == std::floor(*value);
    orientation = makes_sense ? static_cast<int>(*value) : 1;
  }
  return orientation;
}

}  // namespace mnv2::image
