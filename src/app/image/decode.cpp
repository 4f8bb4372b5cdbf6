#include "app/image/decode.h"

#include <limits>
#include <new>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <string>
#include <utility>

#include "app/image/codec_messages.h"
#include "app/image/tail.h"
#include "app/image/webp.h"
#include "mnv2/error.h"

namespace mnv2::image {
namespace {

/// libpng's limit (PNG_USER_WIDTH_MAX and _HEIGHT_MAX); OpenCV's own is 2^20 (CV_IO_MAX_IMAGE_WIDTH and _HEIGHT).
constexpr int kMaxSide = 1'000'000;

[[noreturn]] void out_of_memory(const Header& header) {
  throw Error(ErrorCode::out_of_memory, "no memory for " + std::to_string(header.width) + " x " +
                                            std::to_string(header.height) + " pixels");
}

/// Sides of the pixels to decode.
cv::Size decoded_size(const Header& header) {
  const auto reduced = [&](int side) { return (side + header.reduction - 1) / header.reduction; };
  return {reduced(header.width), reduced(header.height)};
}

int flags_for(const Header& header) {
  switch (header.reduction) {
    case 2: return cv::IMREAD_REDUCED_COLOR_2 | cv::IMREAD_IGNORE_ORIENTATION;
    case 4: return cv::IMREAD_REDUCED_COLOR_4 | cv::IMREAD_IGNORE_ORIENTATION;
    case 8: return cv::IMREAD_REDUCED_COLOR_8 | cv::IMREAD_IGNORE_ORIENTATION;
    default: return cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION;
  }
}

/// Empty where the image data are rejected.
cv::Mat run_decoder(std::span<const std::uint8_t> bytes, const Header& header) {
  try {
    if (header.format == Format::webp) {
      cv::Mat pixels(header.height, header.width, CV_8UC3);
      return decode_webp(bytes, header, pixels.data, static_cast<std::ptrdiff_t>(pixels.step[0])) ? pixels
                                                                                                  : cv::Mat();
    }
    // A header over the bytes, not a copy; imdecode does not write to it.
    const cv::Mat buffer(1, static_cast<int>(bytes.size()), CV_8U, const_cast<std::uint8_t*>(bytes.data()));
    return cv::imdecode(buffer, flags_for(header));
  } catch (const cv::Exception& error) {
    if (error.code == cv::Error::StsNoMem) out_of_memory(header);
    if (error.err.find("CV_IO_MAX") != std::string::npos) {
      throw Error(ErrorCode::image_too_large, "OpenCV's limit on image sizes: " + error.err);
    }
    throw Error(ErrorCode::damaged_image, "the decoder gave up: " + error.err);
  } catch (const std::bad_alloc&) {
    out_of_memory(header);
  }
}

/// EXIF 2.32, tag Orientation: which way the stored rows and columns run in the upright image.
cv::Mat turned_upright(const cv::Mat& stored, int orientation) {
  constexpr int kUpsideDown = 0, kMirrored = 1, kHalfTurn = -1;
  cv::Mat transposed, upright;
  if (orientation >= 5) cv::transpose(stored, transposed);
  switch (orientation) {
    case 2: cv::flip(stored, upright, kMirrored); break;
    case 3: cv::flip(stored, upright, kHalfTurn); break;
    case 4: cv::flip(stored, upright, kUpsideDown); break;
    case 5: upright = transposed; break;
    case 6: cv::flip(transposed, upright, kMirrored); break;
    case 7: cv::flip(transposed, upright, kHalfTurn); break;
    case 8: cv::flip(transposed, upright, kUpsideDown); break;
    default: upright = stored; break;
  }
  return upright;
}

/// What the decoder made of a file.
struct Decoded {
  cv::Mat pixels;  // empty where it gave up
  std::vector<std::string> warnings;
  std::string error;               // libpng's reason
  bool has_pixels_of_data = true;  // false: it may have made some up
};

Decoded decode(std::span<const std::uint8_t> bytes, const Header& header) {
  const CodecMessages messages;
  Decoded decoded{.pixels = run_decoder(bytes, header), .warnings = messages.warnings(), .error = {}};
  const cv::Mat& pixels = decoded.pixels;
  if (pixels.empty()) {
    decoded.error =
        messages.error().empty() ? "the decoder rejects the image data" : "libpng: " + messages.error();
  } else if (pixels.type() != CV_8UC3 || pixels.size() != decoded_size(header)) {
    const cv::Size expected = decoded_size(header);
    throw Error(ErrorCode::internal,
                "OpenCV decoded " + std::to_string(pixels.cols) + " x " + std::to_string(pixels.rows) +
                    " pixels of type " + std::to_string(pixels.type()) + ", expected " +
                    std::to_string(expected.width) + " x " + std::to_string(expected.height) + " of 3 bytes");
  }
  decoded.has_pixels_of_data = messages.heard() && !messages.made_up_pixels();
  return decoded;
}

/// The picture of a file that is odd after it; nothing when not all of the picture is there.
std::optional<Decoded> decode_whole_picture(std::span<const std::uint8_t> bytes, const Header& header) {
  if (header.format == Format::jpeg) {
    Decoded decoded = decode(jpeg_ended_at(bytes, header.odd_end->at), header);
    if (decoded.pixels.empty() || !decoded.has_pixels_of_data) return std::nullopt;
    return decoded;
  }
  const std::optional<std::vector<std::uint8_t>> file = png_of_whole_picture(bytes, header);
  if (!file) return std::nullopt;
  Decoded decoded = decode(*file, header);
  if (decoded.pixels.empty()) return std::nullopt;
  return decoded;
}

cv::Mat decode_pixels(std::span<const std::uint8_t> bytes, const Header& header,
                      std::vector<std::string>& warnings) {
  std::optional<Decoded> decoded;
  std::string wrong;
  if (header.odd_end) {
    wrong = header.odd_end->what;
  } else {
    decoded = decode(bytes, header);
    // libjpeg rejects nothing after the picture that the header check has passed; libpng may.
    if (decoded->pixels.empty()) wrong = decoded->error;
  }
  if (!wrong.empty()) {
    decoded =
        header.odd_end || header.format == Format::png ? decode_whole_picture(bytes, header) : std::nullopt;
    if (!decoded) throw Error(ErrorCode::damaged_image, wrong);
    warnings.push_back(wrong + "; the picture is whole");
  }
  warnings.insert(warnings.end(), decoded->warnings.begin(), decoded->warnings.end());
  return std::move(decoded->pixels);
}

/// The pixels; turned, once or twice more (see turned_upright); what libjpeg holds of a progressive image: 16 bits for
/// each coefficient of each component; and what libwebp holds of a lossless one, 4 bytes a pixel.
std::int64_t decoding_bytes(const Header& header, bool apply_orientation) {
  const std::int64_t in_file = std::int64_t{header.width} * header.height;
  const std::int64_t pixels = std::int64_t{decoded_size(header).width} * decoded_size(header).height;
  const int orientation = apply_orientation ? header.orientation : 1;
  const int copies = orientation == 1 ? 1 : orientation <= 5 ? 2 : 3;
  const int components = header.color == Color::grey ? 1 : header.color == Color::cmyk ? 4 : 3;
  const bool holds_coefficients = header.format == Format::jpeg && header.progressive;
  const int held = holds_coefficients ? 2 * components : header.format == Format::webp ? 4 : 0;
  return 3 * copies * pixels + held * in_file;
}

}  // namespace

void init_decoder() {
  cv::setNumThreads(1);  // cores go to images, not to rows of one image
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
}

DecodedImage decode_image(std::span<const std::uint8_t> bytes, const DecodeOptions& options) {
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error(ErrorCode::image_too_large, "the file has " + std::to_string(bytes.size()) +
                                                " bytes, OpenCV takes " +
                                                std::to_string(std::numeric_limits<int>::max()));
  }
  const Header header = read_header(bytes, options.limits);
  if (header.width > kMaxSide || header.height > kMaxSide) {
    throw Error(ErrorCode::image_too_large,
                std::to_string(header.width) + " x " + std::to_string(header.height) +
                    " pixels, expected sides of at most " + std::to_string(kMaxSide));
  }
  if (options.before_decoding) options.before_decoding(decoding_bytes(header, options.apply_orientation));
  DecodedImage image;
  image.format = header.format;
  image.orientation = options.apply_orientation ? header.orientation : 1;
  try {
    auto pixels = std::make_shared<cv::Mat>(
        turned_upright(decode_pixels(bytes, header, image.warnings), image.orientation));
    image.view = {.data = pixels->data,
                  .width = pixels->cols,
                  .height = pixels->rows,
                  .row_bytes = static_cast<std::ptrdiff_t>(pixels->step[0]),
                  .order = ChannelOrder::bgr};
    const bool is_on_its_side = image.orientation >= 5;
    image.width = is_on_its_side ? header.height : header.width;
    image.height = is_on_its_side ? header.width : header.height;
    image.pixels = std::move(pixels);
  } catch (const cv::Exception& error) {
    if (error.code == cv::Error::StsNoMem) out_of_memory(header);
    throw Error(ErrorCode::internal, "turning the image: " + error.err);
  } catch (const std::bad_alloc&) {
    out_of_memory(header);
  }
  return image;
}

}  // namespace mnv2::image
