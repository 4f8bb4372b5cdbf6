// For test_corpus.py: decodes the files whose paths come on stdin, one a line, orientation ignored. For each,
// one line and then that many bytes: "ok WIDTH HEIGHT WARNINGS CPU_MS BYTES" and RGB pixels, or "error CODE
// CPU_MS BYTES" and the message.
#include <cstdint>
#include <ctime>
#include <iostream>
#include <string>

#include "app/image/decode.h"
#include "app/image/read_file.h"
#include "mnv2/error.h"

namespace {

double cpu_ms() { return 1000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::string rgb_bytes(const mnv2::ImageView& view) {
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(view.width) * static_cast<std::size_t>(view.height) * 3);
  for (int y = 0; y < view.height; ++y) {
    const std::uint8_t* row = view.data + y * view.row_bytes;
    for (int x = 0; x < view.width; ++x) {
      for (int channel = 2; channel >= 0; --channel) bytes += static_cast<char>(row[3 * x + channel]);
    }
  }
  return bytes;
}

}  // namespace

int main() {
  mnv2::image::init_decoder();
  std::string path;
  while (std::getline(std::cin, path)) {
    const double start = cpu_ms();
    std::string body;
    try {
      const auto file = mnv2::image::read_file(path);
      const auto image = mnv2::image::decode_image(file, {.apply_orientation = false});
      const double elapsed = cpu_ms() - start;
      body = rgb_bytes(image.view);
      std::cout << "ok " << image.view.width << ' ' << image.view.height << ' ' << image.warnings.size()
                << ' ' << elapsed;
    } catch (const mnv2::Error& error) {
      body = error.what();
      std::cout << "error " << mnv2::error_code_name(error.code()) << ' ' << cpu_ms() - start;
    }
    std::cout << ' ' << body.size() << '\n' << body << std::flush;
  }
}
