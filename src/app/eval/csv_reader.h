// A table in a file, a row at a time.
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mnv2::app {

/// Reads comma-separated values (RFC 4180), or those with semicolons or tabs between them, as the first line has them.
/// Lines end in LF or CRLF, the last one may end without; a byte order mark and empty lines are skipped.
class CsvReader {
 public:
  /// @throws UsageError naming `flag` and `path` when the file cannot be opened
  CsvReader(std::string flag, std::string path);

  /// The next row, or nothing at the end.
  /// @throws UsageError naming flag, file and line: a quote out of place or not closed, a row of more than 1
  /// MiB, or a file that cannot be read
  std::optional<std::vector<std::string>> next();

  /// The line that the last row began in, from 1.
  std::size_t line() const { return row_line_; }

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  [[noreturn]] void fail(const std::string& why) const;
  bool read_more();

  void find_separator();

  std::string flag_;
  std::string path_;
  char separator_ = ',';
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::string text_;  // read, and not yet a row from begin_ on
  std::size_t begin_ = 0;
  bool at_end_ = false;   // of the file
  std::size_t line_ = 1;  // that begins at begin_
  std::size_t row_line_ = 1;
};

}  // namespace mnv2::app
