#include "app/image/tail.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "app/image/header_parts.h"

namespace mnv2::image {
namespace {

constexpr std::size_t kPngSignatureBytes = 8, kChunkHeadBytes = 8, kChecksumBytes = 4;
constexpr std::string_view kImageData = "IDAT";

/// A run of the file's bytes.
struct Range {
  std::size_t begin = 0;
  std::size_t size = 0;
};

int channels_of(Color color) {
  switch (color) {
    case Color::grey:
    case Color::palette: return 1;
    case Color::grey_alpha: return 2;
    case Color::rgb: return 3;
    case Color::rgb_alpha:
    case Color::cmyk: return 4;
  }
  return 4;
}

/// Bytes of the filtered rows of width x height pixels (PNG specification, section 9): none without pixels.
std::int64_t filtered_bytes(const Header& header, std::int64_t width, std::int64_t height) {
  if (width == 0 || height == 0) return 0;
  const std::int64_t bits = std::int64_t{channels_of(header.color)} * header.bit_depth;
  return height * (1 + (width * bits + 7) / 8);
}

/// What all image data inflate to.
std::int64_t inflated_bytes(const Header& header) {
  if (!header.progressive) return filtered_bytes(header, header.width, header.height);
  // Adam7 (section 8.2): where each pass begins, and its steps.
  struct Pass {
    int x, y, step_x, step_y;
  };
  constexpr Pass kPasses[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                              {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  std::int64_t bytes = 0;
  for (const Pass& pass : kPasses) {
    const auto count = [](int size, int first, int step) { return (size - first + step - 1) / step; };
    bytes += filtered_bytes(header, std::max(0, count(header.width, pass.x, pass.step_x)),
                            std::max(0, count(header.height, pass.y, pass.step_y)));
  }
  return bytes;
}

/// Whether `data`, one after the other, inflate to `wanted` bytes and maybe more.
bool inflates_to(Bytes bytes, const std::vector<Range>& data, std::int64_t wanted) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
  std::array<std::uint8_t, 65536> out;
  std::int64_t made = 0;
  int status = Z_OK;
  for (const Range& range : data) {
    stream.next_in = const_cast<std::uint8_t*>(bytes.data() + range.begin);  // zlib only reads it
    stream.avail_in = static_cast<uInt>(range.size);
    while (status == Z_OK && made < wanted) {
      stream.next_out = out.data();
      stream.avail_out = static_cast<uInt>(out.size());
      status = inflate(&stream, Z_NO_FLUSH);
      made += static_cast<std::int64_t>(out.size() - stream.avail_out);
      if (status == Z_BUF_ERROR) break;
      if (stream.avail_in == 0 && stream.avail_out > 0) break;
    }
    if (status == Z_BUF_ERROR) status = Z_OK;  // the next range goes on
  }
  inflateEnd(&stream);
  return made >= wanted;
}

void append_32(std::vector<std::uint8_t>& out, std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

/// Ends the chunk whose type and data begin at `begin`: its checksum.
void end_chunk(std::vector<std::uint8_t>& out, std::size_t begin) {
  append_32(out,
            static_cast<std::uint32_t>(crc32(0, out.data() + begin, static_cast<uInt>(out.size() - begin))));
}

void begin_chunk(std::vector<std::uint8_t>& out, std::size_t size, std::string_view type) {
  append_32(out, static_cast<std::uint32_t>(size));
  out.insert(out.end(), type.begin(), type.end());
}

}  // namespace

std::vector<std::uint8_t> jpeg_ended_at(Bytes bytes, std::size_t end) {
  std::vector<std::uint8_t> file(end + 2);
  std::copy_n(bytes.begin(), end, file.begin());
  file[end] = 0xff;
  file[end + 1] = 0xd9;
  return file;
}

std::optional<std::vector<std::uint8_t>> png_of_whole_picture(Bytes bytes, const Header& header) {
  std::vector<Range> data;
  std::size_t data_bytes = 0, before = 0;  // `before`: the chunks before the data end here
  for (std::size_t at = kPngSignatureBytes; bytes.size() - at >= kChunkHeadBytes;) {
    const std::size_t length = big_endian_32(bytes, at), left = bytes.size() - at - kChunkHeadBytes;
    const bool is_whole = length <= left && left - length >= kChecksumBytes;
    const bool is_data = std::equal(kImageData.begin(), kImageData.end(), bytes.begin() + at + 4,
                                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
    if (!is_data && (!is_whole || !data.empty())) break;
    const std::size_t next = at + kChunkHeadBytes + length + kChecksumBytes;
    if (is_data) {
      if (data.empty()) before = at;
      data.push_back({at + kChunkHeadBytes, std::min(length, left)});
      data_bytes += data.back().size;
      if (!is_whole) break;
      const auto checksum = crc32(0, bytes.data() + at + 4, static_cast<uInt>(length + 4));
      if (checksum != big_endian_32(bytes, next - kChecksumBytes)) return std::nullopt;
    }
    at = next;
  }
  if (data.empty() || !inflates_to(bytes, data, inflated_bytes(header))) return std::nullopt;

  // No row needs them: they stand for what zlib may want to see after the last one.
  constexpr std::size_t kZeros = 8;
  std::vector<std::uint8_t> file;
  file.reserve(before + data_bytes + 64);
  file.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(before));
  begin_chunk(file, data_bytes + kZeros, kImageData);
  for (const Range& range : data) {
    const Bytes part = bytes.subspan(range.begin, range.size);
    file.insert(file.end(), part.begin(), part.end());
  }
  file.insert(file.end(), kZeros, 0);
  end_chunk(file, before + 4);
  const std::size_t end = file.size();
  begin_chunk(file, 0, "IEND");
  end_chunk(file, end + 4);
  return file;
}

}  // namespace mnv2::image
