// Where results go: each kind of output is a sink, and a run has as many as it was asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/results/output.h"
#include "app/results/record.h"

namespace mnv2::app {

/// All that a worker made of one input. What no sink of the run needs stays empty.
struct Result {
  Record record = {};
  std::string text = {};                     // the record in the run's layout
  std::vector<float> embedding = {};         // [embedding_size]; empty for a failed input
  std::vector<std::uint8_t> thumbnail = {};  // a small JPEG file; empty for a failed input
  std::optional<int> truth = {};             // the input's
  /// The file's bytes, where it is no file that `record.path` names.
  std::shared_ptr<const std::vector<std::uint8_t>> content = {};
};

/// What workers must make for the sinks of a run besides the record itself.
struct Needs {
  bool text = false;
  bool embedding = false;
  bool thumbnail = false;
  bool content = false;

  Needs operator|(const Needs& other) const {
    return {text || other.text, embedding || other.embedding, thumbnail || other.thumbnail,
            content || other.content};
  }
};

/// How a run ended.
enum class Ending {
  complete,   ///< every input was taken
  cut_short,  ///< by a signal, or because a sink takes no more
};

/// Takes results one by one, always from the same thread, in the order of the inputs (unless the run is
/// unordered).
class Sink {
 public:
  using State = Output::State;  // closed ends the run quietly, failed with exit status 1

  virtual ~Sink() = default;

  virtual Needs needs() const { return {}; }
  virtual void take(const Result& result) = 0;
  /// Called once, after the last result; not when the run ends by an exception.
  virtual void finish(Ending ending) = 0;
  virtual State state() const { return State::open; }
  virtual std::string error() const { return {}; }
  /// How many results could not be dealt with though the run went on: the exit status becomes 1.
  virtual std::size_t lost() const { return 0; }
};

}  // namespace mnv2::app
