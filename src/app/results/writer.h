// Records as text: JSON, JSON Lines, CSV or for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "app/base/layout.h"
#include "app/results/csv.h"
#include "app/results/record.h"

namespace mnv2::app {

/// What stands around records, so that they can be written one by one.
struct Framing {
  std::string before = {};   // the first record
  std::string between = {};  // two records
  std::string after = {};    // the last record
  std::string empty = {};    // instead of all, when there is no record
};

/// @param columns of CSV.
Framing framing(Layout layout, const CsvColumns& columns = {});

/// One record, complete but for the framing.
///
/// JSON: always valid, always UTF-8. A path that is not UTF-8 has U+FFFD for what cannot be shown, and its
/// exact bytes in base64 as `path_base64`. Probabilities have the digits that bring back the same float32, in
/// the "C" locale.
/// @param predictions how many predictions a line of CSV has room for.
std::string format_record(const Record& record, Layout layout, int predictions = 0);

/// RFC 4648 base64 with padding.
std::string base64(std::string_view bytes);

/// The bytes that `text` is base64 of, or nothing when it is none.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace mnv2::app
