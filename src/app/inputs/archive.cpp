#include "app/inputs/archive.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <span>
#include <vector>

#include "app/base/signals.h"
#include "app/image/header.h"
#include "app/image/read_file.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 16;

/// Without what only says where it would be unpacked: "./" and "/" at the beginning.
std::string_view without_root(std::string_view name) {
  while (name.starts_with("./") || name.starts_with('/')) name.remove_prefix(name[0] == '/' ? 1 : 2);
  return name;
}

/// Whether a part of the path begins with '.'; ".." is no name.
bool is_hidden(std::string_view path) {
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.starts_with('.') && part != "." && part != "..") return true;
    path.remove_prefix(std::min(part.size() + 1, path.size()));
  }
  return false;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

ArchiveMembers::ArchiveMembers(std::string path, const WalkRules& rules, Warn warn)
    : path_(std::move(path)), rules_(rules), warn_(std::move(warn)) {
  open(path_);
}

ArchiveMembers::ArchiveMembers(std::string path, Stream& stream, const WalkRules& rules, Warn warn)
    : path_(std::move(path)), rules_(rules), warn_(std::move(warn)) {
  open(stream);
}

template <typename... Source>
void ArchiveMembers::open(Source&&... source) {
  try {
    reader_ = std::make_unique<ArchiveReader>(source...);
  } catch (const Error& e) {
    open_error_ = failed(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    open_error_ = failed(ErrorCode::out_of_memory, "no memory to open the archive");
  }
}

Input ArchiveMembers::failed(ErrorCode code, const std::string& message) const {
  return Input{.path = path_, .error = RecordError{code, message}};
}

std::optional<Input> ArchiveMembers::next() {
  if (stop_signal() != 0) return std::nullopt;
  if (open_error_) return std::exchange(open_error_, std::nullopt);
  return reader_ ? next_member() : std::nullopt;
}

std::optional<Input> ArchiveMembers::next_member() {
  while (true) {
    const ArchiveReader::Found found = reader_->next();
    if (found == ArchiveReader::Found::damage)
      return failed(ErrorCode::file_unreadable,
                    "the archive is damaged (" + reader_->error() + "): files in it may be missing");
    if (found != ArchiveReader::Found::member) return end(found);
    const std::string member = reader_->name();
    if (S_ISDIR(reader_->type()) || !is_wanted(without_root(member))) continue;
    start_.clear();
    if (!has_image_extension(member) && !begins_as_image()) {  // with --any-name
      passed_over_.note(member);
      continue;
    }
    found_any_ = true;
    return member_input(member);
  }
}

/// After the last member: what there is to tell, as an input or as warnings.
std::optional<Input> ArchiveMembers::end(ArchiveReader::Found how) {
  const std::unique_ptr<ArchiveReader> reader = std::move(reader_);
  if (reader->stopped()) return std::nullopt;
  const std::string images = passed_over_.take_images();
  if (!images.empty()) warn_(path_ + ": " + images);
  if (const std::size_t archives = passed_over_.take_archives(); archives > 0)
    warn_(path_ + ": passed over " + std::to_string(archives) +
          (archives == 1 ? " archive in it" : " archives in it"));
  if (how == ArchiveReader::Found::failure)
    return failed(ErrorCode::file_unreadable, "cannot read the archive to its end: " + reader->error());
  if (reader->lacks_end_mark())
    warn_(path_ + ": no end mark at the end of this tar: it may have been cut short");
  if (!found_any_) warn_(path_ + ": no JPEG, PNG or WebP file in this archive");
  return std::nullopt;
}

bool ArchiveMembers::is_wanted(std::string_view name) {
  if (!rules_.hidden && is_hidden(name)) return false;
  for (std::size_t end = name.find('/'); end != std::string_view::npos; end = name.find('/', end + 1))
    if (rules_.exclude.exclude(name.substr(0, end), true)) return false;
  if (rules_.exclude.exclude(name, false)) return false;
  if (rules_.any_name || has_image_extension(name)) return true;
  passed_over_.note(name);
  return false;
}

/// Reads the first bytes of a file. Of what is no file there are none.
bool ArchiveMembers::begins_as_image() {
  if (!S_ISREG(reader_->type())) return false;
  start_.resize(image::kSignatureBytes);
  const ssize_t got = reader_->read(start_.data(), start_.size());
  start_.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return image::begins_as_image(bytes_of(start_));
}

Input ArchiveMembers::member_input(const std::string& member) {
  Input input{.path = path_ + "/" + std::string(without_root(member)),
              .member = ArchiveMember{.archive = path_, .name = member}};
  const auto fail = [&](ErrorCode code, const std::string& message) {
    input.error = RecordError{code, message};
  };
  const std::optional<std::int64_t> size = reader_->size();
  if (S_ISLNK(reader_->type()))
    fail(ErrorCode::file_unreadable,
         "a link to " + reader_->link_target() + ", which is not looked for; expected a file");
  else if (!S_ISREG(reader_->type()))
    fail(ErrorCode::file_unreadable, "neither a file nor a folder, expected a file");
  else if (size && *size > image::kMaxFileBytes)
    fail(ErrorCode::image_too_large, std::to_string(*size) + " bytes in the archive, expected at most " +
                                         std::to_string(image::kMaxFileBytes));
  else
    input.load = [this](Input& asked) { return load(asked); };
  return input;
}

/// Reads the member to its end; of what does not begin as an image, no more than it takes to tell. @return false when
/// stopped
bool ArchiveMembers::load(Input& input) {
  try {
    std::vector<std::uint8_t> bytes(start_.begin(), start_.end());
    const auto size = static_cast<std::size_t>(std::max<std::int64_t>(reader_->size().value_or(0), 0));
    std::size_t wanted = kPieceBytes;  // at first, so that megabytes of something else are not read
    while (true) {
      const std::size_t before = bytes.size();
      bytes.resize(before + wanted);
      const ssize_t got = reader_->read(reinterpret_cast<char*>(bytes.data() + before), wanted);
      if (reader_->stopped()) return false;
      if (got < 0)
        throw Error(ErrorCode::damaged_image, "cannot read it in the archive: " + reader_->error());
      bytes.resize(before + static_cast<std::size_t>(got));
      if (static_cast<std::int64_t>(bytes.size()) > image::kMaxFileBytes)
        throw Error(ErrorCode::image_too_large, "more than " + std::to_string(image::kMaxFileBytes) +
                                                    " bytes in the archive, expected at most as many");
      if (static_cast<std::size_t>(got) < wanted || !image::begins_as_image(bytes)) break;
      bytes.reserve(size + 1);  // one more byte tells that it is the end
      wanted = std::max(kPieceBytes, bytes.capacity() - bytes.size());
    }
    input.content = std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes));
  } catch (const Error& e) {
    input.error = RecordError{e.code(), e.what()};
  } catch (const std::bad_alloc&) {
    input.error = RecordError{ErrorCode::out_of_memory, "no memory for this file of the archive"};
  }
  return true;
}

std::optional<Input> ArchiveSource::next() {
  while (true) {
    if (members_) {
      if (std::optional<Input> input = members_->next()) return input;
      members_.reset();
    }
    std::optional<Input> input = given_->next();
    if (!input || input->error || input->content || input->member || !has_archive_extension(input->path))
      return input;
    members_ = std::make_unique<ArchiveMembers>(std::move(input->path), rules_, warn_);
  }
}

}  // namespace mnv2::app
