// The header check against files written by hand: one for each rule of the JPEG and PNG walks.
#include <string>

#include "app/image/header.h"
#include "mnv2/error.h"
#include "support/catch.h"
#include "support/image_bytes.h"

using mnv2::Error;
using mnv2::ErrorCode;
using mnv2::image::Color;
using mnv2::image::Format;
using mnv2::image::Header;
using mnv2::image::ImageLimits;
using mnv2::image::read_header;
using namespace test;

namespace {

const ByteVector kSoi = {0xff, 0xd8}, kEoi = {0xff, 0xd9};

ByteVector frame(std::uint8_t marker, unsigned width, unsigned height, std::uint8_t components,
                 std::uint8_t bits = 8) {
  ByteVector data = ByteVector{bits} + u16(height) + u16(width) + ByteVector{components};
  for (std::uint8_t i = 1; i <= components; ++i) data = data + ByteVector{i, 0x11, 0};
  return segment(marker, data);
}

ByteVector scan(std::uint8_t components, const ByteVector& entropy = {0x12, 0xff, 0x00, 0x34}) {
  ByteVector data{components};
  for (std::uint8_t i = 1; i <= components; ++i) data = data + ByteVector{i, 0};
  return segment(0xda, data + ByteVector{0, 63, 0}) + entropy;
}

/// A JPEG of 20 x 10 pixels in structure: the walk never looks at the entropy-coded data.
ByteVector jpeg(const ByteVector& extra = {}) {
  return kSoi + extra + frame(0xc0, 20, 10, 3) + scan(3) + kEoi;
}

ByteVector png_file(const ByteVector& before_data = {}) {
  return png_signature() + ihdr(20, 10, 8, 2) + before_data + chunk("IDAT", {1, 2, 3}) + chunk("IEND", {});
}

/// The code of the error that reading throws, and its message in `message`; internal when it throws nothing.
ErrorCode failure(const ByteVector& bytes, std::string* message = nullptr, const ImageLimits& limits = {}) {
  try {
    read_header(bytes, limits);
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  return ErrorCode::internal;
}

}  // namespace

TEST_CASE("a plain JPEG header is read") {
  const Header header = read_header(jpeg());
  CHECK(header.format == Format::jpeg);
  CHECK(header.width == 20);
  CHECK(header.height == 10);
  CHECK(header.color == Color::rgb);
  CHECK(header.bit_depth == 8);
  CHECK(header.orientation == 1);
  CHECK_FALSE(header.progressive);
  CHECK(header.scans == 1);
  CHECK(read_header(kSoi + frame(0xc0, 3, 4, 1) + scan(1) + kEoi).color == Color::grey);
  CHECK(read_header(kSoi + frame(0xc1, 3, 4, 4) + scan(4) + kEoi).color == Color::cmyk);
}

TEST_CASE("what libjpeg skips is skipped") {
  const ByteVector fill = {0xff, 0xff, 0xff}, garbage = {1, 2, 3, 0xff, 0x00, 4};
  CHECK(read_header(jpeg(fill + segment(0xe0, {1, 2, 3}))).width == 20);
  CHECK(read_header(jpeg(segment(0xfe, bytes_of("a comment")) + garbage)).width == 20);
  // An end marker inside a segment, such as a thumbnail's, is data.
  CHECK(read_header(jpeg(segment(0xe1, kSoi + kEoi))).width == 20);
  const ByteVector restarts = {0x12, 0xff, 0xd0, 0x34, 0xff, 0xd1, 0xff, 0x01, 0x56};
  CHECK(read_header(kSoi + frame(0xc0, 20, 10, 3) + scan(3, restarts) + kEoi).scans == 1);
  CHECK(read_header(jpeg() + bytes_of("trailing data")).width == 20);
  CHECK(read_header(jpeg() + jpeg()).width == 20);
}

TEST_CASE("scans are counted, and limited") {
  ByteVector file = kSoi + frame(0xc2, 20, 10, 3);
  for (int i = 0; i < 30; ++i) file = file + scan(1);
  file = file + kEoi;
  CHECK(read_header(file).scans == 30);
  CHECK(read_header(file).progressive);
  CHECK(read_header(file, {.max_scans = 30}).scans == 30);
  CHECK(failure(file, nullptr, {.max_scans = 29}) == ErrorCode::image_too_large);
  // An image as large as the limit may have no more than 20.
  CHECK(failure(file, nullptr, {.max_pixels = 200}) == ErrorCode::image_too_large);
  CHECK(read_header(file, {.max_pixels = 300}).scans == 30);
}

TEST_CASE("pixels are limited before anything is decoded") {
  CHECK(read_header(jpeg(), {.max_pixels = 200}).width == 20);
  std::string message;
  CHECK(failure(jpeg(), &message, {.max_pixels = 199}) == ErrorCode::image_too_large);
  CHECK(message.find("20 x 10") != std::string::npos);
  CHECK(message.find("199") != std::string::npos);
  CHECK(failure(kSoi + frame(0xc0, 65535, 65535, 3)) == ErrorCode::image_too_large);
  CHECK(failure(png_signature() + ihdr(0x7fffffff, 0x7fffffff, 8, 2)) == ErrorCode::image_too_large);
  CHECK(failure(png_file(), nullptr, {.max_pixels = 199}) == ErrorCode::image_too_large);
  CHECK(read_header(png_file(), {.max_pixels = 200}).width == 20);
}

TEST_CASE("EXIF orientation is read in both byte orders, and 1 when it makes no sense") {
  for (const bool little : {false, true}) {
    for (unsigned orientation = 1; orientation <= 8; ++orientation) {
      CAPTURE(little, orientation);
      const int expected = static_cast<int>(orientation);
      const ByteVector tiff = exif_tiff(orientation, little);
      CHECK(read_header(jpeg(exif_app1(tiff))).orientation == expected);
      CHECK(read_header(jpeg(exif_app1(exif_tiff(orientation, little, 4)))).orientation == expected);
      CHECK(read_header(png_file(chunk("eXIf", tiff))).orientation == expected);
    }
    for (const unsigned orientation : {0u, 9u, 257u, 65535u}) {
      CHECK(read_header(jpeg(exif_app1(exif_tiff(orientation, little)))).orientation == 1);
    }
  }
  // The first block counts; blocks of other kinds (XMP) do not.
  CHECK(read_header(jpeg(segment(0xe1, bytes_of("http://ns.adobe.com/xap/1.0/")) +
                         exif_app1(exif_tiff(6, true)) + exif_app1(exif_tiff(3, true))))
            .orientation == 6);
}

TEST_CASE("a broken EXIF block leaves the orientation at 1") {
  const ByteVector tiff = exif_tiff(6, true);
  for (std::size_t size = 0; size < tiff.size() - 4;
       ++size) {  // the last 4 bytes point to the next directory
    CAPTURE(size);
    const ByteVector cut(tiff.begin(), tiff.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(read_header(jpeg(exif_app1(cut))).orientation == 1);
    CHECK(read_header(png_file(chunk("eXIf", cut))).orientation == 1);
  }
  for (const std::uint32_t offset : {0u, 9u, 26u, 0x7fffffffu, 0xfffffff0u, 0xffffffffu}) {
    CAPTURE(offset);
    const ByteVector bad =
        bytes_of("II") + u16(42, true) + u32(offset, true) + ByteVector(tiff.begin() + 8, tiff.end());
    CHECK(read_header(jpeg(exif_app1(bad))).orientation == 1);
  }
}

TEST_CASE("JPEG structure that makes libjpeg give up is damage") {
  const ByteVector dht_short = segment(0xc4, ByteVector{0} + ByteVector(16, 9)),
                   dht_index = segment(0xc4, ByteVector{7} + ByteVector(16, 0));
  const ByteVector start = kSoi + frame(0xc0, 20, 10, 3);
  const ByteVector files[] = {
      kSoi + frame(0xc0, 20, 10, 3) + kEoi,                       // no scan
      kSoi + scan(3) + frame(0xc0, 20, 10, 3) + kEoi,             // scan before frame
      start + frame(0xc0, 20, 10, 3) + scan(3) + kEoi,            // two frames
      start + scan(3) + kSoi + scan(3) + kEoi,                    // two start markers
      start + scan(3, {1, 0xff, 0x41, 0, 2}) + kEoi,              // unknown marker in the data
      start + scan(3) + ByteVector{0xff, 0xfc, 0, 2} + kEoi,      // unknown marker after the data
      kSoi + ByteVector{0xff, 0xe0, 0, 1} + start,                // segment length below 2
      start + scan(3) + dht_short + kEoi,                         // Huffman table longer than its segment
      start + scan(3) + dht_index + kEoi,                         // Huffman table number 7
      start + segment(0xdb, ByteVector(64, 1)) + scan(3) + kEoi,  // quantization table one byte short
      kSoi + frame(0xc0, 0, 10, 3) + scan(3) + kEoi,              // no width
      kSoi + segment(0xc0, {8, 0, 10, 0, 20, 3}) + scan(3) + kEoi,
      start + scan(4) + kEoi,  // more components than the frame
      start + segment(0xdd, {1}) + scan(3) + kEoi,
  };
  for (const ByteVector& file : files) {
    CAPTURE(&file - files);
    CHECK(failure(file) == ErrorCode::damaged_image);
  }
  // With restart intervals, libjpeg looks for the next restart marker and passes the unknown one.
  CHECK(read_header(start + segment(0xdd, {0, 4}) + scan(3, {1, 0xff, 0x41, 0, 2}) + kEoi).scans == 1);
}

TEST_CASE("kinds of JPEG that no common decoder reads are unsupported") {
  for (const int marker : {0xc3, 0xc5, 0xc6, 0xc7, 0xc8, 0xcb, 0xcd, 0xce, 0xcf}) {
    CHECK(failure(kSoi + frame(static_cast<std::uint8_t>(marker), 20, 10, 3) + scan(3) + kEoi) ==
          ErrorCode::unsupported_format);
  }
  CHECK(failure(kSoi + frame(0xc1, 20, 10, 3, 12) + scan(3) + kEoi) == ErrorCode::unsupported_format);
  CHECK(failure(kSoi + frame(0xc0, 20, 0, 3) + scan(3) + kEoi) == ErrorCode::unsupported_format);
  CHECK(failure(kSoi + frame(0xc0, 20, 10, 2) + scan(2) + kEoi) == ErrorCode::unsupported_format);
}

TEST_CASE("PNG headers are read") {
  const Header header = read_header(png_file());
  CHECK(header.format == Format::png);
  CHECK(header.width == 20);
  CHECK(header.height == 10);
  CHECK(header.color == Color::rgb);
  CHECK(header.orientation == 1);
  CHECK_FALSE(header.progressive);
  const ByteVector palette = chunk("PLTE", {1, 2, 3});
  const Header interlaced =
      read_header(png_signature() + ihdr(5, 6, 4, 3, 1) + palette + chunk("IDAT", {}) + chunk("IEND", {}));
  CHECK(interlaced.color == Color::palette);
  CHECK(interlaced.bit_depth == 4);
  CHECK(interlaced.progressive);
  CHECK(read_header(png_file(chunk("tEXt", bytes_of("k")))).width == 20);
  CHECK(read_header(png_file() + bytes_of("trailing data")).width == 20);
}

TEST_CASE("broken PNG structure is damage") {
  const ByteVector data = chunk("IDAT", {1}), end = chunk("IEND", {}),
                   start = png_signature() + ihdr(2, 2, 8, 2);
  const ByteVector files[] = {
      png_signature() + data + end,                                                // no IHDR
      png_signature() + chunk("IHDR", ByteVector(12, 1)) + data + end,             // short IHDR
      start + ihdr(2, 2, 8, 2) + data + end,                                       // two of them
      start + end,                                                                 // no IDAT
      start + data,                                                                // no IEND
      start + data + u32(0xffffffff) + bytes_of("IDAT") + ByteVector(8, 0) + end,  // length above 2^31 - 1
      start + data + u32(0x7fffffff) + bytes_of("IDAT") + ByteVector(8, 0) + end,  // length beyond the file
      png_signature() + ihdr(0, 2, 8, 2) + data + end,
      png_signature() + ihdr(2, 0, 8, 2) + data + end,
      png_signature() + ihdr(2, 0x80000000, 8, 2) + data + end,
      png_signature() + ihdr(2, 2, 8, 5) + data + end,     // colour type
      png_signature() + ihdr(2, 2, 4, 2) + data + end,     // depth
      png_signature() + ihdr(2, 2, 16, 3) + data + end,    // depth of a palette
      png_signature() + ihdr(2, 2, 8, 2, 2) + data + end,  // interlacing
      png_signature() + ihdr(2, 2, 8, 3) + data + end,     // palette missing
  };
  for (const ByteVector& file : files) {
    CAPTURE(&file - files);
    CHECK(failure(file) == ErrorCode::damaged_image);
  }
}

TEST_CASE("a JPEG or PNG cut anywhere is an error") {
  for (const ByteVector& file :
       {jpeg(exif_app1(exif_tiff(6, true))), png_file(chunk("eXIf", exif_tiff(6, false)))}) {
    REQUIRE(read_header(file).orientation == 6);
    for (std::size_t size = 1; size < file.size(); ++size) {
      CAPTURE(size, file.size());
      CHECK(failure(ByteVector(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size))) ==
            ErrorCode::damaged_image);
    }
  }
}

TEST_CASE("other files are named in the error") {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, std::string_view> cases[] = {
      {""sv, "empty"},
      {"GIF89a\1\0"sv, "GIF"},
      {"RIFF\0\0\0\0WEBPVP8 "sv, "WebP"},
      {"BM\x36\0\0\0"sv, "BMP"},
      {"II*\0\x08\0\0\0"sv, "TIFF"},
      {"MM\0*\0\0\0\x08"sv, "TIFF"},
      {"\0\0\0\x18"
       "ftypheic"sv,
       "HEIC"},
      {"\0\0\0\x18"
       "ftypavif"sv,
       "AVIF"},
      {"\0\0\0\x0cJXL \r\n\x87\n"sv, "JPEG XL"},
      {"%PDF-1.7"sv, "PDF"},
      {"PK\3\4"sv, "ZIP"},
      {"\n<!DOCTYPE html><html>"sv, "HTML"},
      {"<?xml version='1.0'?><svg>"sv, "SVG"},
      {"hello, world\n"sv, "text"},
      {"\1\2\3\4\5"sv, "01 02 03 04"},
  };
  for (const auto& [content, name] : cases) {
    CAPTURE(name);
    std::string message;
    CHECK(failure(bytes_of(content), &message) == ErrorCode::unsupported_format);
    CHECK(message.find(name) != std::string::npos);
    CHECK(message.find("JPEG or PNG") != std::string::npos);
  }
  // A PNG that went through a text-mode transfer.
  CHECK(failure(bytes_of("\x89PNG\n\x1a\n\0\0\0\rIHDR"sv)) == ErrorCode::damaged_image);
}
