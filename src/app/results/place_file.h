// Putting a file into a folder, beside what is there.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace mnv2::app {

/// How --sort-into puts an image into a folder: as a hard link, a symbolic one or a copy.
enum class SortAs { link, symlink, copy };

enum class Placed {
  now,
  before,  ///< it is there already: the same file, a link to it or, for copies, the same bytes
};

/// Links or copies `source` into `folder`, which exists, under its own name; where another file has that
/// name, under a numbered one: "a.jpg", "a-2.jpg", "a-3.jpg". Never replaces anything. A symbolic link gets
/// an absolute path; a copy keeps the time of the last change, has the permissions of the umask, and appears under its name when it is whole.
/// @throws std::system_error
Placed place_file(const std::string& source, const std::string& folder, SortAs how);

/// The same for the bytes of an image that is no file of its own: a copy under the last name in `path`.
/// @throws std::system_error
Placed place_bytes(std::span<const std::uint8_t> bytes, const std::string& path, const std::string& folder);

}  // namespace mnv2::app
