// Where inputs come from: one at a time, in order, never a list of all of them in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/results/record.h"

namespace mnv2::app {

/// One file to classify, or a folder that could not be read.
struct Input {
  std::string path = {};                  // as given or walked, any bytes
  std::optional<RecordError> error = {};  // set: nothing to read here
  std::optional<int> truth = {};          // the class that it belongs to, where --eval knows it
  /// The file's bytes, where `path` cannot be opened for them: from a pipe or an archive.
  std::shared_ptr<const std::vector<std::uint8_t>> content = {};
  std::optional<ArchiveMember> member = {};  // where it is a member of an archive
  /// Set when `content` is there for the asking, until the source hands out another input; see load_content().
  std::function<bool(Input&)> load = {};
};

/// Fills in what `input` lacks: its content, or why there is none. To be called before the source's next input.
/// @return false when a signal to stop came first: then `input` is none
inline bool load_content(Input& input) { return !input.load || std::exchange(input.load, {})(input); }

/// Sources stack up: one finds paths, others above it drop some or add to them.
class InputSource {
 public:
  virtual ~InputSource() = default;

  /// The next input, or nothing after the last. Called by one thread at a time. Never throws for what is
  /// found on disk.
  virtual std::optional<Input> next() = 0;
};

}  // namespace mnv2::app
