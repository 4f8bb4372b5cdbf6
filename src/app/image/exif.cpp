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
  std::uint32_t u16(std::size_t at) const {
    return little_ ? bytes_[at] | bytes_[at + 1] << 8 : bytes_[at] << 8 | bytes_[at + 1];
  }
  std::uint32_t u32(std::size_t at) const {
    return little_ ? u16(at) | u16(at + 2) << 16 : u16(at) << 16 | u16(at + 2);
  }

 private:
  Bytes bytes_;
  bool little_ = false;
  bool valid_ = false;
};

constexpr std::string_view kExifPrefix{"Exif\0\0", 6};

}  // namespace

int exif_orientation(Bytes exif) noexcept {
  constexpr std::uint32_t kOrientationTag = 0x0112, kShort = 3, kLong = 4;
  constexpr std::size_t kEntryBytes = 12;
  if (exif.size() >= kExifPrefix.size() &&
      std::string_view(reinterpret_cast<const char*>(exif.data()), kExifPrefix.size()) == kExifPrefix) {
    exif = exif.subspan(kExifPrefix.size());
  }
  const Tiff tiff(exif);
  if (!tiff.valid()) return 1;
  const std::size_t directory = tiff.u32(4);
  if (!tiff.has(directory, 2)) return 1;
  const std::uint32_t entries = tiff.u16(directory);
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntryBytes;
    if (!tiff.has(entry, kEntryBytes)) return 1;
    if (tiff.u16(entry) != kOrientationTag) continue;
    const std::uint32_t type = tiff.u16(entry + 2);
    const std::uint32_t value = type == kShort  ? tiff.u16(entry + 8)
                                : type == kLong ? tiff.u32(entry + 8)
                                                : 1;
    return tiff.u32(entry + 4) == 1 && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace mnv2::image
