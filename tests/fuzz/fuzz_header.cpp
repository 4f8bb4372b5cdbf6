// The walk over JPEG markers and PNG chunks: a header within the limits, or one of its errors.
#include "app/image/header.h"
#include "fuzz/fuzz.h"

using mnv2::ErrorCode;
using mnv2::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr mnv2::image::ImageLimits kLimits{.max_pixels = 1 << 20, .max_scans = 30};
  mnv2::image::Header header;
  const bool is_image = mnv2::fuzz::succeeds(
      {ErrorCode::unsupported_format, ErrorCode::damaged_image, ErrorCode::image_too_large}, [&] {
        header = mnv2::image::read_header({data, size}, kLimits);
      });
  if (!is_image) return 0;
  require(header.width > 0 && header.height > 0, "an image without pixels");
  require(std::int64_t{header.width} * header.height <= kLimits.max_pixels, "more pixels than the limit");
  require(header.scans >= 1 && header.scans <= kLimits.max_scans, "scans beyond the limit");
  require(header.orientation >= 1 && header.orientation <= 8, "an orientation that EXIF does not have");
  return 0;
}
