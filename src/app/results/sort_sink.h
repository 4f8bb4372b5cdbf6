// --sort-into: each image into a folder for its most probable class.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "app/results/place_file.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// Puts images into FOLDER/CLASS/ (see class_folders, place_file). Inputs without a record of a class are
/// left out and counted. A member of an archive, or what came through a pipe, is always copied. An image that cannot be
/// put there is a message, and lost(); a full disk ends the run.
///
/// Comes before the sink of records: what has a record has been sorted, also after kill -9.
class SortSink : public Sink {
 public:
  /// Makes `folder`. @param labels empty, or one for each class
  /// @throws UsageError for what is no folder, Error{file_unreadable} where it cannot be made
  SortSink(const std::string& folder, SortAs how, std::span<const std::string> labels, int num_classes);

  Needs needs() const override { return {.content = true}; }
  void take(const Result& result) override;
  void finish(Ending ending) override;
  State state() const override { return error_.empty() ? State::open : State::failed; }
  std::string error() const override { return error_; }
  std::size_t lost() const override { return lost_; }

 private:
  void place(const Result& result);

  std::string folder_;
  SortAs how_;
  std::vector<std::string> class_folders_;  // [num_classes]
  std::size_t placed_ = 0;
  std::size_t there_ = 0;     // already
  std::size_t failed_ = 0;    // not classified
  std::size_t unlikely_ = 0;  // no class above --min-prob
  std::size_t lost_ = 0;      // could not be placed
  std::string error_;
};

}  // namespace mnv2::app
