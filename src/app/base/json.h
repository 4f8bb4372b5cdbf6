// The JSON type of the program's output.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mnv2::app {

/// Keeps the order of keys, and holds numbers as float, so that they print with the fewest digits that bring
/// back the same float32 (0.1, not 0.10000000149011612).
using Json = nlohmann::basic_json<nlohmann::ordered_map, std::vector, std::string, bool, std::int64_t,
                                  std::uint64_t, float>;

/// `json` as text: U+FFFD for what is not UTF-8. Indented, with the items of arrays on one line each, or on
/// one line.
std::string dump_line(const Json& json);
std::string dump_indented(const Json& json, int depth = 0);

}  // namespace mnv2::app
