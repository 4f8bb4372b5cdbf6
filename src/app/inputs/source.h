// Where inputs come from: one at a time, in order, never a list of all of them in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/results/record.h"

namespace mnv2::app {

/// One file to classify, or a folder that could not be read.
struct Input {
  std::string path = {};                  // as given or walked, any bytes
  std::optional<RecordError> error = {};  // set: nothing to read here
  std::optional<int> truth = {};          // the class that it belongs to, where --eval knows it
  /// The file's bytes, where `path` cannot be opened for them: from a pipe.
  std::shared_ptr<const std::vector<std::uint8_t>> content = {};
};

/// Sources stack up: one finds paths, others above it drop some or add to them.
class InputSource {
 public:
  virtual ~InputSource() = default;

  /// The next input, or nothing after the last. Called by one thread at a time. Never throws for what is
  /// found on disk.
  virtual std::optional<Input> next() = 0;
};

}  // namespace mnv2::app
