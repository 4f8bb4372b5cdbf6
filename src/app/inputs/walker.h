// Folders, replaced by the images below them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/inputs/exclude.h"
#include "app/inputs/source.h"

namespace mnv2::app {

/// What is looked for in folders. A file that is named itself is handed out whatever it is called, and also
/// when it does not exist: reading it tells why.
struct WalkRules {
  /// As find's: 1 takes the files of the folders that were named, 0 does not enter any.
  std::optional<int> max_depth = {};
  bool hidden = false;  // also names that begin with '.'
  /// Not only names that end in .jpg .jpeg .jpe .jfif .png .webp (any case), but also others where the file begins
  /// as a JPEG, PNG or WebP does.
  bool any_name = false;
  ExcludeRules exclude = {};
};

/// Hands out the inputs of another source, in their order; a folder is replaced by the images below it,
/// recursively, in the bytewise order of their full paths. Only one folder's listing per level is in memory.
/// Links are followed, but never into a folder that is being walked.
class InputWalker : public InputSource {
 public:
  /// @param warn told about folders of `given` that hold no image, and at the end once how many images of kinds that are
  /// not read were passed over.
  InputWalker(std::unique_ptr<InputSource> given, const WalkRules& rules,
              std::function<void(const std::string&)> warn);

  std::optional<Input> next() override;

 private:
  struct Level {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
    /// Folders end in '/'; in reverse order, so that the next one is the last.
    std::vector<std::string> entries;
  };

  std::optional<Input> next_entry();
  std::optional<Input> enter(const std::string& path);
  bool is_being_walked(dev_t device, ino_t inode) const;
  void note_skipped(std::string_view name);
  void tell_skipped();

  std::unique_ptr<InputSource> given_;
  WalkRules rules_;
  std::vector<Level> levels_;                   // the folders being walked, outermost first
  bool found_any_ = false;                      // below the outermost
  std::map<std::string, std::size_t> skipped_;  // by ending: images of kinds that are not read
  std::function<void(const std::string&)> warn_;
};

/// Whether `name` ends in the extension of a JPEG, PNG or WebP file, in any case.
bool has_image_extension(std::string_view name);

/// The ending of `name`, in small letters and with its dot, when it is that of a kind of image that is not read.
std::optional<std::string> other_image_extension(std::string_view name);

/// "photos///" as "photos/", so that the paths below it have no empty names.
std::string with_one_slash(std::string folder);

/// Whether `path` is a folder or a link to one.
bool is_folder(const std::string& path);

}  // namespace mnv2::app
