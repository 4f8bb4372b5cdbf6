#include "app/inputs/walker.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "app/image/read_file.h"
#include "app/inputs/file_kinds.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

std::string join(const std::string& folder, const std::string& name) {
  return folder.back() == '/' ? folder + name : folder + "/" + name;
}

/// Whether a directory entry is a folder; follows links.
bool entry_is_folder(const dirent& entry, const std::string& folder) {
  if (entry.d_type == DT_DIR) return true;
  if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN) return false;
  return is_folder(join(folder, entry.d_name));
}

}  // namespace

std::string with_one_slash(std::string folder) {
  while (folder.size() > 1 && folder.ends_with("//")) folder.pop_back();
  return folder;
}

bool is_folder(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

InputWalker::InputWalker(std::unique_ptr<InputSource> given, const WalkRules& rules, Warn warn)
    : given_(std::move(given)), rules_(rules), warn_(std::move(warn)) {}

std::optional<Input> InputWalker::next() {
  while (true) {
    if (levels_.empty()) {
      std::optional<Input> input = given_->next();
      if (!input) tell_passed_over();
      if (!input || input->error || input->content || input->member || !is_folder(input->path)) return input;
      found_any_ = false;
      input->path = with_one_slash(std::move(input->path));
      if (rules_.max_depth == 0) {
        warn_(input->path + ": a folder, which --max-depth 0 does not enter");
      } else if (std::optional<Input> failed = enter(input->path)) {
        found_any_ = true;
        return failed;
      }
    } else if (levels_.back().entries.empty()) {
      if (levels_.size() == 1 && !found_any_)
        warn_(levels_.back().path + ": no JPEG, PNG or WebP file in this folder");
      levels_.pop_back();
    } else if (std::optional<Input> input = next_entry()) {
      found_any_ = true;
      return input;
    }
  }
}

/// The next name of the innermost folder: a file, a folder that cannot be read, or nothing for one that can
/// or for a file that is no image.
std::optional<Input> InputWalker::next_entry() {
  Level& level = levels_.back();
  std::string path = join(level.path, level.entries.back());
  level.entries.pop_back();
  if (path.back() == '/') {
    path.pop_back();
    return enter(path);
  }
  if (has_image_extension(path) || (rules_.archives && has_archive_extension(path)))
    return Input{.path = std::move(path)};
  try {
    if (!image::begins_as_image(path)) {
      passed_over_.note(path);
      return std::nullopt;
    }
  } catch (const Error& e) {
    return Input{.path = std::move(path), .error = RecordError{e.code(), e.what()}};
  }
  return Input{.path = std::move(path)};
}

/// Goes into a folder. @return an input for it when it cannot be read to its end
std::optional<Input> InputWalker::enter(const std::string& path) {
  const auto failed = [&](int error) {
    return Input{
        .path = path,
        .error = RecordError{error == ENOENT ? ErrorCode::file_not_found : ErrorCode::file_unreadable,
                             "cannot read this folder: " + std::generic_category().message(error)}};
  };
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(path.c_str()));
  struct stat info {};
  if (folder == nullptr || fstat(dirfd(folder.get()), &info) != 0) return failed(errno);
  if (is_being_walked(info.st_dev, info.st_ino)) return std::nullopt;  // a link back to where we came from

  Level level{path, info.st_dev, info.st_ino, {}};
  const bool may_go_deeper =
      !rules_.max_depth || levels_.size() + 1 < static_cast<std::size_t>(*rules_.max_depth);
  // Of the path, what lies below the folder that was named.
  const std::string below =
      levels_.empty() ? "" : join(path, "").substr(join(levels_.front().path, "").size());
  int error = 0;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(folder.get());
    if (entry == nullptr) {
      error = errno;
      break;
    }
    std::string name = entry->d_name;
    if (name == "." || name == ".." || (name[0] == '.' && !rules_.hidden)) continue;
    const bool is_folder = entry_is_folder(*entry, path);
    if (rules_.exclude.exclude(below + name, is_folder)) continue;
    if (is_folder) {
      if (may_go_deeper) level.entries.push_back(name + '/');
    } else if (rules_.any_name || has_image_extension(name) ||
               (rules_.archives && has_archive_extension(name))) {
      level.entries.push_back(std::move(name));
    } else {
      passed_over_.note(name);
    }
  }
  // With its '/', a folder "a" sorts as the paths below it do: after "a-b.jpg" and before "a0.jpg".
  std::sort(level.entries.begin(), level.entries.end(), std::greater<>());
  levels_.push_back(std::move(level));
  if (error != 0) return failed(error);  // what was listed before is still walked
  return std::nullopt;
}

void InputWalker::tell_passed_over() {
  if (const std::size_t archives = passed_over_.take_archives(); archives > 0)
    warn_("passed over " + std::to_string(archives) + (archives == 1 ? " archive" : " archives") +
          " (--archives takes the images in them)");
  const std::string images = passed_over_.take_images();
  if (!images.empty())
    warn_(images +
          (rules_.any_name ? "" : " (--any-name lists those that are a JPEG, PNG or WebP all the same)"));
}

bool InputWalker::is_being_walked(dev_t device, ino_t inode) const {
  return std::any_of(levels_.begin(), levels_.end(),
                     [&](const Level& level) { return level.device == device && level.inode == inode; });
}

}  // namespace mnv2::app
