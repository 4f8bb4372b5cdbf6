// What comes through a pipe: an image, an archive or, on stdin, a list of paths.
#pragma once

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "app/base/descriptor.h"
#include "app/inputs/source.h"
#include "app/inputs/stream.h"
#include "app/inputs/walker.h"

namespace mnv2::app {

/// An image or an archive when the first bytes are such a file's, else a list of paths. No more bytes than it takes are
/// waited for, so that the first line of a list that grows slowly is handed out at once.
class StandardInput : public InputSource {
 public:
  /// @param separator as PathList's; with NUL, of which tars are full, too, nothing is taken for an archive.
  /// @throws UsageError when stdin is closed or a folder
  StandardInput(char separator, const WalkRules& rules, Warn warn);

  std::optional<Input> next() override;

 private:
  char separator_;
  WalkRules rules_;
  Warn warn_;
  Stream stream_{STDIN_FILENO};
  std::unique_ptr<InputSource> source_;  // of what it has turned out to be
  bool ended_ = false;
};

/// A pipe that was named: an image or an archive.
class PipeInput : public InputSource {
 public:
  PipeInput(std::string path, const WalkRules& rules, Warn warn);

  std::optional<Input> next() override;

 private:
  std::string path_;
  WalkRules rules_;
  Warn warn_;
  Descriptor pipe_;
  int open_error_ = 0;
  Stream stream_;
  std::unique_ptr<InputSource> archive_;
  bool ended_ = false;
};

}  // namespace mnv2::app
