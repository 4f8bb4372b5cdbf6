// Records as text: JSON, JSON Lines or for people.
#pragma once

#include <string>
#include <string_view>

#include "app/results/record.h"

namespace mnv2::app {

enum class Layout {
  json_object,  ///< one image: an indented JSON object
  json_array,   ///< a JSON array with one record a line, closed also when the run is cut short
  json_lines,   ///< one JSON object a line
  text,         ///< for people
};

/// What stands around records, so that they can be written one by one.
struct Framing {
  std::string_view before;   // the first record
  std::string_view between;  // two records
  std::string_view after;    // the last record
  std::string_view empty;    // instead of all, when there is no record
};

Framing framing(Layout layout);

/// One record, complete but for the framing.
///
/// JSON: always valid, always UTF-8. A path that is not UTF-8 has U+FFFD for what cannot be shown, and its
/// exact bytes in base64 as `path_base64`. Probabilities have the digits that bring back the same float32, in
/// the "C" locale.
std::string format_record(const Record& record, Layout layout);

/// RFC 4648 base64 with padding.
std::string base64(std::string_view bytes);

}  // namespace mnv2::app
