#include "app/base/json.h"

namespace mnv2::app {

std::string dump_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string dump_indented(const Json& json, int depth) {
  const bool of_objects = json.is_array() && !json.empty() && json.front().is_object();
  if (!of_objects && (!json.is_object() || json.empty())) return dump_line(json);
  const std::string indent(2 * (depth + 1), ' ');
  std::string out;
  for (const auto& [key, value] : json.items()) {
    out += out.empty() ? "" : ",\n";
    out += indent;
    // A prediction stays on its line: a list of them reads like a table.
    out += of_objects ? dump_line(value) : dump_line(key) + ": " + dump_indented(value, depth + 1);
  }
  const std::string_view brackets = of_objects ? "[]" : "{}";
  return std::string(1, brackets[0]) + "\n" + out + "\n" + std::string(2 * depth, ' ') + brackets[1];
}

}  // namespace mnv2::app
