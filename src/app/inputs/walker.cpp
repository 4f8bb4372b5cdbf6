#include "app/inputs/walker.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

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

InputWalker::InputWalker(std::vector<std::string> arguments, std::function<void(const std::string&)> warn)
    : arguments_(std::move(arguments)), warn_(std::move(warn)) {}

std::optional<Input> InputWalker::next() {
  while (true) {
    std::optional<Input> failed;
    if (levels_.empty()) {
      if (next_argument_ == arguments_.size()) return std::nullopt;
      const std::string& argument = arguments_[next_argument_++];
      if (!is_folder(argument)) return Input{.path = argument};
      found_any_ = false;
      enter(argument, failed);
    } else if (levels_.back().entries.empty()) {
      levels_.pop_back();
      if (levels_.empty() && !found_any_)
        warn_(arguments_[next_argument_ - 1] + ": no JPEG or PNG file in this folder");
    } else {
      std::string path = join(levels_.back().path, levels_.back().entries.back());
      levels_.back().entries.pop_back();
      if (path.back() != '/') {
        found_any_ = true;
        return Input{.path = std::move(path)};
      }
      path.pop_back();
      enter(path, failed);
    }
    if (failed) {
      found_any_ = true;
      return failed;
    }
  }
}

void InputWalker::enter(const std::string& path, std::optional<Input>& failed) {
  const auto fail = [&](int error) {
    failed =
        Input{.path = path,
              .error = RecordError{error == ENOENT ? ErrorCode::file_not_found : ErrorCode::file_unreadable,
                                   "cannot read this folder: " + std::generic_category().message(error)}};
  };
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(path.c_str()));
  struct stat info {};
  if (folder == nullptr || fstat(dirfd(folder.get()), &info) != 0) return fail(errno);
  if (is_being_walked(info.st_dev, info.st_ino)) return;  // a link back to where we came from

  Level level{path, info.st_dev, info.st_ino, {}};
  while (true) {
    errno = 0;
    const dirent* entry = readdir(folder.get());
    if (entry == nullptr) break;
    if (entry->d_name[0] == '.') continue;  // hidden, and the folder itself and its parent
    std::string name = entry->d_name;
    if (entry_is_folder(*entry, path)) {
      level.entries.push_back(name + '/');
    } else if (has_image_extension(name)) {
      level.entries.push_back(std::move(name));
    }
  }
  if (errno != 0) fail(errno);  // what was listed before is still walked
  // With its '/', a folder "a" sorts as the paths below it do: after "a-b.jpg" and before "a0.jpg".
  std::sort(level.entries.begin(), level.entries.end(), std::greater<>());
  levels_.push_back(std::move(level));
}

bool InputWalker::is_being_walked(dev_t device, ino_t inode) const {
  return std::any_of(levels_.begin(), levels_.end(),
                     [&](const Level& level) { return level.device == device && level.inode == inode; });
}

}  // namespace mnv2::app
