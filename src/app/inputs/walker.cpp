#include "app/inputs/walker.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "app/image/read_file.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

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

bool has_image_extension(std::string_view name) {
  constexpr std::array<std::string_view, 5> kExtensions{"jpg", "jpeg", "jpe", "jfif", "png"};
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string extension(name.substr(dot + 1));
  std::transform(extension.begin(), extension.end(), extension.begin(), lower);
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

bool is_folder(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

InputWalker::InputWalker(std::unique_ptr<InputSource> given, const WalkRules& rules,
                         std::function<void(const std::string&)> warn)
    : given_(std::move(given)), rules_(rules), warn_(std::move(warn)) {}

std::optional<Input> InputWalker::next() {
  while (true) {
    if (levels_.empty()) {
      std::optional<Input> input = given_->next();
      if (!input || input->error || !is_folder(input->path)) return input;
      found_any_ = false;
      if (rules_.max_depth == 0) {
        warn_(input->path + ": a folder, which --max-depth 0 does not enter");
      } else if (std::optional<Input> failed = enter(input->path)) {
        found_any_ = true;
        return failed;
      }
    } else if (levels_.back().entries.empty()) {
      if (levels_.size() == 1 && !found_any_)
        warn_(levels_.back().path + ": no JPEG or PNG file in this folder");
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
  if (has_image_extension(path)) return Input{.path = std::move(path)};
  try {
    if (!image::begins_as_image(path)) return std::nullopt;
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
    if (entry_is_folder(*entry, path)) {
      if (may_go_deeper) level.entries.push_back(name + '/');
    } else if (rules_.any_name || has_image_extension(name)) {
      level.entries.push_back(std::move(name));
    }
  }
  // With its '/', a folder "a" sorts as the paths below it do: after "a-b.jpg" and before "a0.jpg".
  std::sort(level.entries.begin(), level.entries.end(), std::greater<>());
  levels_.push_back(std::move(level));
  if (error != 0) return failed(error);  // what was listed before is still walked
  return std::nullopt;
}

bool InputWalker::is_being_walked(dev_t device, ino_t inode) const {
  return std::any_of(levels_.begin(), levels_.end(),
                     [&](const Level& level) { return level.device == device && level.inode == inode; });
}

}  // namespace mnv2::app
