// Records as comma-separated values (RFC 4180): written, and read back to go on with a file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "app/results/record.h"

namespace mnv2::app {

/// What lines have room for.
struct CsvColumns {
  int predictions = 0;
  bool probabilities = true;  // else scores
  bool byte_order_mark = false;
};

/// UTF-8's, by which Excel knows it.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// The text after its byte order mark, if it has one.
std::string_view without_byte_order_mark(std::string_view text);

/// The header line, with its line break and maybe a byte order mark: path, status, width, height, then index, label and probability (or score) of
/// each prediction, error_code, error_message, warnings.
std::string csv_header(const CsvColumns& columns);

/// One record as a line, with as many fields as the header has. Bytes of a path that are not UTF-8 stay as
/// they are; fields that there is nothing for are empty.
std::string csv_record(const Record& record, int predictions);

/// `text` as a field: in quotes where it needs them.
std::string csv_field(std::string_view text);

/// A line of CSV at the beginning of a text; a line break inside of quotes does not end it.
struct CsvLine {
  enum class State {
    whole,      ///< ends with a line break
    torn,       ///< right so far, but the text ends before the line does
    malformed,  ///< a quote where none may be
  };
  State state = State::torn;
  std::size_t bytes = 0;            // with the line break; of a malformed line, up to the first one
  std::vector<std::string> fields;  // of a whole line
};

CsvLine parse_csv_line(std::string_view text, char separator = ',');

}  // namespace mnv2::app
