// Folders, replaced by the images below them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/inputs/exclude.h"
#include "app/inputs/file_kinds.h"
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
  bool archives = false;  // also archives, as inputs to be opened
};

/// Told about what is no input's error, such as a folder without images.
using Warn = std::function<void(const std::string&)>;

/// Hands out the inputs of another source, in their order; a folder is replaced by the images below it,
/// recursively, in the bytewise order of their full paths. Only one folder's listing per level is in memory.
/// Links are followed, but never into a folder that is being walked.
class InputWalker : public InputSource {
 public:
  /// @param warn told about folders of `given` that hold no image, and at the end once how many images of kinds that are
  /// not read were passed over.
  InputWalker(std::unique_ptr<InputSource> given, const WalkRules& rules, Warn warn);

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
  void tell_passed_over();

  std::unique_ptr<InputSource> given_;
  WalkRules rules_;
  std::vector<Level> levels_;  // the folders being walked, outermost first
  bool found_any_ = false;     // below the outermost
  PassedOver passed_over_;
  Warn warn_;
};

/// "photos///" as "photos/", so that the paths below it have no empty names.
std::string with_one_slash(std::string folder);

/// Whether `path` is a folder or a link to one.
bool is_folder(const std::string& path);

}  // namespace mnv2::app
