#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include "app/image/header_parts.h"
#include "mnv2/error.h"

namespace mnv2::image {
namespace {

// ITU-T T.81, table B.1.
enum Marker : int {
  kTem = 0x01,
  kSof0 = 0xc0,
  kSof1 = 0xc1,
  kSof2 = 0xc2,
  kDht = 0xc4,
  kJpg = 0xc8,
  kSof9 = 0xc9,
  kSof10 = 0xca,
  kDac = 0xcc,
  kSof15 = 0xcf,
  kRst0 = 0xd0,
  kRst7 = 0xd7,
  kSoi = 0xd8,
  kEoi = 0xd9,
  kSos = 0xda,
  kDqt = 0xdb,
  kDnl = 0xdc,
  kDri = 0xdd,
  kApp0 = 0xe0,
  kApp1 = 0xe1,
  kApp15 = 0xef,
  kCom = 0xfe,
};

[[noreturn]] void damaged(const std::string& what) { throw Error(ErrorCode::damaged_image, "JPEG: " + what); }

[[noreturn]] void unsupported(const std::string& what) {
  throw Error(ErrorCode::unsupported_format, "JPEG: " + what);
}

std::string hex(int marker) {
  constexpr char kDigits[] = "0123456789abcdef";
  return {'0', 'x', kDigits[marker >> 4], kDigits[marker & 15]};
}

bool is_frame(int marker) { return marker >= kSof0 && marker <= kSof15 && marker != kDht && marker != kDac; }

/// Follows libjpeg's reader (jdmarker.c): what makes it give up is an error here, what it skips is skipped.
/// OpenCV needs this done for it: its memory source hands out grey where the data end, and it returns an
/// image even when libjpeg gives up after the last row.
class Walker {
 public:
  Walker(Bytes bytes, const ImageLimits& limits) : bytes_(bytes), limits_(limits) {}

  Header walk() {
    try {
      for (int marker = next_marker(); marker != kEoi; marker = next_marker()) {
        // After the last scan that the picture needs, whatever follows is needless.
        if (has_all_scans() && !image_end_ && !belongs_to_scan(marker)) image_end_ = marker_at_;
        visit(marker);
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::damaged_image || !has_all_scans()) throw;
      header_.odd_end = OddEnd{.at = without_filler(image_end_.value_or(marker_at_)), .what = error.what()};
      return header_;
    }
    if (header_.scans == 0) damaged("no image data before the end marker");
    return header_;
  }

 private:
  /// The next marker code, past padding, stuffed zeros, entropy-coded data and garbage.
  int next_marker() {
    while (at_ < bytes_.size()) {
      const void* found = std::memchr(bytes_.data() + at_, 0xff, bytes_.size() - at_);
      if (found == nullptr) break;
      marker_at_ = at_ = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - bytes_.data());
      while (at_ < bytes_.size() && bytes_[at_] == 0xff) ++at_;
      if (at_ == bytes_.size()) damaged_end();
      const int code = bytes_[at_++];
      if (code != 0) return code;
    }
    marker_at_ = bytes_.size();
    damaged_end();
  }

  /// `end`, or where a run of one byte before it begins: what a file that was made in its full size holds where data are
  /// still to come. Huffman codes would be found in it, too. One byte of it stays, of the last code. (Filler of any other
  /// kind cannot be told from a picture's data without a decoder that looks at each code; the decoder's warning of
  /// extraneous bytes is in the record.)
  std::size_t without_filler(std::size_t end) const {
    constexpr std::size_t kLeastRun = 64;
    std::size_t begin = end;
    while (begin > 0 && bytes_[begin - 1] == bytes_[end - 1]) --begin;
    return end - begin >= kLeastRun ? begin + 1 : end;
  }

  [[noreturn]] static void damaged_end() { damaged("the file ends before the end marker"); }

  bool belongs_to_scan(int marker) const {
    return marker == kTem || (marker >= kRst0 && marker <= kRst7) || is_skipped_in_resync(marker);
  }

  void visit(int marker) {
    if (belongs_to_scan(marker)) return;
    if (marker == kSoi) damaged("a second start marker");
    const bool is_known =
        (marker >= kSof0 && marker <= kApp15 && marker != 0xde && marker != 0xdf) || marker == kCom;
    if (!is_known) damaged("unknown marker " + hex(marker));
    const Bytes segment = take_segment(marker);
    if (is_frame(marker)) {
      read_frame(marker, segment);
    } else if (marker == kSos) {
      read_scan(segment);
    } else if (marker == kDht) {
      check_huffman_tables(segment);
    } else if (marker == kDqt) {
      check_quantization_tables(segment);
    } else if (marker == kDri) {
      if (segment.size() != 2) damaged("DRI of " + std::to_string(segment.size()) + " bytes, expected 2");
      restart_interval_ = big_endian_16(segment, 0);
    } else if (marker == kApp1) {
      read_app1(segment);
    }
  }

  /// While it looks for a restart marker inside a scan, libjpeg steps over codes that no marker has.
  bool is_skipped_in_resync(int marker) const {
    return marker < kSof0 && header_.scans > 0 && restart_interval_ > 0;
  }

  Bytes take_segment(int marker) {
    const std::size_t left = bytes_.size() - at_;
    if (left < 2) damaged("the file ends in marker " + hex(marker));
    std::size_t length = big_endian_16(bytes_, at_);
    // libjpeg takes the length for 2 in segments that it skips.
    if ((marker >= kApp0 && marker <= kApp15) || marker == kCom) length = std::max<std::size_t>(length, 2);
    if (length < 2) damaged("marker " + hex(marker) + " has length " + std::to_string(length));
    if (length > left) {
      damaged("the file ends in marker " + hex(marker) + ": " + std::to_string(length) +
              " bytes expected, found " + std::to_string(left));
    }
    const Bytes segment = bytes_.subspan(at_ + 2, length - 2);
    at_ += length;
    return segment;
  }

  void read_frame(int marker, Bytes segment) {
    if (has_frame_) damaged("two frame headers");
    const bool decodable = marker <= kSof2 || marker == kSof9 || marker == kSof10;
    if (!decodable)
      unsupported("lossless, hierarchical or unknown process (frame marker " + hex(marker) + ")");
    if (segment.size() < 6 || segment.size() != 6 + 3 * std::size_t(segment[5]))
      damaged("frame header of wrong length");
    if (segment[0] != 8) unsupported(std::to_string(segment[0]) + " bits a sample, expected 8");
    has_frame_ = true;
    header_.height = static_cast<int>(big_endian_16(segment, 1));
    header_.width = static_cast<int>(big_endian_16(segment, 3));
    header_.progressive = marker == kSof2 || marker == kSof10;
    components_ = segment[5];
    if (header_.width == 0) damaged("the frame header gives no width");
    if (header_.height == 0)
      unsupported("the frame header gives no height (it comes later, in a DNL marker)");
    switch (components_) {
      case 1: header_.color = Color::grey; break;
      case 3: header_.color = Color::rgb; break;
      case 4: header_.color = Color::cmyk; break;
      default: unsupported(std::to_string(components_) + " components, expected 1, 3 or 4");
    }
    header_.reduction = reduction_for(std::min(header_.width, header_.height));
    const auto reduced = [&](int side) { return (side + header_.reduction - 1) / header_.reduction; };
    check_pixels(reduced(header_.width), reduced(header_.height), limits_);
    is_arithmetic_ = marker >= kSof9;
    for (std::size_t i = 0; i < static_cast<std::size_t>(components_); ++i) {
      component_ids_[i] = segment[6 + 3 * i];
      missing_bits_[i].fill(kNoBits);
    }
  }

  /// The largest that leaves as many pixels as are asked for.
  int reduction_for(int short_side) const {
    if (limits_.least_short_side <= 0) return 1;
    int reduction = 8;
    while (reduction > 1 && short_side / reduction < limits_.least_short_side) reduction /= 2;
    return reduction;
  }

  void read_scan(Bytes segment) {
    if (!has_frame_) damaged("a scan before the frame header");
    const int components = segment.empty() ? 0 : segment[0];
    if (components < 1 || components > components_ || segment.size() != 4 + 2 * std::size_t(components)) {
      damaged("scan header of wrong length");
    }
    ++header_.scans;
    note_scan(segment, components);
    // Real files have some 10 scans. The full number of scans is for small images: the work is scans x
    // pixels.
    constexpr std::int64_t kScansOfLargestImage = 20;
    const std::int64_t pixels = std::int64_t(header_.width) * header_.height;
    const std::int64_t affordable = limits_.max_pixels / pixels > limits_.max_scans
                                        ? limits_.max_scans
                                        : limits_.max_pixels * kScansOfLargestImage / pixels;
    // One always: of a reduced image more pixels are in the file than the limit has.
    const std::int64_t allowed = std::clamp<std::int64_t>(affordable, 1, std::max(1, limits_.max_scans));
    if (header_.scans > allowed) {
      throw Error(ErrorCode::image_too_large, "JPEG: more than " + std::to_string(allowed) + " scans for " +
                                                  std::to_string(pixels) + " pixels");
    }
  }

  /// How many low bits of each coefficient are still to come (T.81, G.1.1: the successive approximation).
  void note_scan(Bytes segment, int components) {
    const std::size_t parameters = 1 + 2 * std::size_t(components);
    const int first = header_.progressive ? segment[parameters] : 0;
    const int last = header_.progressive ? segment[parameters + 1] : kCoefficients - 1;
    const int missing_bits = header_.progressive ? segment[parameters + 2] & 15 : 0;
    for (int i = 0; i < components; ++i) {
      const auto component = std::find(component_ids_.begin(), component_ids_.begin() + components_,
                                       segment[1 + 2 * std::size_t(i)]);
      if (component == component_ids_.begin() + components_) return;  // libjpeg gives up
      auto& missing = missing_bits_[static_cast<std::size_t>(component - component_ids_.begin())];
      for (int k = first; k <= std::min(last, kCoefficients - 1); ++k)
        missing[static_cast<std::size_t>(k)] = missing_bits;
    }
    has_all_scans_ =
        std::all_of(missing_bits_.begin(), missing_bits_.begin() + components_, [](const auto& missing) {
          return std::all_of(missing.begin(), missing.end(), [](int bits) { return bits == 0; });
        });
  }

  /// Whether the scans so far begin every coefficient of the picture to its last bit. Of arithmetic coding nothing
  /// tells: where data are missing it goes on without a word.
  bool has_all_scans() const { return has_all_scans_ && !is_arithmetic_; }

  static void check_huffman_tables(Bytes segment) {
    while (segment.size() > 16) {
      const int index = segment[0] & ~0x10;
      const Bytes counts = segment.subspan(1, 16);
      const std::size_t symbols = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
      if (index > 3 || symbols > 256 || symbols > segment.size() - 17) damaged("bogus Huffman table");
      segment = segment.subspan(17 + symbols);
    }
    if (!segment.empty()) damaged("Huffman tables of wrong length");
  }

  static void check_quantization_tables(Bytes segment) {
    while (!segment.empty()) {
      const std::size_t table_bytes = segment[0] >> 4 ? 128 : 64;
      if ((segment[0] & 15) > 3 || segment.size() - 1 < table_bytes) damaged("bogus quantization table");
      segment = segment.subspan(1 + table_bytes);
    }
  }

  void read_app1(Bytes segment) {
    constexpr std::string_view kExif{"Exif\0", 5};  // the sixth byte is padding; some writers put 0xff there
    if (has_exif_ || segment.size() < 6 || std::memcmp(segment.data(), kExif.data(), kExif.size()) != 0)
      return;
    has_exif_ = true;
    header_.orientation = exif_orientation(segment.subspan(6)).value_or(1);
  }

  Bytes bytes_;
  const ImageLimits& limits_;
  std::size_t at_ = 2;  // after the start marker
  Header header_{.scans = 0};
  int components_ = 0;
  std::uint32_t restart_interval_ = 0;
  static constexpr int kCoefficients = 64, kMostComponents = 4, kNoBits = 255;
  std::array<std::uint8_t, kMostComponents> component_ids_{};
  std::array<std::array<int, kCoefficients>, kMostComponents> missing_bits_{};  // of each component
  std::size_t marker_at_ = 0;                  // where the last marker begins, or the file's end
  std::optional<std::size_t> image_end_ = {};  // where the first needless marker begins
  bool has_all_scans_ = false;
  bool is_arithmetic_ = false;
  bool has_frame_ = false;
  bool has_exif_ = false;
};

}  // namespace

Header read_jpeg_header(Bytes bytes, const ImageLimits& limits) { return Walker(bytes, limits).walk(); }

}  // namespace mnv2::image
