// make_image_seeds DIR: one small image of each kind that JPEG, PNG and WebP have, for fuzz_header and fuzz_decode.
#include <dlfcn.h>

#include <cstdio>  // jpeglib.h needs FILE
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <jpeglib.h>

#include "support/image_bytes.h"
#include "support/temp_dir.h"

namespace fs = std::filesystem;
using namespace test;

namespace {

constexpr unsigned kWidth = 19, kHeight = 13;  // neither is whole blocks

struct JpegKind {
  std::string name;
  int components = 3;  // 1: grey, 3: RGB, 4: CMYK
  bool progressive = false;
  bool arithmetic = false;
  unsigned restart_interval = 0;
  int horizontal_sampling = 1;  // of the first component
  int vertical_sampling = 1;
};

std::uint8_t sample(unsigned x, unsigned y, unsigned component) {
  return static_cast<std::uint8_t>(17 * x + 29 * y * (component + 1) + (x * y) % 23);
}

ByteVector jpeg(const JpegKind& kind) {
  jpeg_compress_struct codec{};
  jpeg_error_mgr errors{};
  codec.err = jpeg_std_error(&errors);
  jpeg_create_compress(&codec);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&codec, &data, &size);
  codec.image_width = kWidth;
  codec.image_height = kHeight;
  codec.input_components = kind.components;
  codec.in_color_space = kind.components == 1 ? JCS_GRAYSCALE : kind.components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, 60, TRUE);
  if (kind.progressive) jpeg_simple_progression(&codec);
  codec.arith_code = kind.arithmetic ? TRUE : FALSE;
  codec.restart_interval = kind.restart_interval;
  codec.comp_info[0].h_samp_factor = kind.horizontal_sampling;
  codec.comp_info[0].v_samp_factor = kind.vertical_sampling;
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < codec.image_height) {
    ByteVector row;
    for (unsigned x = 0; x < kWidth; ++x)
      for (unsigned c = 0; c < static_cast<unsigned>(kind.components); ++c)
        row.push_back(sample(x, codec.next_scanline, c));
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&codec, rows, 1);
  }
  jpeg_finish_compress(&codec);
  ByteVector bytes(data, data + size);
  jpeg_destroy_compress(&codec);
  std::free(data);
  return bytes;
}

std::vector<std::pair<std::string, ByteVector>> jpegs() {
  const JpegKind kinds[] = {
      {.name = "rgb"},
      {.name = "grey", .components = 1},
      {.name = "cmyk", .components = 4},
      {.name = "420", .horizontal_sampling = 2, .vertical_sampling = 2},
      {.name = "411", .horizontal_sampling = 4},
      {.name = "progressive", .progressive = true},
      {.name = "grey_progressive", .components = 1, .progressive = true},
      {.name = "arithmetic", .arithmetic = true},
      {.name = "arithmetic_progressive", .progressive = true, .arithmetic = true},
      {.name = "restarts", .restart_interval = 2, .horizontal_sampling = 2},
  };
  std::vector<std::pair<std::string, ByteVector>> files;
  for (const JpegKind& kind : kinds) files.emplace_back(kind.name + ".jpg", jpeg(kind));
  const ByteVector plain = jpeg(kinds[0]);
  files.emplace_back("exif.jpg", after_soi(plain, exif_app1(exif_tiff(6, true))));
  files.emplace_back("comment.jpg",
                     after_soi(plain, segment(0xfe, bytes_of("seed")) + segment(0xdd, {0, 1})));
  return files;
}

struct PngKind {
  std::string name;
  std::uint8_t depth;
  std::uint8_t color;
  unsigned channels;
  bool interlaced = false;
  ByteVector before_data = {};
};

/// Rows of one picture or of one interlacing pass: a filter byte each, all five filters in turn, and samples.
ByteVector png_rows(unsigned width, unsigned height, unsigned bits_per_pixel) {
  ByteVector rows;
  for (unsigned y = 0; width > 0 && y < height; ++y) {
    rows.push_back(static_cast<std::uint8_t>(y % 5));
    for (unsigned i = 0; i < (width * bits_per_pixel + 7) / 8; ++i) rows.push_back(sample(i, y, 0));
  }
  return rows;
}

ByteVector png_file(const PngKind& kind) {
  struct Pass {
    unsigned x, y, dx, dy;
  };
  constexpr Pass kAdam7[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                             {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  const unsigned bits = kind.depth * kind.channels;
  ByteVector rows;
  if (kind.interlaced) {
    for (const Pass& p : kAdam7)
      rows = rows + png_rows((kWidth - p.x + p.dx - 1) / p.dx, (kHeight - p.y + p.dy - 1) / p.dy, bits);
  } else {
    rows = png_rows(kWidth, kHeight, bits);
  }
  return png(ihdr(kWidth, kHeight, kind.depth, kind.color, kind.interlaced ? 1 : 0), rows, kind.before_data);
}

std::vector<std::pair<std::string, ByteVector>> pngs() {
  ByteVector colors;
  for (unsigned i = 0; i < 3 * 256; ++i) colors.push_back(sample(i, i, 1));
  const ByteVector palette = chunk("PLTE", colors),
                   small_palette = chunk("PLTE", ByteVector(colors.begin(), colors.begin() + 6));
  const PngKind kinds[] = {
      {"grey1", 1, 0, 1},
      {"grey2", 2, 0, 1},
      {"grey4", 4, 0, 1, true},
      {"grey8", 8, 0, 1},
      {"grey16", 16, 0, 1, true},
      {"rgb8", 8, 2, 3, false, chunk("gAMA", u32(45455)) + chunk("sRGB", {0})},
      {"rgb8_interlaced", 8, 2, 3, true},
      {"rgb16", 16, 2, 3},
      {"rgb8_transparent", 8, 2, 3, false, chunk("tRNS", {0, 1, 0, 2, 0, 3})},
      {"palette1", 1, 3, 1, false, small_palette + chunk("tRNS", {7})},
      {"palette8", 8, 3, 1, true, palette + chunk("tRNS", {0, 128})},
      {"grey_alpha8", 8, 4, 2},
      {"grey_alpha16", 16, 4, 2},
      {"rgba8", 8, 6, 4, false, chunk("eXIf", exif_tiff(8, false))},
      {"rgba16", 16, 6, 4, true},
  };
  std::vector<std::pair<std::string, ByteVector>> files;
  for (const PngKind& kind : kinds) files.emplace_back(kind.name + ".png", png_file(kind));
  return files;
}

/// What libwebp's simple functions of <webp/encode.h> make; loaded as the program loads it, without its headers.
ByteVector webp(const char* function, unsigned channels, bool lossy) {
  void* const library = dlopen("libwebp.so.7", RTLD_NOW | RTLD_LOCAL);
  void* const encode = library == nullptr ? nullptr : dlsym(library, function);
  if (encode == nullptr) throw std::runtime_error(dlerror());
  ByteVector pixels;
  for (unsigned y = 0; y < kHeight; ++y)
    for (unsigned x = 0; x < kWidth; ++x)
      for (unsigned c = 0; c < channels; ++c) pixels.push_back(sample(x, y, c));
  std::uint8_t* data = nullptr;
  const int row_bytes = static_cast<int>(kWidth * channels);
  using Lossless = std::size_t (*)(const std::uint8_t*, int, int, int, std::uint8_t**);
  using Lossy = std::size_t (*)(const std::uint8_t*, int, int, int, float, std::uint8_t**);
  const std::size_t size =
      lossy ? reinterpret_cast<Lossy>(encode)(pixels.data(), kWidth, kHeight, row_bytes, 60, &data)
            : reinterpret_cast<Lossless>(encode)(pixels.data(), kWidth, kHeight, row_bytes, &data);
  ByteVector bytes(data, data + size);
  std::free(data);
  return bytes;
}

ByteVector riff_chunk(std::string_view type, const ByteVector& data) {
  return bytes_of(type) + u32(static_cast<std::uint32_t>(data.size()), true) + data +
         ByteVector(data.size() % 2);
}

ByteVector u24(unsigned value) {
  return {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8),
          static_cast<std::uint8_t>(value >> 16)};
}

/// A file in the extended format: `flags` and what they announce.
ByteVector extended_webp(std::uint8_t flags, const ByteVector& chunks) {
  const ByteVector size = u24(kWidth - 1) + u24(kHeight - 1);
  return riff_chunk("RIFF",
                    bytes_of("WEBP") + riff_chunk("VP8X", ByteVector{flags, 0, 0, 0} + size) + chunks);
}

std::vector<std::pair<std::string, ByteVector>> webps() {
  const ByteVector lossy = webp("WebPEncodeRGB", 3, true),
                   lossless = webp("WebPEncodeLosslessRGBA", 4, false);
  const ByteVector image(lossy.begin() + 12, lossy.end()), second(lossless.begin() + 12, lossless.end());
  const ByteVector size = u24(kWidth - 1) + u24(kHeight - 1);
  const auto frame = [&](const ByteVector& data) {
    return riff_chunk("ANMF", u24(0) + u24(0) + size + u24(40) + ByteVector{2} + data);
  };
  return {{"lossy.webp", lossy},
          {"lossless.webp", lossless},
          {"alpha.webp", webp("WebPEncodeRGBA", 4, true)},
          {"exif.webp", extended_webp(0x08, image + riff_chunk("EXIF", exif_tiff(6, true)))},
          {"profile.webp", extended_webp(0x30, riff_chunk("ICCP", bytes_of("none")) + second)},
          {"animation.webp",
           extended_webp(0x02, riff_chunk("ANIM", u32(0) + u16(0)) + frame(image) + frame(second))}};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: make_image_seeds DIR\n", stderr);
    return 2;
  }
  fs::create_directories(argv[1]);
  for (const auto& files : {jpegs(), pngs(), webps()})
    for (const auto& [name, bytes] : files)
      mnv2::test::write_file(fs::path(argv[1]) / name, std::string(bytes.begin(), bytes.end()));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "make_image_seeds: %s\n", error.what());
  return 1;
}
