// What a file's name, or its first bytes, say of its kind.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace mnv2::app {

/// Whether `name` ends in the extension of a JPEG, PNG or WebP file, in any case.
bool has_image_extension(std::string_view name);

/// Whether `name` ends as a tar or zip archive does: .tar, .tar.gz, .tgz, .tar.zst, .tar.xz, .tar.bz2, .zip and the
/// like, in any case.
bool has_archive_extension(std::string_view name);

/// What the first bytes of a file say. `unknown`: so far it may still be an archive.
enum class Beginning { archive, other, unknown };

/// A tar, compressed or not, or a zip. Of an uncompressed tar nothing tells before byte 262; what has a line break before
/// its first NUL byte is a list of paths.
Beginning archive_beginning(std::string_view bytes);

/// Counts the files whose names are those of images or archives that are not read, to be named once.
class PassedOver {
 public:
  void note(std::string_view name);

  /// "skipped 3 files: 2 .heic, 1 .gif", the most frequent kinds first, and forgets them; empty for none.
  std::string take_images();
  /// How many archives were noted, and forgets them.
  std::size_t take_archives();

 private:
  std::map<std::string, std::size_t> images_;  // by ending
  std::size_t archives_ = 0;
};

}  // namespace mnv2::app
