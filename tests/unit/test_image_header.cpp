// The header check against files written by hand: one for each rule of the JPEG and PNG walks.
#include <string>
#include <string_view>
#include <utility>

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

TEST_CASE("EXIF orientation: any number, the first of several, the last entry that can be read") {
  const auto entry = [](unsigned type, std::uint32_t count, const ByteVector& value) {
    return u16(0x0112, true) + u16(type, true) + u32(count, true) + value;
  };
  const auto tiff_of = [](const std::vector<ByteVector>& entries, const ByteVector& values = {}) {
    ByteVector tiff =
        bytes_of("II") + u16(42, true) + u32(8, true) + u16(static_cast<unsigned>(entries.size()), true);
    for (const ByteVector& e : entries) tiff = tiff + e;
    return tiff + u32(0, true) + values;
  };
  const auto orientation = [](const ByteVector& tiff) {
    return read_header(jpeg(exif_app1(tiff))).orientation;
  };
  const ByteVector six = u32(6, true), three = u32(3, true), after = u32(8 + 2 + 12 + 4, true);
  const ByteVector one = u32(1, true), none = u32(0, true);
  for (const unsigned type : {3u, 4u, 6u, 8u, 9u, 13u})
    CHECK(orientation(tiff_of({entry(type, 1, six)})) == 6);
  for (const unsigned type : {1u, 2u, 7u, 14u, 99u}) CHECK(orientation(tiff_of({entry(type, 1, six)})) == 1);
  CHECK(orientation(tiff_of({entry(5, 1, after)}, six + one)) == 6);
  CHECK(orientation(tiff_of({entry(10, 1, after)}, u32(12, true) + u32(2, true))) == 6);
  CHECK(orientation(tiff_of({entry(5, 1, after)}, u32(13, true) + u32(2, true))) == 1);
  CHECK(orientation(tiff_of({entry(5, 1, after)}, six + none)) == 1);
  CHECK(orientation(tiff_of({entry(11, 1, u32(0x40c00000, true))})) == 6);
  CHECK(orientation(tiff_of({entry(12, 1, after)}, none + u32(0x40180000, true))) == 6);
  CHECK(orientation(tiff_of({entry(16, 1, after)}, six + none)) == 6);
  CHECK(orientation(tiff_of({entry(8, 1, u16(0xffff, true) + u16(0, true))})) == 1);
  CHECK(orientation(tiff_of({entry(3, 2, u16(6, true) + u16(3, true))})) == 6);
  CHECK(orientation(tiff_of({entry(4, 2, after)}, six + three)) == 6);
  CHECK(orientation(tiff_of({entry(3, 0, six)})) == 1);
  CHECK(orientation(tiff_of({entry(4, 2, u32(9999, true))})) == 1);
  CHECK(orientation(tiff_of({entry(4, 0xffffffff, after)}, six)) == 1);
  CHECK(orientation(tiff_of({entry(3, 1, three), entry(3, 1, six)})) == 6);
  CHECK(orientation(tiff_of({entry(3, 1, six), entry(99, 1, three)})) == 6);
  CHECK(orientation(tiff_of({entry(3, 1, six), entry(3, 0, three)})) == 6);
  CHECK(orientation(tiff_of({entry(3, 1, six), entry(4, 2, u32(9999, true))})) == 6);
  CHECK(orientation(tiff_of({entry(3, 1, six), entry(3, 1, u32(9, true))})) == 1);
}

TEST_CASE("a PNG's texts tell the orientation where no eXIf chunk does") {
  const auto raw_profile = [](const ByteVector& tiff) {
    std::string text = "\nexif\n      " + std::to_string(tiff.size()) + "\n";
    for (std::size_t i = 0; i < tiff.size(); ++i) {
      constexpr char kDigits[] = "0123456789abcdef";
      text += {kDigits[tiff[i] >> 4], kDigits[tiff[i] & 15]};
      if (i % 36 == 35) text += '\n';
    }
    return bytes_of(text);
  };
  using namespace std::string_view_literals;
  const ByteVector profile =
      raw_profile(exif_app1(exif_tiff(6, true)));  // not it: a JPEG's marker is before it
  const ByteVector six = raw_profile(bytes_of("Exif\0\0"sv) + exif_tiff(6, true));
  const ByteVector key = bytes_of("Raw profile type exif\0"sv);
  const auto orientation = [](const ByteVector& chunks) { return read_header(png_file(chunks)).orientation; };
  CHECK(orientation(chunk("tEXt", key + six)) == 6);
  CHECK(orientation(chunk("zTXt", key + ByteVector{0} + zlib_stored(six))) == 6);
  CHECK(orientation(chunk("iTXt", key + bytes_of("\0\0\0\0"sv) + six)) == 6);
  CHECK(orientation(chunk("iTXt", key + bytes_of("\1\0en\0\0"sv) + zlib_stored(six))) == 6);
  CHECK(orientation(chunk("tEXt", key + profile)) == 1);
  CHECK(orientation(chunk("tEXt", bytes_of("Comment\0"sv) + six)) == 1);
  CHECK(orientation(chunk("zTXt", key + ByteVector{0} + six)) == 1);  // not compressed
  CHECK(orientation(chunk("tEXt", key + bytes_of("\nexif\n 2\nzz"))) == 1);
  CHECK(orientation(chunk("tEXt", key)) == 1);
  CHECK(orientation(chunk("tEXt", bytes_of("no end"))) == 1);
  CHECK(orientation(chunk("eXIf", exif_tiff(3, true)) + chunk("tEXt", key + six)) == 3);
  CHECK(orientation(chunk("tEXt", key + six) + chunk("eXIf", exif_tiff(3, true))) == 3);
  const ByteVector xmp = bytes_of("XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation=\"8\"/>"sv);
  CHECK(orientation(chunk("iTXt", xmp)) == 8);
  CHECK(orientation(chunk("iTXt", xmp) + chunk("tEXt", key + six)) == 6);
  CHECK(orientation(chunk("iTXt", bytes_of("XML:com.adobe.xmp\0\0\0\0\0<tiff:Orientation>5</"sv))) == 5);
  CHECK(orientation(chunk("iTXt", bytes_of("XML:com.adobe.xmp\0\0\0\0\0<tiff:Orientation>9</"sv))) == 1);
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
      start + kSoi + scan(3) + kEoi,                              // two start markers
      start + scan(1) + kSoi + kEoi,                              // data of one component of three
      start + ByteVector{0xff, 0xfc, 0, 2} + scan(3) + kEoi,      // unknown marker
      kSoi + ByteVector{0xff, 0xdb, 0, 1} + start,                // segment length below 2
      start + dht_short + scan(3) + kEoi,                         // Huffman table longer than its segment
      start + dht_index + scan(3) + kEoi,                         // Huffman table number 7
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

TEST_CASE("what is wrong after a JPEG's image data is told, and where") {
  const ByteVector start = kSoi + frame(0xc0, 20, 10, 3), whole = start + scan(3);
  struct File {
    ByteVector tail;
    std::string what;
  };
  const File files[] = {
      {{}, "JPEG: the file ends before the end marker"},
      {{0xff}, "JPEG: the file ends before the end marker"},
      {kSoi + scan(3) + kEoi, "JPEG: a second start marker"},
      {{0xff, 0xfc, 0, 2, 0xff, 0xd9}, "JPEG: unknown marker 0xfc"},
      {{0xff, 0x41, 0, 2, 0xff, 0xd9}, "JPEG: unknown marker 0x41"},
      {frame(0xc0, 20, 10, 3) + kEoi, "JPEG: two frame headers"},
      {segment(0xc4, ByteVector{7} + ByteVector(16, 0)) + kEoi, "JPEG: bogus Huffman table"},
      {segment(0xfe, {1}) + ByteVector{0xff, 0xfc}, "JPEG: unknown marker 0xfc"},
  };
  for (const File& file : files) {
    CAPTURE(file.what);
    const Header header = read_header(whole + file.tail);
    REQUIRE(header.odd_end);
    CHECK(header.odd_end->what == file.what);
    CHECK(header.odd_end->at == whole.size());
  }
  CHECK_FALSE(read_header(jpeg()).odd_end);
  // Of three scans, one for each component, the third is the last that is needed.
  const auto one = [](std::uint8_t component) {
    return segment(0xda, {1, component, 0, 0, 63, 0}) + ByteVector{1};
  };
  CHECK(read_header(start + one(1) + one(2) + one(3)).odd_end);
  CHECK(failure(start + one(1) + one(2) + one(2)) == ErrorCode::damaged_image);
  // Of a progressive image, the one that refines the last bit of the last coefficient.
  const auto refine = [](int first, int last, int bits) {
    return segment(0xda, {1, 1, 0, static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last),
                          static_cast<std::uint8_t>(bits)}) +
           ByteVector{1};
  };
  const ByteVector progressive = kSoi + frame(0xc2, 20, 10, 1) + refine(0, 0, 1) + refine(1, 63, 0x01);
  CHECK(failure(progressive) == ErrorCode::damaged_image);
  CHECK(failure(progressive + refine(0, 0, 0x10)) == ErrorCode::damaged_image);
  const ByteVector refined = progressive + refine(0, 0, 0x10) + refine(1, 63, 0x10);
  CHECK(read_header(refined).odd_end->at == refined.size());
  CHECK(read_header(refined + refine(1, 63, 0x10) + kSoi).odd_end->at == refined.size());
  // With arithmetic coding nobody could tell whether data are missing.
  CHECK(failure(kSoi + frame(0xc9, 20, 10, 3) + scan(3)) == ErrorCode::damaged_image);
}

TEST_CASE("a segment that is skipped may say any length") {
  for (const std::uint8_t marker : ByteVector{0xe0, 0xe1, 0xec, 0xef, 0xfe})
    for (const std::uint8_t length : ByteVector{0, 1})
      CHECK(read_header(jpeg({0xff, marker, 0, length})).width == 20);
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
      start + u32(0xffffffff) + bytes_of("tEXt") + ByteVector(8, 0) + data + end,  // length above 2^31 - 1
      start + u32(0x7fffffff) + bytes_of("tEXt") + ByteVector(8, 0) + data + end,  // length beyond the file
      start,                                                                       // nothing after the header
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

TEST_CASE("what is wrong after a PNG's image data begin is told") {
  const ByteVector start = png_signature() + ihdr(2, 2, 8, 2), data = chunk("IDAT", {1}),
                   end = chunk("IEND", {});
  for (const ByteVector& file :
       {start + data, start + data + ByteVector{0, 0, 0},
        start + u32(5) + bytes_of("IDAT") + ByteVector{1, 2},
        start + data + u32(0xffffffff) + bytes_of("IDAT") + ByteVector(8, 0) + end,
        start + data + u32(9) + bytes_of("tEXt"), start + data + ihdr(2, 2, 8, 2) + end}) {
    CAPTURE(file.size());
    REQUIRE(read_header(file).odd_end);
    CHECK(read_header(file).odd_end->what.starts_with("PNG: "));
  }
  CHECK_FALSE(read_header(start + data + end).odd_end);
}

TEST_CASE("a JPEG or PNG cut anywhere is an error, or odd at its end") {
  for (const ByteVector& file :
       {jpeg(exif_app1(exif_tiff(6, true))), png_file(chunk("eXIf", exif_tiff(6, false)))}) {
    REQUIRE(read_header(file).orientation == 6);
    const bool is_jpeg = file[0] == 0xff;
    // A JPEG's image data begin after the scan's header, a PNG's with the chunk's.
    const std::size_t data_begin = is_jpeg ? file.size() - 6 : file.size() - 12 - 12 - 3 + 8;
    for (std::size_t size = 1; size < file.size(); ++size) {
      CAPTURE(size, file.size());
      const ByteVector cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      if (size < data_begin)
        CHECK(failure(cut) == ErrorCode::damaged_image);
      else
        CHECK(read_header(cut).odd_end.has_value());
    }
  }
}

TEST_CASE("other files are named in the error") {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, std::string_view> cases[] = {
      {""sv, "empty"},
      {"GIF89a\1\0"sv, "GIF"},
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
    CHECK(message.find("JPEG, PNG or WebP") != std::string::npos);
  }
  // A PNG that went through a text-mode transfer.
  CHECK(failure(bytes_of("\x89PNG\n\x1a\n\0\0\0\rIHDR"sv)) == ErrorCode::damaged_image);
}

namespace {

ByteVector riff_chunk(std::string_view name, const ByteVector& data) {
  const ByteVector padding(data.size() % 2, 0);
  return bytes_of(name) + u32(static_cast<std::uint32_t>(data.size()), true) + data + padding;
}

ByteVector webp(const ByteVector& chunks) {
  return bytes_of("RIFF") + u32(static_cast<std::uint32_t>(4 + chunks.size()), true) + bytes_of("WEBP") +
         chunks;
}

ByteVector u24(std::uint32_t value) {
  const ByteVector four = u32(value, true);
  return {four.begin(), four.begin() + 3};
}

/// The head of a key frame (RFC 6386, 9.1); the walk looks no further.
ByteVector vp8(unsigned width, unsigned height) {
  return riff_chunk("VP8 ", ByteVector{0, 0, 0, 0x9d, 0x01, 0x2a} + u16(width, true) + u16(height, true));
}

ByteVector vp8l(unsigned width, unsigned height) {
  return riff_chunk("VP8L", ByteVector{0x2f} + u32((width - 1) | (height - 1) << 14, true));
}

ByteVector vp8x(std::uint8_t flags, unsigned width, unsigned height) {
  return riff_chunk("VP8X", ByteVector{flags, 0, 0, 0} + u24(width - 1) + u24(height - 1));
}

ByteVector anmf(unsigned x, unsigned y, unsigned width, unsigned height, const ByteVector& chunks) {
  return riff_chunk(
      "ANMF", u24(x / 2) + u24(y / 2) + u24(width - 1) + u24(height - 1) + u24(100) + ByteVector{0} + chunks);
}

}  // namespace

TEST_CASE("WebP headers are read") {
  const auto size = [](const ByteVector& file) {
    const Header header = read_header(file);
    CHECK(header.format == Format::webp);
    return std::pair{header.width, header.height};
  };
  using Size = std::pair<int, int>;
  CHECK(size(webp(vp8(20, 10))) == Size{20, 10});
  CHECK(size(webp(vp8(20 | 1 << 14, 10 | 3 << 14))) == Size{20, 10});  // the high bits are for upscaling
  CHECK(size(webp(vp8l(16384, 1))) == Size{16384, 1});
  CHECK(size(webp(vp8x(0, 20, 10) + vp8(20, 10)) + bytes_of("trailing data")) == Size{20, 10});
  CHECK(size(webp(vp8x(0x10, 20, 10) + riff_chunk("ALPH", {1, 2, 3}) + vp8(20, 10))) == Size{20, 10});
  CHECK(size(webp(vp8x(0x02, 30, 25) + riff_chunk("ANIM", ByteVector(6, 0)) +
                  anmf(10, 14, 20, 11, vp8(20, 11)))) == Size{30, 25});
  const ByteVector exif = riff_chunk("EXIF", exif_tiff(6, true));
  CHECK(read_header(webp(vp8x(0x08, 20, 10) + vp8(20, 10) + exif)).orientation == 6);
  CHECK(read_header(webp(vp8x(0x08, 20, 10) + vp8(20, 10) + riff_chunk("EXIF", {1, 2}))).orientation == 1);
  CHECK(failure(webp(vp8(20, 10)), nullptr, {.max_pixels = 199}) == ErrorCode::image_too_large);
  CHECK(failure(webp(vp8x(0, 1 << 24, 1 << 24) + vp8(20, 10))) == ErrorCode::damaged_image);
}

TEST_CASE("broken WebP structure is damage") {
  const ByteVector still = webp(vp8(20, 10)),
                   animation = webp(vp8x(2, 30, 25) + anmf(10, 14, 20, 11, vp8(20, 11)));
  const ByteVector files[] = {
      webp({}),
      webp(riff_chunk("XXXX", {1, 2})),
      webp(vp8(0, 10)),
      webp(riff_chunk("VP8 ", ByteVector(10, 0))),                     // no start code
      webp(riff_chunk("VP8 ", {1, 0, 0, 0x9d, 1, 0x2a, 9, 0, 9, 0})),  // no key frame
      webp(riff_chunk("VP8 ", {0, 0, 0, 0x9d})),
      webp(riff_chunk("VP8L", {0x2f, 1, 2})),
      webp(riff_chunk("VP8L", {0x2e, 1, 2, 3, 4})),
      webp(riff_chunk("VP8X", {0, 0})),
      webp(vp8x(0, 20, 10)),                                      // no image
      webp(vp8x(0, 21, 10) + vp8(20, 10)),                        // of another size
      webp(vp8x(2, 20, 10) + vp8(20, 10)),                        // no frame
      webp(vp8x(2, 30, 25) + anmf(12, 14, 20, 11, vp8(20, 11))),  // over the canvas
      webp(vp8x(2, 30, 25) + anmf(10, 14, 20, 11, vp8(20, 10))),  // of another size
      webp(vp8x(2, 30, 25) + anmf(10, 14, 20, 11, riff_chunk("ALPH", {1}))),
      webp(vp8x(2, 30, 25) + riff_chunk("ANMF", ByteVector(15, 0))),
  };
  for (const ByteVector& file : files) {
    CAPTURE(&file - files);
    CHECK(failure(file) == ErrorCode::damaged_image);
  }
  for (const ByteVector& file : {still, animation})
    for (std::size_t cut = 4; cut < file.size(); ++cut)  // before, nothing tells it from text
      CHECK(failure(ByteVector(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(cut))) ==
            ErrorCode::damaged_image);
  ByteVector odd = still;
  odd[4] = 1;  // a size that does not even hold its name
  odd[5] = odd[6] = odd[7] = 0;
  CHECK(failure(odd) == ErrorCode::damaged_image);
}

TEST_CASE("a JPEG is reduced as far as its short side allows, and what is decoded counts") {
  const ByteVector large = kSoi + frame(0xc0, 4000, 3000, 3) + scan(3) + kEoi;
  const auto reduction = [&](int least) { return read_header(large, {.least_short_side = least}).reduction; };
  CHECK(reduction(0) == 1);
  CHECK(reduction(3001) == 1);
  CHECK(reduction(1501) == 1);
  CHECK(reduction(1500) == 2);
  CHECK(reduction(751) == 2);
  CHECK(reduction(750) == 4);
  CHECK(reduction(375) == 8);
  CHECK(reduction(1) == 8);
  CHECK(failure(large, nullptr, {.max_pixels = 500 * 375 - 1, .least_short_side = 1}) ==
        ErrorCode::image_too_large);
  CHECK(read_header(large, {.max_pixels = 500 * 375, .least_short_side = 1}).width == 4000);
  CHECK(read_header(png_file(), {.least_short_side = 1}).reduction == 1);
}
