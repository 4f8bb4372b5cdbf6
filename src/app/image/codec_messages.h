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

  /// libjpeg's first warning; libpng's warnings about what makes up the picture (not metadata), without
  /// repetitions.
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// What made libpng give up; libjpeg's reason stays inside OpenCV.
  const std::string& error() const { return error_; }

  void add_jpeg_warning(const std::string& text);
  void add_png_warning(const std::string& text);
  void set_error(const std::string& text) { error_ = text; }

 private:
  std::vector<std::string> warnings_;
  std::string error_;
};

}  // namespace mnv2::image
