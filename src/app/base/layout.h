// How results are laid out as text.
#pragma once

namespace mnv2::app {

enum class Layout {
  json_object,  ///< one image: an indented JSON object
  json_array,   ///< a JSON array with one record a line, closed also when the run is cut short
  json_lines,   ///< one JSON object a line
  csv,          ///< a header and a line for each record (results/csv.h)
  text,         ///< for people
};

}  // namespace mnv2::app
