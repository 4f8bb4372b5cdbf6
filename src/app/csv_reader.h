// Comma-separated values (RFC 4180), a row at a time.
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mnv2::app {

/// Reads a file of rows of fields. Fields may be quoted, and then hold commas, line breaks and doubled
/// quotes; lines end in LF or CRLF; a byte order mark is skipped, and so are empty lines.
class CsvReader {
 public:
  /// @throws UsageError naming `flag` and `path` when the file cannot be opened
  CsvReader(std::string flag, std::string path);

  /// The next row, or nothing at the end.
  /// @throws UsageError naming flag, file and line: a quote that is not closed, text behind a closing quote,
  /// a row of more than 1 MiB, or a file that cannot be read
  std::optional<std::vector<std::string>> next();

  /// The line that the last row began in, from 1.
  std::size_t line() const { return row_line_; }

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  [[noreturn]] void fail(const std::string& why) const;
  std::string read_quoted();
  int get();

  std::string flag_;
  std::string path_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::size_t line_ = 1;
  std::size_t row_line_ = 1;
  std::size_t row_bytes_ = 0;
};

}  // namespace mnv2::app
