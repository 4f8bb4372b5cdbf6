// The JSON texts of a model file (models/README.md) as the structs of mnv2/model.h, checked against their
// rules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mnv2/model.h"

namespace mnv2::model {

/// Layers get their names: "stem", "blocks.3.expand", ... @throws Error{invalid_model}
Architecture parse_architecture(std::string_view text);

/// @throws Error{invalid_model}
Preprocessing parse_preprocessing(std::string_view text);

/// @param classes how many labels there must be. @throws Error{invalid_model}
std::vector<std::string> parse_labels(std::string_view text, int classes);

/// The shape of `layer`'s weights, see LayerKind.
std::vector<std::uint64_t> weight_shape(const Layer& layer);

}  // namespace mnv2::model
