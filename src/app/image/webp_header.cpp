#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "app/image/webp_layout.h"
#include "mnv2/error.h"

namespace mnv2::image {
namespace {

// WebP Container Specification (https://developers.google.com/speed/webp/docs/riff_container).
constexpr std::size_t kRiffHeadBytes = 12, kChunkHeadBytes = 8, kExtendedBytes = 10, kFrameHeadBytes = 16;
constexpr int kAlphaFlag = 0x10, kAnimationFlag = 0x02;

[[noreturn]] void damaged(const std::string& what) { throw Error(ErrorCode::damaged_image, "WebP: " + what); }

std::uint32_t little_24(Bytes bytes, std::size_t at) {
  return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16;
}

std::uint32_t little_32(Bytes bytes, std::size_t at) {
  return little_24(bytes, at) | static_cast<std::uint32_t>(bytes[at + 3]) << 24;
}

struct Chunk {
  std::string_view name;
  Bytes data;
  Bytes whole;  // with its head
};

/// Takes a chunk off the beginning of `rest`. @return nothing at its end
std::optional<Chunk> take_chunk(Bytes& rest) {
  if (rest.empty()) return std::nullopt;
  if (rest.size() < kChunkHeadBytes) damaged("the file ends inside a chunk's head");
  const std::size_t size = little_32(rest, 4), left = rest.size() - kChunkHeadBytes;
  if (size > left)
    damaged("the file ends inside a chunk: " + std::to_string(size) + " bytes of data expected, found " +
            std::to_string(left));
  const Chunk chunk{.name = {reinterpret_cast<const char*>(rest.data()), 4},
                    .data = rest.subspan(kChunkHeadBytes, size),
                    .whole = rest.first(kChunkHeadBytes + size)};
  rest = rest.subspan(kChunkHeadBytes + std::min(size + size % 2, left));  // padded to an even size
  return chunk;
}

bool is_image(const Chunk& chunk) { return chunk.name == "VP8 " || chunk.name == "VP8L"; }

struct Size {
  int width = 0;
  int height = 0;
};

/// RFC 6386, section 9.1, and the WebP Lossless Bitstream Specification, section 3.
Size size_of_image(const Chunk& chunk) {
  const Bytes data = chunk.data;
  Size size;
  if (chunk.name == "VP8L") {
    if (data.size() < 5 || data[0] != 0x2f) damaged("no lossless image in its chunk");
    const std::uint32_t bits = little_32(data, 1);
    size = {.width = static_cast<int>(bits & 0x3fff) + 1,
            .height = static_cast<int>(bits >> 14 & 0x3fff) + 1};
  } else {
    if (data.size() < 10 || (data[0] & 1) != 0 || data[3] != 0x9d || data[4] != 0x01 || data[5] != 0x2a)
      damaged("no key frame in the image's chunk");
    size = {.width = (data[6] | data[7] << 8) & 0x3fff, .height = (data[8] | data[9] << 8) & 0x3fff};
  }
  if (size.width == 0 || size.height == 0) damaged("an image without pixels");
  return size;
}

/// What an ANMF chunk holds.
WebpFrame read_frame(Bytes data) {
  if (data.size() < kFrameHeadBytes) damaged("the first frame's head is cut");
  WebpFrame frame{.x = 2 * static_cast<int>(little_24(data, 0)),
                  .y = 2 * static_cast<int>(little_24(data, 3)),
                  .width = static_cast<int>(little_24(data, 6)) + 1,
                  .height = static_cast<int>(little_24(data, 9)) + 1,
                  .image = {}};
  Bytes rest = data.subspan(kFrameHeadBytes);
  while (const std::optional<Chunk> chunk = take_chunk(rest)) {
    if (!is_image(*chunk)) continue;  // alpha, or unknown
    const Size size = size_of_image(*chunk);
    if (size.width != frame.width || size.height != frame.height)
      damaged("a frame of another size than it says");
    frame.image = chunk->whole;
    return frame;
  }
  damaged("the first frame has no image");
}

void read_extended(Bytes extended, Bytes rest, WebpLayout& layout) {
  if (extended.size() < kExtendedBytes)
    damaged("VP8X of " + std::to_string(extended.size()) + " bytes, expected 10");
  layout.has_alpha = (extended[0] & kAlphaFlag) != 0;
  layout.is_animation = (extended[0] & kAnimationFlag) != 0;
  layout.width = static_cast<int>(little_24(extended, 4)) + 1;
  layout.height = static_cast<int>(little_24(extended, 7)) + 1;
  bool has_picture = false, has_exif = false;
  while (const std::optional<Chunk> chunk = take_chunk(rest)) {
    if (chunk->name == "EXIF" && !has_exif) {
      has_exif = true;
      layout.orientation = exif_orientation(chunk->data).value_or(1);
    } else if (chunk->name == "ANMF" && layout.is_animation && !has_picture) {
      has_picture = true;
      layout.frame = read_frame(chunk->data);
      const WebpFrame& frame = layout.frame;
      if (frame.x + frame.width > layout.width || frame.y + frame.height > layout.height)
        damaged("the first frame reaches over the canvas");
    } else if (is_image(*chunk) && !layout.is_animation && !has_picture) {
      has_picture = true;
      const Size size = size_of_image(*chunk);
      if (size.width != layout.width || size.height != layout.height)
        damaged("an image of " + std::to_string(size.width) + " x " + std::to_string(size.height) +
                " pixels on a canvas of " + std::to_string(layout.width) + " x " +
                std::to_string(layout.height));
    }
  }
  if (!has_picture) damaged(layout.is_animation ? "an animation without a frame" : "no image data");
}

}  // namespace

WebpLayout read_webp_layout(Bytes bytes) {
  const std::uint64_t size = std::uint64_t{little_32(bytes, 4)} + kChunkHeadBytes;
  if (size > bytes.size())
    damaged("the file ends early: " + std::to_string(size) + " bytes expected, found " +
            std::to_string(bytes.size()));
  WebpLayout layout;
  layout.file = bytes.first(size);
  if (size < kRiffHeadBytes) damaged("a size of " + std::to_string(size) + " bytes");
  Bytes rest = layout.file.subspan(kRiffHeadBytes);
  const std::optional<Chunk> first = take_chunk(rest);
  if (!first) damaged("no image data");
  if (first->name == "VP8X") {
    read_extended(first->data, rest, layout);
  } else if (is_image(*first)) {
    const Size image = size_of_image(*first);
    layout.width = image.width;
    layout.height = image.height;
    layout.has_alpha = first->name == "VP8L" && (first->data[4] & 0x10) != 0;
  } else {
    damaged("the first chunk is neither VP8, VP8L nor VP8X");
  }
  return layout;
}

Header read_webp_header(Bytes bytes, const ImageLimits& limits) {
  const WebpLayout layout = read_webp_layout(bytes);
  check_pixels(layout.width, layout.height, limits);
  Header header;
  header.format = Format::webp;
  header.width = layout.width;
  header.height = layout.height;
  header.color = layout.has_alpha ? Color::rgb_alpha : Color::rgb;
  header.orientation = layout.orientation;
  return header;
}

}  // namespace mnv2::image
