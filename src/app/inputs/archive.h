// Archives, replaced by the images in them: never unpacked, read once from the beginning to the end.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "app/inputs/archive_reader.h"
#include "app/inputs/file_kinds.h"
#include "app/inputs/source.h"
#include "app/inputs/stream.h"
#include "app/inputs/walker.h"

namespace mnv2::app {

/// The images in one archive, in its order: the files whose names are those that a folder's walk takes. Each is an input
/// with `path` ARCHIVE/MEMBER, whose content is read when it is asked for (Input::load). What cannot be read, a link for
/// example, is an input with an error; damage of the archive itself is an input of the archive's path with one.
class ArchiveMembers : public InputSource {
 public:
  ArchiveMembers(std::string path, const WalkRules& rules, Warn warn);
  /// Of a tar or zip that comes through `stream`, which outlives this.
  ArchiveMembers(std::string path, Stream& stream, const WalkRules& rules, Warn warn);
  ArchiveMembers(const ArchiveMembers&) = delete;
  ArchiveMembers& operator=(const ArchiveMembers&) = delete;

  std::optional<Input> next() override;

 private:
  template <typename... Source>
  void open(Source&&... source);
  std::optional<Input> next_member();
  std::optional<Input> end(ArchiveReader::Found how);
  bool is_wanted(std::string_view name);
  Input member_input(const std::string& member);
  bool begins_as_image();
  bool load(Input& input);
  Input failed(ErrorCode code, const std::string& message) const;

  std::string path_;
  WalkRules rules_;
  Warn warn_;
  std::unique_ptr<ArchiveReader>
      reader_;  // null before the beginning, if it cannot be opened, and after the end
  std::optional<Input> open_error_;
  std::string start_;  // of the member's data, read to tell what it is
  bool found_any_ = false;
  PassedOver passed_over_;
};

/// Hands out the inputs of another source; an archive is replaced by the images in it.
class ArchiveSource : public InputSource {
 public:
  ArchiveSource(std::unique_ptr<InputSource> given, const WalkRules& rules, Warn warn)
      : given_(std::move(given)), rules_(rules), warn_(std::move(warn)) {}

  std::optional<Input> next() override;

 private:
  std::unique_ptr<InputSource> given_;
  WalkRules rules_;
  Warn warn_;
  std::unique_ptr<ArchiveMembers> members_;
};

}  // namespace mnv2::app
