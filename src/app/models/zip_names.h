// What is in a ZIP archive.
#pragma once

#include <fstream>
#include <string>
#include <vector>

namespace mnv2::app {

/// The names in the archive, as far as they can be read: none of what is not a ZIP archive or damaged.
std::vector<std::string> zip_names(std::ifstream& file);

}  // namespace mnv2::app
