// make_archive_seeds DIR: small archives of each kind that is read, for fuzz_archive.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/image_bytes.h"
#include "support/temp_dir.h"

namespace fs = std::filesystem;
using namespace test;

namespace {

constexpr std::size_t kBlock = 512;

ByteVector padded(ByteVector bytes, std::size_t size) {
  bytes.resize(size);
  return bytes;
}

ByteVector octal(std::size_t value, int digits) {
  std::string text(static_cast<std::size_t>(digits), '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, value /= 8)
    *digit = static_cast<char>('0' + value % 8);
  return bytes_of(text) + ByteVector{0};
}

/// A header of POSIX.1-2017 (pax, "ustar Interchange Format") with its data.
ByteVector entry(std::string_view name, char type, const ByteVector& data = {}, std::string_view link = {}) {
  const auto header = [&](const ByteVector& checksum) {
    return padded(padded(bytes_of(name), 100) + octal(0644, 7) + octal(0, 7) + octal(0, 7) +
                      octal(data.size(), 11) + octal(0, 11) + checksum +
                      ByteVector(1, static_cast<std::uint8_t>(type)) + padded(bytes_of(link), 100) +
                      bytes_of(std::string_view("ustar\0"
                                                "00",
                                                8)),
                  kBlock);
  };
  std::size_t sum = 0;
  for (const std::uint8_t byte : header(bytes_of("        "))) sum += byte;
  return header(octal(sum, 6) + bytes_of(" ")) + padded(data, (data.size() + kBlock - 1) / kBlock * kBlock);
}

ByteVector tar(const ByteVector& entries) { return entries + ByteVector(2 * kBlock); }

/// RFC 1952, with one stored block (RFC 1951).
ByteVector gzip(const ByteVector& data) {
  const auto size = static_cast<unsigned>(data.size());
  return ByteVector{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1} + u16(size, true) + u16(~size & 0xffff, true) +
         data + u32(crc32(data), true) + u32(size, true);
}

/// RFC 8878: one segment, whose size has two bytes, with one raw block.
ByteVector zstd(const ByteVector& data) {
  const auto size = static_cast<unsigned>(data.size());
  const std::uint32_t block = size << 3 | 1;
  return u32(0x28b52ffd) + ByteVector{0x60} + u16(size - 256, true) +
         ByteVector{static_cast<std::uint8_t>(block), static_cast<std::uint8_t>(block >> 8),
                    static_cast<std::uint8_t>(block >> 16)} +
         data;
}

/// APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16: one stored file.
ByteVector zip(std::string_view name, const ByteVector& data) {
  const auto size = static_cast<std::uint32_t>(data.size());
  const ByteVector common = u16(20, true) + u16(0) + u16(0) + u32(0) + u32(crc32(data), true) +
                            u32(size, true) + u32(size, true) +
                            u16(static_cast<unsigned>(name.size()), true) + u16(0);
  const ByteVector local = bytes_of("PK\3\4") + common + bytes_of(name) + data;
  const ByteVector central = bytes_of("PK\1\2") + u16(20, true) + common + u16(0) + u16(0) + u16(0) + u32(0) +
                             u32(0) + bytes_of(name);
  return local + central + bytes_of("PK\5\6") + u16(0) + u16(0) + u16(1, true) + u16(1, true) +
         u32(static_cast<std::uint32_t>(central.size()), true) +
         u32(static_cast<std::uint32_t>(local.size()), true) + u16(0);
}

std::vector<std::pair<std::string, ByteVector>> archives() {
  const ByteVector image = png(ihdr(2, 2, 8, 0), {0, 1, 2, 0, 3, 4});
  const ByteVector plain = tar(entry("a.png", '0', image) + entry("b/c.jpg", '0', bytes_of("no image")));
  return {{"plain.tar", plain},
          {"links.tar", tar(entry("a.png", '0', image) + entry("b.png", '1', {}, "a.png") +
                            entry("c.png", '2', {}, "a.png") + entry("d.png", '5') + entry("e.png", '6'))},
          {"long.tar", tar(entry("././@LongLink", 'L', bytes_of("long.png") + ByteVector{0}) +
                           entry("short", '0', image))},
          {"pax.tar", tar(entry("pax", 'x', bytes_of("18 path=long.png\n")) + entry("short", '0', image))},
          {"two.tar", plain + plain},
          {"plain.tar.gz", gzip(plain)},
          {"plain.tar.zst", zstd(plain)},
          {"a.zip", zip("a.png", image)},
          {"empty.zip", bytes_of("PK\5\6") + ByteVector(18)}};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: make_archive_seeds DIR\n", stderr);
    return 2;
  }
  fs::create_directories(argv[1]);
  for (const auto& [name, bytes] : archives())
    mnv2::test::write_file(fs::path(argv[1]) / name, std::string(bytes.begin(), bytes.end()));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "make_archive_seeds: %s\n", error.what());
  return 1;
}
