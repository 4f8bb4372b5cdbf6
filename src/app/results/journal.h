// --resume: a file of records that an earlier run may have left unfinished, and that this one goes on with.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "app/base/descriptor.h"
#include "app/results/done_paths.h"
#include "app/results/output.h"
#include "app/results/writer.h"

namespace mnv2::app {

/// What a line of such a file says.
struct JournalLine {
  enum class State { record, header, foreign, torn };
  State state = State::torn;
  std::size_t bytes = 0;  // with the line break
  std::string path = {};  // of a record, its exact bytes
  bool failed = false;    // "status":"error"
};

/// The line at the beginning of `text`. A line is foreign when no run with this layout writes it.
JournalLine parse_journal_line(std::string_view text, Layout layout);

/// Records are appended as whole lines to the file itself, which stays locked against other runs.
class Journal {
 public:
  /// Reads what is there: cuts off a torn last line, and warns about lines that are no records.
  /// @param columns of CSV.
  /// @throws UsageError for a file that is not the result of such a run; it stays as it is.
  /// @throws Error{file_unreadable} where it cannot be written, or another run is writing to it.
  Journal(std::string path, Layout layout, const CsvColumns& columns);
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  Output& output() { return *output_; }
  /// Whether `path` has a record that no call before has asked for.
  bool take(const std::string& path) { return done_.take(path); }
  /// How many records there were, and how many of them of failed inputs.
  std::size_t records() const { return records_; }
  std::size_t failed() const { return failed_; }

  /// Says, for a run that is not complete, how to go on.
  void finish(bool complete);

 private:
  void open_locked();
  void read(Layout layout, const std::string& header);
  void check_beginning(std::string_view text, Layout layout, const std::string& header) const;
  void note(const JournalLine& line);
  void cut(off_t end, off_t size);

  std::string path_;
  Descriptor file_;
  DonePaths done_;
  std::size_t records_ = 0;
  std::size_t failed_ = 0;
  std::size_t lines_ = 0;
  std::size_t foreign_ = 0;
  std::size_t first_foreign_ = 0;  // its number, from 1
  std::optional<Output> output_;
};

}  // namespace mnv2::app
