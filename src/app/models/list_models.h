// --list-models: what the search for models finds.
#pragma once

#include <optional>
#include <string>

#include "app/base/layout.h"
#include "app/models/model_search.h"

namespace mnv2::app {

/// The plan of the mode.
struct ListModels {
  ModelSearch search;
  Layout layout = Layout::text;
  std::optional<std::string> output = {};  // a file; stdout without
};

/// Every model file in the folders of `search`, in the order of the search, as a table or as a JSON array: what is in
/// it, or an error; whether a run without --model takes it; and which one hides it, if an earlier one has its name.
std::string list_models(const ModelSearch& search, Layout layout);

}  // namespace mnv2::app
