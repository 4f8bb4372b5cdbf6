// Where the results of a run go that have no file of their own: stdout, or what --output and --resume name.
#pragma once

#include <optional>
#include <string>

#include "app/base/layout.h"
#include "app/results/journal.h"
#include "app/results/output.h"
#include "app/results/output_file.h"
#include "app/results/output_plan.h"

namespace mnv2::app {

class Destination {
 public:
  /// @param columns of CSV.
  /// @param standard_output used without --output; outlives this.
  /// @throws UsageError, Error{file_unreadable} for a file that cannot be written
  Destination(const OutputPlan& plan, Layout layout, const CsvColumns& columns, Output& standard_output);

  Output& output();
  /// What an earlier run left, with --resume.
  Journal* journal() { return journal_ ? &*journal_ : nullptr; }

  /// After the sinks have finished: puts a complete result in place, or says what became of the rest.
  void finish(bool complete);

 private:
  Output& standard_output_;
  std::optional<OutputFile> file_;
  std::optional<Journal> journal_;
};

}  // namespace mnv2::app
