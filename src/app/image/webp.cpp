#include "app/image/webp.h"

#include <dlfcn.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "app/image/webp_layout.h"
#include "mnv2/error.h"

namespace mnv2::image {
namespace {

constexpr char kLibrary[] = "libwebp.so.7";

/// What is used of <webp/decode.h>. Loaded when it is needed: most runs meet no WebP, and start without it.
struct Library {
  std::uint8_t* (*decode_bgr_into)(const std::uint8_t* data, std::size_t size, std::uint8_t* out,
                                   std::size_t out_size, int row_bytes) = nullptr;
  int (*version)() = nullptr;
  std::string error = {};  // why it is not there

  Library() {
    void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) {
      decode_bgr_into = reinterpret_cast<decltype(decode_bgr_into)>(dlsym(library, "WebPDecodeBGRInto"));
      version = reinterpret_cast<decltype(version)>(dlsym(library, "WebPGetDecoderVersion"));
    }
    if (decode_bgr_into != nullptr && version != nullptr) return;
    const char* reason = dlerror();
    error = reason == nullptr ? "functions are missing in it" : reason;
    decode_bgr_into = nullptr;
  }
};

const Library& library() {
  static const Library instance;
  return instance;
}

void append_little_32(std::vector<std::uint8_t>& out, std::size_t value) {
  for (const int shift : {0, 8, 16, 24}) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

/// A file of one image chunk.
std::vector<std::uint8_t> file_of(Bytes chunk) {
  constexpr std::string_view kRiff = "RIFF", kWebp = "WEBP";
  std::vector<std::uint8_t> file(kRiff.begin(), kRiff.end());
  append_little_32(file, kWebp.size() + chunk.size() + chunk.size() % 2);
  file.insert(file.end(), kWebp.begin(), kWebp.end());
  file.insert(file.end(), chunk.begin(), chunk.end());
  if (chunk.size() % 2 != 0) file.push_back(0);
  return file;
}

}  // namespace

bool decode_webp(Bytes bytes, const Header& header, std::uint8_t* out, std::ptrdiff_t row_bytes) {
  const Library& webp = library();
  if (webp.decode_bgr_into == nullptr)
    throw Error(ErrorCode::unsupported_format,
                "a WebP image needs libwebp, which cannot be loaded: " + webp.error);
  const WebpLayout layout = read_webp_layout(bytes);
  const auto decode = [&](Bytes file, std::uint8_t* to, int rows) {
    const auto room = static_cast<std::size_t>(out + row_bytes * rows - to);
    return webp.decode_bgr_into(file.data(), file.size(), to, room, static_cast<int>(row_bytes)) != nullptr;
  };
  if (!layout.is_animation) return decode(layout.file, out, header.height);
  std::fill_n(out, row_bytes * header.height, std::uint8_t{0});
  const WebpFrame& frame = layout.frame;
  return decode(file_of(frame.image), out + row_bytes * frame.y + std::ptrdiff_t{3} * frame.x,
                frame.y + frame.height);
}

std::string webp_version() {
  const Library& webp = library();
  if (webp.decode_bgr_into == nullptr) return "missing";
  const int version = webp.version();  // one byte for each number
  return "libwebp " + std::to_string(version >> 16) + "." + std::to_string(version >> 8 & 255) + "." +
         std::to_string(version & 255);
}

}  // namespace mnv2::image
