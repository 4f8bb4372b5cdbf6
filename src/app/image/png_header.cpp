#include <algorithm>
#include <string>

#include "app/image/header_parts.h"
#include "mnv2/error.h"

namespace mnv2::image {
namespace {

constexpr std::size_t kSignatureBytes = 8, kHeaderDataBytes = 13, kChunkHeadBytes = 8, kChunkFrameBytes = 12;
constexpr std::uint32_t kMaxPngInteger = 0x7fffffff;  // PNG specification, section 7.1

constexpr std::uint32_t chunk_type(const char (&name)[5]) {
  return std::uint32_t(name[0]) << 24 | std::uint32_t(name[1]) << 16 | std::uint32_t(name[2]) << 8 |
         std::uint32_t(name[3]);
}

[[noreturn]] void damaged(const std::string& what) { throw Error(ErrorCode::damaged_image, "PNG: " + what); }

struct Chunk {
  std::uint32_t type;
  Bytes data;

  std::string name() const {
    std::string text;
    for (const int shift : {24, 16, 8, 0}) text += static_cast<char>(type >> shift);
    return text;
  }
};

/// Splits the file into chunks. Checksums are left to the decoder, which computes them anyway.
class ChunkReader {
 public:
  explicit ChunkReader(Bytes bytes) : bytes_(bytes) {}

  /// The type of the next chunk, 0 where the file ends before that.
  std::uint32_t next_type() const {
    return bytes_.size() - at_ < kChunkHeadBytes ? 0 : big_endian_32(bytes_, at_ + 4);
  }

  Chunk next() {
    const std::size_t left = bytes_.size() - at_;
    if (left < kChunkFrameBytes) damaged("the file ends before the IEND chunk");
    const std::uint32_t length = big_endian_32(bytes_, at_);
    if (length > left - kChunkFrameBytes) {
      damaged("the file ends inside a chunk: " + std::to_string(length) + " bytes of data expected, found " +
              std::to_string(left - kChunkFrameBytes));
    }
    const Chunk chunk{big_endian_32(bytes_, at_ + 4), bytes_.subspan(at_ + 8, length)};
    at_ += kChunkFrameBytes + length;
    return chunk;
  }

 private:
  Bytes bytes_;
  std::size_t at_ = kSignatureBytes;
};

Color color_of(int png_color_type) {
  switch (png_color_type) {
    case 0: return Color::grey;
    case 2: return Color::rgb;
    case 3: return Color::palette;
    case 4: return Color::grey_alpha;
    case 6: return Color::rgb_alpha;
    default: damaged("IHDR: colour type " + std::to_string(png_color_type) + ", expected 0, 2, 3, 4 or 6");
  }
}

/// PNG specification, table 11.1.
bool is_allowed_depth(Color color, int depth) {
  switch (color) {
    case Color::grey: return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case Color::palette: return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    default: return depth == 8 || depth == 16;
  }
}

Header parse_ihdr(const Chunk& chunk) {
  if (chunk.type == chunk_type("CgBI")) {
    throw Error(ErrorCode::unsupported_format,
                "the file is a CgBI image (Apple's variant of PNG), expected JPEG, PNG or WebP");
  }
  if (chunk.type != chunk_type("IHDR") || chunk.data.size() != kHeaderDataBytes) {
    damaged("the first chunk is not an IHDR of 13 bytes");
  }
  const std::uint32_t width = big_endian_32(chunk.data, 0), height = big_endian_32(chunk.data, 4);
  if (width == 0 || height == 0 || width > kMaxPngInteger || height > kMaxPngInteger) {
    damaged("IHDR: size " + std::to_string(width) + " x " + std::to_string(height));
  }
  Header header;
  header.format = Format::png;
  header.width = static_cast<int>(width);
  header.height = static_cast<int>(height);
  header.bit_depth = chunk.data[8];
  header.color = color_of(chunk.data[9]);
  if (!is_allowed_depth(header.color, header.bit_depth)) {
    damaged("IHDR: " + std::to_string(header.bit_depth) + " bits a sample do not go with colour type " +
            std::to_string(chunk.data[9]));
  }
  if (chunk.data[10] != 0 || chunk.data[11] != 0 || chunk.data[12] > 1) {
    damaged("IHDR: unknown compression, filter or interlace method");
  }
  header.progressive = chunk.data[12] == 1;
  return header;
}

/// The chunks after IHDR. @param has_data set as soon as the first IDAT chunk begins.
void read_chunks(ChunkReader& reader, Header& header, bool& has_data) {
  bool has_palette = false, has_exif = false;
  std::optional<int> exif;
  PngTexts texts;
  while (true) {
    const bool begins_data = reader.next_type() == chunk_type("IDAT");
    if (begins_data && header.color == Color::palette && !has_palette)
      damaged("no PLTE chunk before the image data");
    has_data = has_data || begins_data;
    const Chunk chunk = reader.next();
    if (chunk.type == chunk_type("IEND")) break;
    if (chunk.type == chunk_type("IHDR")) damaged("two IHDR chunks");
    if (chunk.type == chunk_type("PLTE")) has_palette = true;
    if (chunk.type == chunk_type("eXIf")) {
      has_exif = true;
      exif = exif_orientation(chunk.data);
    }
    texts.read(chunk.name(), chunk.data);
    // The order in which Pillow asks them.
    const std::optional<int>& tag = has_exif ? exif : texts.exif_orientation();
    header.orientation = (tag ? tag : texts.xmp_orientation()).value_or(1);
  }
  if (!has_data) damaged("no IDAT chunk");
}

}  // namespace

Header read_png_header(Bytes bytes, const ImageLimits& limits) {
  ChunkReader reader(bytes);
  Header header = parse_ihdr(reader.next());
  check_pixels(header.width, header.height, limits);
  bool has_data = false;
  try {
    read_chunks(reader, header, has_data);
  } catch (const Error& error) {
    if (!has_data || error.code() != ErrorCode::damaged_image) throw;
    header.odd_end = OddEnd{.what = error.what()};
  }
  return header;
}

}  // namespace mnv2::image
