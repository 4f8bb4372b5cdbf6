#include "app/image/header.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "app/image/header_parts.h"
#include "mnv2/error.h"

namespace mnv2::image {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kJpegStart = "\xff\xd8\xff";
constexpr std::string_view kRiff = "RIFF", kWebp = "WEBP";
constexpr std::size_t kWebpAt = 8;

/// First bytes of files that people hand to an image tool, for the error message.
struct Signature {
  std::size_t offset;
  std::string_view bytes;
  std::string_view name;
};
constexpr Signature kOtherFormats[] = {
    {0, "GIF8"sv, "a GIF image"},           {0, "II*\0"sv, "a TIFF image"},
    {0, "MM\0*"sv, "a TIFF image"},         {0, "II+\0"sv, "a BigTIFF image"},
    {0, "MM\0+"sv, "a BigTIFF image"},      {4, "ftypavi"sv, "an AVIF image"},
    {4, "ftyphei"sv, "a HEIC image"},       {4, "ftyphev"sv, "a HEIC image"},
    {4, "ftypmif1"sv, "a HEIF image"},      {4, "ftyp"sv, "an MP4 or QuickTime file"},
    {4, "jP  \r\n"sv, "a JPEG 2000 image"}, {0, "\xff\x4f\xff\x51"sv, "a JPEG 2000 codestream"},
    {4, "JXL \r\n"sv, "a JPEG XL image"},   {0, "\xff\x0a"sv, "a JPEG XL image"},
    {0, "8BPS"sv, "a Photoshop image"},     {0, "%PDF"sv, "a PDF document"},
    {0, "\x8aMNG"sv, "an MNG animation"},   {0, "\x8bJNG"sv, "a JNG image"},
    {0, "\0\0\1\0"sv, "an ICO icon"},       {0, "PK\3\4"sv, "a ZIP archive"},
    {0, "\x1f\x8b"sv, "gzip data"},         {0, "\x89HDF\r\n"sv, "an HDF5 file"},
    {0, "\x93NUMPY"sv, "a NumPy array"},    {0, "BM"sv, "a BMP image"},
};

bool has_at(Bytes bytes, std::size_t offset, std::string_view wanted) {
  return bytes.size() >= offset + wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

/// Names text by its first word, in any case; empty when `bytes` is not text.
std::string_view name_text(Bytes bytes) {
  const Bytes start = bytes.first(std::min<std::size_t>(bytes.size(), 256));
  const bool is_text = std::all_of(start.begin(), start.end(),
                                   [](std::uint8_t c) { return c >= 0x20 || (c >= '\t' && c <= '\r'); });
  if (!is_text) return {};
  std::string lower;
  for (const std::uint8_t c : start) {
    if (!std::isspace(c) || !lower.empty()) lower += static_cast<char>(std::tolower(c));
  }
  if (lower.starts_with("<!doctype html") || lower.starts_with("<html")) return "an HTML page";
  if (lower.starts_with("<svg")) return "an SVG drawing";
  if (lower.starts_with("<?xml"))
    return lower.find("<svg") != std::string::npos ? "an SVG drawing" : "XML text";
  return "text";
}

std::string name_content(Bytes bytes) {
  for (const Signature& signature : kOtherFormats) {
    if (has_at(bytes, signature.offset, signature.bytes)) return std::string(signature.name);
  }
  if (const std::string_view text = name_text(bytes); !text.empty()) return std::string(text);
  std::string name = "unknown data starting with";
  for (const std::uint8_t byte : bytes.first(std::min<std::size_t>(bytes.size(), 4))) {
    constexpr char kDigits[] = "0123456789abcdef";
    name += {' ', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return name;
}

bool begins_as_webp(Bytes bytes) { return has_at(bytes, 0, kRiff) && has_at(bytes, kWebpAt, kWebp); }

/// A file cut within its signature, or one whose signature a text-mode transfer mangled.
bool is_broken_start(Bytes bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min<std::size_t>(bytes.size(), 8));
  return start.starts_with("\xff\xd8"sv) || start.starts_with("\x89PNG"sv) ||
         kPngSignature.starts_with(start) || kJpegStart.starts_with(start) ||
         (bytes.size() < kSignatureBytes && start.starts_with(kRiff));
}

}  // namespace

void check_pixels(std::int64_t width, std::int64_t height, const ImageLimits& limits) {
  // Sides are below 2^31, so their product fits.
  if (width * height <= limits.max_pixels) return;
  throw Error(ErrorCode::image_too_large, std::to_string(width) + " x " + std::to_string(height) +
                                              " pixels, expected at most " +
                                              std::to_string(limits.max_pixels) + " in all");
}

bool begins_as_image(std::span<const std::uint8_t> bytes) noexcept {
  return has_at(bytes, 0, kJpegStart) || has_at(bytes, 0, kPngSignature) || begins_as_webp(bytes);
}

bool may_begin_image(std::span<const std::uint8_t> bytes) noexcept {
  const auto may_have = [&](std::size_t offset, std::string_view signature) {
    const std::size_t there = bytes.size() - std::min(bytes.size(), offset);
    return has_at(bytes, std::min(bytes.size(), offset), signature.substr(0, there));
  };
  return may_have(0, kJpegStart) || may_have(0, kPngSignature) ||
         (may_have(0, kRiff) && may_have(kWebpAt, kWebp));
}

Header read_header(std::span<const std::uint8_t> bytes, const ImageLimits& limits) {
  if (bytes.empty())
    throw Error(ErrorCode::unsupported_format, "the file is empty, expected a JPEG, PNG or WebP image");
  if (has_at(bytes, 0, kJpegStart)) return read_jpeg_header(bytes, limits);
  if (has_at(bytes, 0, kPngSignature)) return read_png_header(bytes, limits);
  if (begins_as_webp(bytes)) return read_webp_header(bytes, limits);
  if (is_broken_start(bytes)) {
    throw Error(ErrorCode::damaged_image, "the signature of the JPEG, PNG or WebP image is cut or damaged");
  }
  throw Error(ErrorCode::unsupported_format,
              "the file is " + name_content(bytes) + ", expected a JPEG, PNG or WebP image");
}

}  // namespace mnv2::image
