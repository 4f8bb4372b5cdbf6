// Where the results of a run go.
#pragma once

#include <optional>
#include <string>

#include "app/results/place_file.h"

namespace mnv2::app {

struct OutputPlan {
  std::optional<std::string> output = {};      // a file; stdout without
  bool resume = false;                         // go on with `output`
  std::optional<std::string> embeddings = {};  // a file
  std::optional<std::string> html = {};        // a file
  std::optional<std::string> sort_into = {};   // a folder
  SortAs sort_as = SortAs::link;
};

}  // namespace mnv2::app
