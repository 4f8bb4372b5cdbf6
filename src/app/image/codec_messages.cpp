// OpenCV gives no access to what its codecs report: libjpeg and libpng print it on stderr. A damaged file
// whose picture is still there must be classified with that warning in its record, and stderr belongs to the
// program. So the two functions through which OpenCV takes the codecs' default reporting are defined here;
// the dynamic linker prefers the program's definition to the library's, and the linker does when OpenCV itself
// is static. They call the next definition, that of the shared codec, and replace the reporting alone, for the
// thread that holds a CodecMessages. Of an OpenCV with codecs of its own inside a shared library, they are
// never called: then there are no warnings in the records, and pixels and errors are the same.
// Decoding twice, once with libjpeg, to see its warnings would cost 75 % more; the file descriptor of stderr
// is shared by all threads and cannot be redirected.
#include "app/image/codec_messages.h"

#include <dlfcn.h>
#include <png.h>

#include <algorithm>
#include <cctype>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

#include <jerror.h>

#define MNV2_INTERPOSE extern "C" __attribute__((visibility("default")))

namespace mnv2::image {
namespace {

thread_local CodecMessages* collector = nullptr;

void collect_jpeg(j_common_ptr codec) {
  if (collector == nullptr) return;
  char text[JMSG_LENGTH_MAX];
  codec->err->format_message(codec, text);
  collector->add_jpeg_warning(text);
}

void collect_png_warning(png_structp, png_const_charp text) {
  if (collector != nullptr) collector->add_png_warning(text);
}

[[noreturn]] void collect_png_error(png_structp png, png_const_charp text) {
  if (collector != nullptr) collector->set_error(text);
  png_longjmp(png, 1);  // to OpenCV, as libpng's own handler does
}

/// libjpeg's default hands on the first warning only; this one looks at all.
void look_at_jpeg_warnings(j_common_ptr codec, int level) {
  jpeg_error_mgr* manager = codec->err;
  if (level >= 0) return;  // a trace
  const bool is_about_pixels = manager->msg_code == JWRN_HIT_MARKER ||
                               manager->msg_code == JWRN_HUFF_BAD_CODE ||
                               manager->msg_code == JWRN_MUST_RESYNC;
  if (collector != nullptr && is_about_pixels) collector->note_made_up_pixels();
  if (manager->num_warnings++ == 0) manager->output_message(codec);
}

template <typename Function>
Function* library_function(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

CodecMessages::CodecMessages() { collector = this; }
CodecMessages::~CodecMessages() { collector = nullptr; }

void CodecMessages::add_jpeg_warning(const std::string& text) { warnings_.push_back("libjpeg: " + text); }

void CodecMessages::add_png_warning(const std::string& text) {
  // Warnings start with a chunk's name; capital first letter: the chunk is needed for the picture. Others are
  // about colour profiles, times and texts, and abound in sound files.
  const bool names_critical_chunk =
      text.size() > 5 && text[4] == ':' && std::isupper(static_cast<unsigned char>(text[0]));
  const std::string warning = "libpng: " + text;
  if (names_critical_chunk && std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end()) {
    warnings_.push_back(warning);
  }
}

}  // namespace mnv2::image

MNV2_INTERPOSE jpeg_error_mgr* jpeg_std_error(jpeg_error_mgr* manager) {
  static auto* const original = mnv2::image::library_function<decltype(jpeg_std_error)>("jpeg_std_error");
  original(manager);
  if (mnv2::image::collector != nullptr) {
    mnv2::image::collector->note_codec();
    manager->output_message = mnv2::image::collect_jpeg;
    manager->emit_message = mnv2::image::look_at_jpeg_warnings;
  }
  return manager;
}

MNV2_INTERPOSE png_structp png_create_read_struct(png_const_charp version, png_voidp error_data,
                                                  png_error_ptr on_error, png_error_ptr on_warning) {
  static auto* const original =
      mnv2::image::library_function<decltype(png_create_read_struct)>("png_create_read_struct");
  if (mnv2::image::collector != nullptr) {
    if (on_error == nullptr) on_error = mnv2::image::collect_png_error;
    if (on_warning == nullptr) on_warning = mnv2::image::collect_png_warning;
  }
  return original(version, error_data, on_error, on_warning);
}
