// The mapped pages of a model file.
#pragma once

#include "mnv2/model.h"

namespace mnv2 {

/// Gives the memory of the mapped weights (of `layer`) back to the system. They stay valid: whatever reads them again has
/// them from the page cache, as at first.
struct ModelMemory {
  static void release(const Model& model) noexcept;
  /// @throws Error{invalid_argument} for a layer that this model does not have.
  static void release(const Model& model, const Layer& layer);
};

}  // namespace mnv2
