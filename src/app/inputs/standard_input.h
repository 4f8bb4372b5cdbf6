// "-": what comes on stdin, a list of paths or an image.
#pragma once

#include <optional>
#include <string_view>

#include "app/inputs/path_list.h"
#include "app/inputs/source.h"
#include "app/inputs/stream.h"

namespace mnv2::app {

/// An image when the first bytes are an image's, else a list of paths. No more bytes than it takes are waited for, so
/// that the first line of a list that grows slowly is handed out at once.
class StandardInput : public InputSource {
 public:
  /// @param separator as PathList's.
  /// @throws UsageError when stdin is closed or a folder
  explicit StandardInput(char separator);

  std::optional<Input> next() override;

 private:
  char separator_;
  Stream stream_{STDIN_FILENO};
  std::optional<PathList> list_;
  bool ended_ = false;
};

}  // namespace mnv2::app
