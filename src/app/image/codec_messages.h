// What libjpeg and libpng have to say about an image, which they would otherwise print on stderr.
#pragma once

#include <string>
#include <vector>

namespace mnv2::image {

/// While it lives, collects what the codecs say on this thread. One at a time on a thread.
class CodecMessages {
 public:
  CodecMessages();
  ~CodecMessages();
  CodecMessages(const CodecMessages&) = delete;
  CodecMessages& operator=(const CodecMessages&) = delete;

  /// Whether the codec came here at all, not so of one inside a shared library (see codec_messages.cpp).
  bool heard() const { return heard_; }
  /// Whether libjpeg made up pixels: there were no data for them, or not such as it understands.
  bool made_up_pixels() const { return made_up_pixels_; }
  /// libjpeg's first warning; libpng's warnings about what makes up the picture (not metadata), without
  /// repetitions.
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// What made libpng give up; libjpeg's reason stays inside OpenCV.
  const std::string& error() const { return error_; }

  void add_jpeg_warning(const std::string& text);
  void add_png_warning(const std::string& text);
  void note_codec() { heard_ = true; }
  void note_made_up_pixels() { made_up_pixels_ = true; }
  void set_error(const std::string& text) { error_ = text; }

 private:
  bool heard_ = false;
  bool made_up_pixels_ = false;
  std::vector<std::string> warnings_;
  std::string error_;
};

}  // namespace mnv2::image
