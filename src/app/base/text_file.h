// Text files that flags name.
#pragma once

#include <string>

namespace mnv2::app {

/// All of the file that `flag` names, at most 64 MiB. Reads to the end rather than asking for the size: a
/// pipe, as in --labels <(command), has none.
/// @throws UsageError naming `flag` and `path`
std::string read_text_file(const std::string& flag, const std::string& path);

}  // namespace mnv2::app
