// The decoder against pixels computed by naive loops, and against damage.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <opencv2/imgcodecs.hpp>
#include <random>
#include <string>
#include <thread>

#include "app/image/decode.h"
#include "app/image/read_file.h"
#include "mnv2/error.h"
#include "support/catch.h"
#include "support/image_bytes.h"

namespace fs = std::filesystem;
using mnv2::Error;
using mnv2::ErrorCode;
using mnv2::image::decode_image;
using mnv2::image::DecodedImage;
using mnv2::image::Format;
using mnv2::image::read_file;
using namespace test;

namespace {

using Rgb = std::array<int, 3>;

Rgb pixel(const DecodedImage& image, int x, int y) {
  const std::uint8_t* bgr = image.view.data + y * image.view.row_bytes + 3 * x;
  return {bgr[2], bgr[1], bgr[0]};
}

template <typename Call>
ErrorCode failure(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(std::string(error.what()).size() > 5);
    return error.code();
  }
  return ErrorCode::internal;
}

ErrorCode decode_failure(const ByteVector& bytes) {
  return failure([&] { decode_image(bytes); });
}

/// Noise in smooth patches, so that a JPEG of it has every kind of coefficient.
ByteVector encoded(const char* extension, int width = 33, int height = 21,
                   const std::vector<int>& options = {}) {
  cv::Mat image(height, width, CV_8UC3);
  std::mt19937 random(7);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const auto noise = static_cast<std::uint8_t>(random() % 64);
      image.at<cv::Vec3b>(y, x) = {static_cast<std::uint8_t>(4 * x + noise), static_cast<std::uint8_t>(6 * y),
                                   static_cast<std::uint8_t>(128 + noise)};
    }
  }
  ByteVector bytes;
  REQUIRE(cv::imencode(extension, image, bytes, options));
  return bytes;
}

ByteVector prefix(const ByteVector& bytes, std::size_t size) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

/// What a call prints on the file descriptors 1 and 2.
template <typename Call>
std::string printed_by(Call&& call) {
  std::FILE* file = std::tmpfile();
  std::fflush(nullptr);
  const int saved_out = dup(1), saved_err = dup(2);
  dup2(fileno(file), 1);
  dup2(fileno(file), 2);
  call();
  std::fflush(nullptr);
  dup2(saved_out, 1);
  dup2(saved_err, 2);
  close(saved_out);
  close(saved_err);
  std::string text(static_cast<std::size_t>(std::ftell(file) < 0 ? 0 : lseek(fileno(file), 0, SEEK_END)),
                   '\0');
  std::rewind(file);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "mnv2-image-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

}  // namespace

TEST_CASE("each EXIF orientation is turned upright, pixel for pixel") {
  // 3 x 2 pixels; pixel (x, y) is {10 x, 20 y, 99}.
  constexpr int kWidth = 3, kHeight = 2;
  ByteVector rows;
  for (int y = 0; y < kHeight; ++y) {
    rows.push_back(0);
    for (int x = 0; x < kWidth; ++x) {
      rows = rows + ByteVector{static_cast<std::uint8_t>(10 * x), static_cast<std::uint8_t>(20 * y), 99};
    }
  }
  for (unsigned orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    const ByteVector file =
        png(ihdr(kWidth, kHeight, 8, 2), rows, chunk("eXIf", exif_tiff(orientation, false)));
    const DecodedImage upright = decode_image(file);
    CHECK(upright.orientation == static_cast<int>(orientation));
    const bool swapped = orientation >= 5;
    REQUIRE(upright.view.width == (swapped ? kHeight : kWidth));
    REQUIRE(upright.view.height == (swapped ? kWidth : kHeight));
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        // Where EXIF says that row 0 and column 0 of the stored image belong (e.g. 6: right and top).
        const int mx = kWidth - 1 - x, my = kHeight - 1 - y;
        const std::array<int, 2> to[9] = {{},     {x, y},  {mx, y},  {mx, my}, {x, my},
                                          {y, x}, {my, x}, {my, mx}, {y, mx}};
        CHECK(pixel(upright, to[orientation][0], to[orientation][1]) == Rgb{10 * x, 20 * y, 99});
      }
    }
    const DecodedImage stored = decode_image(file, {.apply_orientation = false});
    CHECK(stored.orientation == 1);
    CHECK(stored.view.width == kWidth);
    CHECK(pixel(stored, 2, 1) == Rgb{20, 20, 99});
  }
}

TEST_CASE("a JPEG with EXIF orientation is turned") {
  const ByteVector plain = encoded(".jpg"), turned = after_soi(plain, exif_app1(exif_tiff(6, true)));
  const DecodedImage a = decode_image(plain), b = decode_image(turned);
  CHECK(a.format == Format::jpeg);
  CHECK(b.orientation == 6);
  REQUIRE(b.view.width == a.view.height);
  for (int y = 0; y < a.view.height; ++y) {
    for (int x = 0; x < a.view.width; ++x) REQUIRE(pixel(b, a.view.height - 1 - y, x) == pixel(a, x, y));
  }
}

TEST_CASE("every kind of PNG becomes 8-bit colour") {
  const ByteVector palette = chunk("PLTE", {10, 20, 30, 40, 50, 60});
  struct Case {
    const char* name;
    ByteVector file;
    Rgb first, second;
  };
  const Case cases[] = {
      {"grey 1", png(ihdr(2, 1, 1, 0), {0, 0x40}), {0, 0, 0}, {255, 255, 255}},
      {"grey 8", png(ihdr(2, 1, 8, 0), {0, 7, 200}), {7, 7, 7}, {200, 200, 200}},
      // The high byte: neither rounded (0x12) nor clipped to white.
      {"grey 16",
       png(ihdr(2, 1, 16, 0), {0, 0x11, 0xff, 0xfe, 0x01}),
       {0x11, 0x11, 0x11},
       {0xfe, 0xfe, 0xfe}},
      {"grey alpha", png(ihdr(2, 1, 8, 4), {0, 7, 0, 200, 128}), {7, 7, 7}, {200, 200, 200}},
      {"rgb alpha: dropped", png(ihdr(2, 1, 8, 6), {0, 1, 2, 3, 0, 4, 5, 6, 128}), {1, 2, 3}, {4, 5, 6}},
      {"rgb 16", png(ihdr(2, 1, 16, 2), {0, 1, 255, 2, 255, 3, 255, 4, 0, 5, 0, 6, 0}), {1, 2, 3}, {4, 5, 6}},
      {"palette 1", png(ihdr(2, 1, 1, 3), {0, 0x40}, palette), {10, 20, 30}, {40, 50, 60}},
      {"palette 8", png(ihdr(2, 1, 8, 3), {0, 1, 0}, palette), {40, 50, 60}, {10, 20, 30}},
      {"transparent palette",
       png(ihdr(2, 1, 8, 3), {0, 1, 0}, palette + chunk("tRNS", {0})),
       {40, 50, 60},
       {10, 20, 30}},
      {"gamma: ignored",
       png(ihdr(2, 1, 8, 0), {0, 7, 200}, chunk("gAMA", u32(100000))),
       {7, 7, 7},
       {200, 200, 200}},
  };
  for (const Case& test : cases) {
    CAPTURE(test.name);
    const DecodedImage image = decode_image(test.file);
    CHECK(image.format == Format::png);
    REQUIRE(image.view.width == 2);
    REQUIRE(image.view.height == 1);
    CHECK(image.view.order == mnv2::ChannelOrder::bgr);
    CHECK(pixel(image, 0, 0) == test.first);
    CHECK(pixel(image, 1, 0) == test.second);
    CHECK(image.warnings.empty());
  }
}

TEST_CASE("a CMYK JPEG becomes RGB, by Adobe's convention, within 2 levels") {
  // 8 x 8 pixels of one colour: 4 DC coefficients. A quantizer of 8 makes DC value d the sample 128 + d.
  ByteVector quantizers(64, 1), no_codes(14, 0);
  quantizers[0] = 8;
  const ByteVector dc_codes = ByteVector{0x00, 1, 1} + no_codes + ByteVector{0, 7};  // 0: none, 10: 7 bits
  const ByteVector ac_codes = ByteVector{0x10, 1, 0} + no_codes + ByteVector{0};     // 0: end of block
  const ByteVector components = {4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0};
  // Samples C 28, M 200, Y 128, K 200: DC -100 (10 0011011), 72 (10 1001000), 0 (0), 72, an end of block
  // after each.
  const ByteVector entropy = {0x8d, 0xa9, 0x02, 0x90};
  const ByteVector file =
      ByteVector{0xff, 0xd8} + segment(0xdb, ByteVector{0} + quantizers) +
      segment(0xc0, ByteVector{8, 0, 8, 0, 8} + components) + segment(0xc4, dc_codes + ac_codes) +
      segment(0xda, {4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0}) + entropy + ByteVector{0xff, 0xd9};
  const DecodedImage image = decode_image(file);
  REQUIRE(image.view.width == 8);
  CHECK(image.warnings.empty());
  const Rgb expected = {28 * 200 / 255, 200 * 200 / 255, 128 * 200 / 255}, found = pixel(image, 7, 7);
  for (std::size_t i = 0; i < 3; ++i) {
    CAPTURE(i, expected[i], found[i]);
    CHECK(std::abs(expected[i] - found[i]) <= 2);
  }
}

TEST_CASE("the codecs' complaints go to the record and nowhere else") {
  const ByteVector jpeg = encoded(".jpg");
  ByteVector corrupt = prefix(jpeg, jpeg.size() - 40) + ByteVector{0xff, 0xd9};
  DecodedImage image;
  CHECK(printed_by([&] { image = decode_image(corrupt); }) == "");
  REQUIRE(image.warnings.size() == 1);
  CHECK(image.warnings[0] == "libjpeg: Corrupt JPEG data: premature end of data segment");

  // Metadata that libpng complains about say nothing about the picture.
  const ByteVector odd =
      png(ihdr(1, 1, 8, 0), {0, 7}, chunk("pHYs", ByteVector(9, 0)) + chunk("pHYs", ByteVector(9, 0)));
  CHECK(printed_by([&] { image = decode_image(odd); }) == "");
  CHECK(image.warnings.empty());

  // More image data than pixels: said in the record.
  const ByteVector more = png(ihdr(1, 1, 8, 0), {0, 7, 0, 7, 0, 7});
  CHECK(printed_by([&] { image = decode_image(more); }) == "");
  REQUIRE(image.warnings.size() == 1);
  CHECK(image.warnings[0].find("libpng: IDAT: ") == 0);

  std::string message;
  const ByteVector bad_filter = png(ihdr(1, 1, 8, 0), {9, 7});
  CHECK(printed_by([&] {
          try {
            decode_image(bad_filter);
          } catch (const Error& error) {
            message = error.what();
          }
        }) == "");
  CHECK(message == "libpng: bad adaptive filter value");
}

TEST_CASE("image data that decoders reject are damage") {
  ByteVector crc = png(ihdr(1, 1, 8, 0), {0, 7});
  crc[crc.size() - 12 - 1] ^= 1;  // the last byte of IDAT's checksum
  CHECK(decode_failure(crc) == ErrorCode::damaged_image);
  ByteVector header_crc = png(ihdr(1, 1, 8, 0), {0, 7});
  header_crc[8 + 8 + 13] ^= 1;
  CHECK(decode_failure(header_crc) == ErrorCode::damaged_image);
  CHECK(decode_failure(png(ihdr(1, 3, 8, 0), {0, 7})) == ErrorCode::damaged_image);  // two rows missing
  CHECK(decode_failure(png_signature() + ihdr(1, 1, 8, 0) + chunk("IDAT", {1, 2, 3}) + chunk("IEND", {})) ==
        ErrorCode::damaged_image);
  CHECK(decode_failure({}) == ErrorCode::unsupported_format);
}

TEST_CASE("limits hold before memory is asked for") {
  CHECK(failure([] { decode_image(encoded(".png"), {.limits = {.max_pixels = 100}}); }) ==
        ErrorCode::image_too_large);
  // A side that libpng does not decode, within the limit on pixels.
  CHECK(decode_failure(png(ihdr(1'000'001, 1, 8, 0), {0})) == ErrorCode::image_too_large);
}

TEST_CASE("what decoding will take is told before, and nothing for a file that is not decoded") {
  const auto told = [](const ByteVector& bytes, bool apply_orientation = true) {
    std::vector<std::int64_t> sizes;
    try {
      decode_image(bytes, {.limits = {.max_pixels = 1000},
                           .apply_orientation = apply_orientation,
                           .before_decoding = [&](std::int64_t size) { sizes.push_back(size); }});
    } catch (const Error&) {
    }
    return sizes;
  };
  using Sizes = std::vector<std::int64_t>;
  constexpr int kPixels = 33 * 21;
  const ByteVector plain = encoded(".jpg");
  CHECK(told(plain) == Sizes{3 * kPixels});
  CHECK(told(encoded(".png")) == Sizes{3 * kPixels});
  CHECK(told(encoded(".jpg", 33, 21, {cv::IMWRITE_JPEG_PROGRESSIVE, 1})) == Sizes{(3 + 6) * kPixels});
  const ByteVector turned = after_soi(plain, exif_app1(exif_tiff(6, true)));
  CHECK(told(turned) == Sizes{9 * kPixels});
  CHECK(told(turned, false) == Sizes{3 * kPixels});
  CHECK(told(encoded(".jpg", 100, 100)).empty());  // too large
  CHECK(told(prefix(plain, plain.size() / 2)).empty());
}

TEST_CASE("OpenCV starts no threads of its own") {
  mnv2::image::init_decoder();
  CHECK(cv::getNumThreads() == 1);
  const auto threads = [] {
    return std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator());
  };
  const auto before = threads();
  decode_image(after_soi(encoded(".jpg", 2000, 1500), exif_app1(exif_tiff(6, true))));
  CHECK(threads() == before);
}

TEST_CASE("what begins as a JPEG or PNG is told without reading the rest") {
  const TemporaryFolder folder;
  const auto begins = [&](const ByteVector& bytes) {
    std::ofstream(folder / "f", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return mnv2::image::begins_as_image(folder / "f");
  };
  CHECK(begins(encoded(".jpg")));
  CHECK(begins(encoded(".png")));
  CHECK(begins({0xff, 0xd8, 0xff}));
  CHECK(begins(bytes_of("RIFFsizeWEBP")));
  CHECK_FALSE(begins(bytes_of("RIFFsizeWAVE")));
  CHECK_FALSE(begins({0xff, 0xd8}));
  CHECK_FALSE(begins({}));
  CHECK_FALSE(begins(bytes_of("GIF89a and so on")));
  CHECK_FALSE(mnv2::image::begins_as_image(folder / "missing"));
  CHECK_FALSE(mnv2::image::begins_as_image(folder / ""));  // a directory
}

namespace {

ByteVector pixels_of(const DecodedImage& image) {
  ByteVector pixels;
  for (int y = 0; y < image.view.height; ++y) {
    const std::uint8_t* row = image.view.data + y * image.view.row_bytes;
    pixels.insert(pixels.end(), row, row + std::ptrdiff_t{3} * image.view.width);
  }
  return pixels;
}

/// Every kind of file whose data end differs.
std::vector<ByteVector> kinds_of_files() {
  return {encoded(".jpg"),
          encoded(".jpg", 33, 21, {cv::IMWRITE_JPEG_PROGRESSIVE, 1}),
          encoded(".jpg", 33, 21, {cv::IMWRITE_JPEG_RST_INTERVAL, 1}),
          encoded(".jpg", 33, 21, {cv::IMWRITE_JPEG_OPTIMIZE, 1}),
          encoded(".png"),
          encoded(".png", 33, 21, {cv::IMWRITE_PNG_COMPRESSION, 0}),
          png(ihdr(3, 2, 8, 2, 1), ByteVector(2 * (1 + 3) + 3 * (1 + 6) + 10 + 10, 0))};
}

}  // namespace

TEST_CASE("a JPEG or PNG cut anywhere is an error, or the whole picture with a warning") {
  for (const ByteVector& file : kinds_of_files()) {
    const DecodedImage whole = decode_image(file);
    REQUIRE(decode_image(file + bytes_of("trailing data")).warnings == whole.warnings);
    std::size_t decoded = 0;
    for (std::size_t size = 0; size < file.size(); ++size) {
      CAPTURE(size, file.size());
      const ByteVector cut = prefix(file, size);
      try {
        const DecodedImage image = decode_image(cut);
        ++decoded;
        CHECK(pixels_of(image) == pixels_of(whole));
        REQUIRE_FALSE(image.warnings.empty());
        CHECK(image.warnings[0].ends_with("; the picture is whole"));
      } catch (const Error& error) {
        CHECK(error.code() == (size == 0 ? ErrorCode::unsupported_format : ErrorCode::damaged_image));
        CHECK(decoded == 0);  // what is enough stays enough
      }
    }
    CHECK(decoded >= 2);  // without the end marker or a part of it, at least
  }
}

TEST_CASE("a whole picture is decoded whatever follows it") {
  const ByteVector end = {0xff, 0xd9}, soi = {0xff, 0xd8};
  const ByteVector dht = segment(0xc4, ByteVector{7} + ByteVector(16, 0));
  for (const ByteVector& file : {encoded(".jpg"), encoded(".jpg", 33, 21, {cv::IMWRITE_JPEG_PROGRESSIVE, 1}),
                                 encoded(".jpg", 33, 21, {cv::IMWRITE_JPEG_RST_INTERVAL, 2})}) {
    const auto expected = pixels_of(decode_image(file));
    const ByteVector open = prefix(file, file.size() - 2);
    const ByteVector tails[] = {{},
                                {0xff},
                                bytes_of("a camera's trailer, as long as it likes"),
                                soi + end,                        // another image
                                {0xff, 0xfc, 0, 2, 0xff, 0xd9},   // a marker that is none
                                dht + end,                        // a table that is none
                                {0xff, 0xfe, 0xff, 0xff, 1, 2},   // a comment beyond the end
                                {0xff, 0xda, 0, 2, 0xff, 0xd9}};  // a scan that is none
    for (const ByteVector& tail : tails) {
      CAPTURE(&tail - tails, file.size());
      const DecodedImage image = decode_image(open + tail);
      CHECK(pixels_of(image) == expected);
      REQUIRE_FALSE(image.warnings.empty());
    }
    // The same tails after a picture that is not whole.
    for (const ByteVector& tail : tails)
      CHECK(decode_failure(prefix(open, open.size() - 100) + tail) == ErrorCode::damaged_image);
  }
  const ByteVector png_file = encoded(".png");
  const auto expected = pixels_of(decode_image(png_file));
  const ByteVector open = prefix(png_file, png_file.size() - 12);
  ByteVector wrong_end = png_file;
  wrong_end.back() ^= 1;
  // Later versions of libpng get past some of these themselves, with a warning of their own.
  int decoded_without_tail = 0;
  for (const ByteVector& file :
       {open, open + bytes_of("abc"), open + chunk("ABCD", {1}) + chunk("IEND", {}), wrong_end,
        open + u32(0xffffffff) + bytes_of("tEXt"), open + ihdr(1, 1, 8, 0)}) {
    const DecodedImage image = decode_image(file);
    CHECK(pixels_of(image) == expected);
    REQUIRE_FALSE(image.warnings.empty());
    decoded_without_tail += image.warnings[0].ends_with("; the picture is whole") ? 1 : 0;
  }
  CHECK(decoded_without_tail >= 5);
}

TEST_CASE("comments and application segments may say any length that the decoder gets past") {
  const ByteVector file = encoded(".jpg");
  const auto expected = pixels_of(decode_image(file));
  for (const std::uint8_t marker : ByteVector{0xe1, 0xec, 0xfe})
    for (const std::uint8_t length : ByteVector{0, 1})
      CHECK(pixels_of(decode_image(after_soi(file, {0xff, marker, 0, length}))) == expected);
  // One byte less than it has, so that a byte of it is left over.
  CHECK(pixels_of(decode_image(after_soi(file, {0xff, 0xfe, 0, 4, 'a', 'b', 'c'}))) == expected);
}

TEST_CASE("mutated files give an image or an Error, and no output") {
  const ByteVector originals[] = {encoded(".jpg"), encoded(".jpg", 33, 21, {cv::IMWRITE_JPEG_PROGRESSIVE, 1}),
                                  encoded(".jpg", 33, 21, {cv::IMWRITE_JPEG_RST_INTERVAL, 1}),
                                  encoded(".png"), after_soi(encoded(".jpg"), exif_app1(exif_tiff(6, true)))};
  std::mt19937 random(20240229);
  int decoded = 0, refused = 0;
  const std::string printed = printed_by([&] {
    for (int round = 0; round < 4000; ++round) {
      ByteVector file = originals[static_cast<std::size_t>(round) % std::size(originals)];
      for (std::uint32_t edits = 1 + random() % 4; edits > 0; --edits) {
        // Half of them in the first bytes, where the structure is.
        const std::size_t at = random() % (random() % 2 ? file.size() : 64);
        file[at] = random() % 4 == 0 ? 0xff : static_cast<std::uint8_t>(random());
      }
      try {
        const DecodedImage image = decode_image(file, {.limits = {.max_pixels = 1 << 20, .max_scans = 50}});
        decoded += image.view.width > 0;
      } catch (const Error& error) {
        refused += error.code() != ErrorCode::internal;
      }
    }
  });
  CHECK(printed == "");
  CHECK(decoded + refused == 4000);
  CHECK(decoded > 500);
  CHECK(refused > 500);
}

TEST_CASE("threads decode at the same time, each with its own warnings") {
  const ByteVector good = encoded(".jpg"), corrupt = prefix(good, good.size() - 40) + ByteVector{0xff, 0xd9};
  std::array<int, 4> wrong{};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const bool is_corrupt = (i + static_cast<int>(t)) % 2 == 0;
        wrong[t] += decode_image(is_corrupt ? corrupt : good).warnings.size() != (is_corrupt ? 1u : 0u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::array<int, 4>{});
}

TEST_CASE("files are read whole, whatever their name") {
  const TemporaryFolder folder;
  const ByteVector content = encoded(".png");
  for (const std::string& name : {std::string("plain.png"), std::string("caf\xc3\xa9 \xe7\x8c\xab.jpg"),
                                  std::string("latin1-\xe9\xff\xfe"), std::string("new\nline")}) {
    std::ofstream(folder / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    CHECK(read_file(folder / name) == content);
  }
  fs::create_symlink("plain.png", folder / "link");
  CHECK(read_file(folder / "link") == content);
  std::ofstream(folder / "empty").flush();
  CHECK(read_file(folder / "empty").empty());
  const auto size = static_cast<std::int64_t>(content.size());
  CHECK(read_file(folder / "plain.png", size) == content);
  CHECK(failure([&] { read_file(folder / "plain.png", size - 1); }) == ErrorCode::image_too_large);
}

TEST_CASE("what is no readable file is an error, at once") {
  const TemporaryFolder folder;
  CHECK(failure([&] { read_file(folder / "missing.jpg"); }) == ErrorCode::file_not_found);
  std::ofstream(folder / "file") << "x";
  CHECK(failure([&] { read_file(folder / "file/below"); }) == ErrorCode::file_not_found);
  CHECK(failure([&] { read_file(""); }) == ErrorCode::file_not_found);
  CHECK(failure([&] { read_file(folder / ""); }) == ErrorCode::file_unreadable);  // a directory
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(failure([&] { read_file(folder / "fifo"); }) == ErrorCode::file_unreadable);
  CHECK(failure([] { read_file("/dev/zero"); }) == ErrorCode::file_unreadable);
  fs::create_symlink("loop", folder / "loop");
  CHECK(failure([&] { read_file(folder / "loop"); }) == ErrorCode::file_unreadable);
  CHECK(failure([&] { read_file(folder / std::string(5000, 'x')); }) == ErrorCode::file_unreadable);
  fs::permissions(folder / "file", fs::perms::none);
  if (access((folder / "file").c_str(), R_OK) != 0) {  // root may read everything
    CHECK(failure([&] { read_file(folder / "file"); }) == ErrorCode::file_unreadable);
  }
}

namespace {

/// Of a lean OpenCV there is no encoder.
bool can_encode_webp() { return cv::haveImageWriter("a.webp"); }

/// An animation whose only frame is the image of `still`, a simple WebP, at (x, y) of a canvas.
ByteVector animated(const ByteVector& still, unsigned x, unsigned y, unsigned width, unsigned height,
                    unsigned canvas_width, unsigned canvas_height) {
  const auto u24 = [](unsigned value) {
    return ByteVector{static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8), 0};
  };
  const auto chunk_of = [](std::string_view name, const ByteVector& data) {
    return bytes_of(name) + u32(static_cast<std::uint32_t>(data.size()), true) + data;
  };
  const ByteVector image(still.begin() + 12, still.end());
  const ByteVector chunks =
      chunk_of("VP8X", ByteVector{2, 0, 0, 0} + u24(canvas_width - 1) + u24(canvas_height - 1)) +
      chunk_of("ANIM", ByteVector(6, 0)) +
      chunk_of("ANMF",
               u24(x / 2) + u24(y / 2) + u24(width - 1) + u24(height - 1) + u24(40) + ByteVector{0} + image);
  return bytes_of("RIFF") + u32(static_cast<std::uint32_t>(4 + chunks.size()), true) + bytes_of("WEBP") +
         chunks;
}

}  // namespace

TEST_CASE("WebP images decode as OpenCV decodes them") {
  if (!can_encode_webp()) {
    WARN("this OpenCV writes no WebP");
    return;
  }
  for (const int quality : {75, 101}) {  // lossy, lossless
    const ByteVector file = encoded(".webp", 33, 21, {cv::IMWRITE_WEBP_QUALITY, quality});
    const cv::Mat expected = cv::imdecode(file, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    const DecodedImage image = decode_image(file + bytes_of("trailing data"));
    CHECK(image.format == Format::webp);
    REQUIRE(image.view.width == 33);
    REQUIRE(image.view.height == 21);
    for (int y = 0; y < 21; ++y)
      for (int x = 0; x < 33; ++x) {
        const cv::Vec3b& bgr = expected.at<cv::Vec3b>(y, x);
        REQUIRE(pixel(image, x, y) == Rgb{bgr[2], bgr[1], bgr[0]});
      }
    for (std::size_t size = 4; size < file.size(); size += size < 64 ? 1 : 7)
      CHECK(decode_failure(prefix(file, size)) == ErrorCode::damaged_image);
    // The first frame of an animation, on black.
    const DecodedImage frame = decode_image(animated(file, 4, 6, 33, 21, 50, 40));
    REQUIRE(frame.view.width == 50);
    REQUIRE(frame.view.height == 40);
    for (int y = 0; y < 40; ++y)
      for (int x = 0; x < 50; ++x) {
        const bool inside = x >= 4 && x < 37 && y >= 6 && y < 27;
        REQUIRE(pixel(frame, x, y) == (inside ? pixel(image, x - 4, y - 6) : Rgb{0, 0, 0}));
      }
  }
}

TEST_CASE("a large JPEG is decoded at a part of its size when that is enough") {
  const ByteVector file = encoded(".jpg", 333, 201);
  const DecodedImage whole = decode_image(file);
  CHECK(whole.width == 333);
  for (const int reduction : {1, 2, 4, 8}) {
    const int side = 201 / reduction;
    const DecodedImage image = decode_image(file, {.limits = {.least_short_side = side}});
    CHECK(image.view.width == (333 + reduction - 1) / reduction);
    CHECK(image.view.height == (201 + reduction - 1) / reduction);
    CHECK(image.width == 333);
    CHECK(image.height == 201);
    // The mean of the picture stays.
    const auto mean = [](const DecodedImage& of) {
      const ByteVector pixels = pixels_of(of);
      return std::accumulate(pixels.begin(), pixels.end(), 0.0) / static_cast<double>(pixels.size());
    };
    CHECK(std::abs(mean(image) - mean(whole)) < 1.5);
  }
  const DecodedImage turned =
      decode_image(after_soi(file, exif_app1(exif_tiff(6, true))), {.limits = {.least_short_side = 50}});
  CHECK(turned.width == 201);
  CHECK(turned.height == 333);
  CHECK(turned.view.width == 51);
  // What is damaged is found as before.
  CHECK(failure([&] { decode_image(prefix(file, file.size() / 2), {.limits = {.least_short_side = 50}}); }) ==
        ErrorCode::damaged_image);
  CHECK(decode_image(prefix(file, file.size() - 2), {.limits = {.least_short_side = 50}}).view.width == 84);
}
