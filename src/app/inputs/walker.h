// Files and folders from the command line, walked one at a time.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/inputs/source.h"

namespace mnv2::app {

/// Hands out inputs in order. Arguments come as given; a folder is replaced by the images below it,
/// recursively, in the bytewise order of their full paths. Only one folder's listing per level is in memory.
///
/// In folders: names that end in .jpg .jpeg .jpe .jfif .png (any case) count, hidden ones do not; links are
/// followed, but never into a folder that is being walked. A file that is named as an argument is handed out
/// whatever it is called, and also when it does not exist: reading it tells why.
class InputWalker : public InputSource {
 public:
  /// @param warn told about folders of the command line that hold no image.
  InputWalker(std::vector<std::string> arguments, std::function<void(const std::string&)> warn);

  std::optional<Input> next() override;

 private:
  struct Level {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
    std::vector<std::string>
        entries;  // folders end in '/'; in reverse order, so that the next one is the last
  };

  void enter(const std::string& path, std::optional<Input>& failed);
  bool is_being_walked(dev_t device, ino_t inode) const;

  std::vector<std::string> arguments_;
  std::size_t next_argument_ = 0;
  std::vector<Level> levels_;  // the folders being walked, outermost first
  bool found_any_ = false;     // in the current argument
  std::function<void(const std::string&)> warn_;
};

/// Whether `name` ends in the extension of a JPEG or PNG file, in any case.
bool has_image_extension(std::string_view name);

/// Whether `path` is a folder or a link to one.
bool is_folder(const std::string& path);

}  // namespace mnv2::app
