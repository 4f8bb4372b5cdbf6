// What the user named: arguments, and the lists among them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/inputs/path_list.h"
#include "app/inputs/source.h"
#include "app/inputs/standard_input.h"

namespace mnv2::app {

/// What is named on the command line, in order. In place of "-" comes what is on stdin, a list or an image; --files-from
/// comes last.
struct NamedInputs {
  std::vector<std::string> paths = {};
  std::optional<std::string> files_from = {};  // a list; "-" is stdin
  bool null_separated = false;                 // lists have NUL between paths, not line ends

  bool empty() const { return paths.empty() && !files_from; }
  bool has_list() const;
  /// Whether they are exactly one file.
  bool single_file() const;
  /// Whether they can be read a second time: a pipe cannot.
  bool can_be_read_twice() const;
};

/// Hands out what is named, as it is named; a pipe with its content.
class NamedSource : public InputSource {
 public:
  /// Opens the lists. @param rules for the archives that come through pipes.
  /// @throws UsageError
  explicit NamedSource(
      const NamedInputs& named, const WalkRules& rules = {}, Warn warn = [](const std::string&) {});

  std::optional<Input> next() override;

 private:
  WalkRules rules_;
  Warn warn_;
  std::vector<std::string> paths_;
  std::size_t next_path_ = 0;
  std::unique_ptr<InputSource> stdin_;       // where "-" is named
  std::unique_ptr<InputSource> being_read_;  // of what is named: stdin, a pipe
  std::unique_ptr<PathList> files_from_;
};

}  // namespace mnv2::app
