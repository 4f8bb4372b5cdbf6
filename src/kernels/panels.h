// How a pointwise layer is cut into panels, and which format each takes.
#pragma once

#include <vector>

#include "kernels/formats.h"

namespace mnv2::kernels {

/// Some outputs of a layer, and the format that they are multiplied in.
struct PanelCut {
  int first_vector = 0;
  int halves = 0;  // half vectors of outputs
  const PanelFormat* format = nullptr;

  int vectors() const { return (halves + 1) / 2; }
};

/// What is asked of the panels of a layer.
struct PanelWish {
  Precision precision = Precision::float32;
  int out_c = 0;
  int in_c = 0;
  bool cancelling = false;    // formats that cancel are welcome
  bool half_vectors = false;  // the last panel may end in the middle of a vector
  CpuFeatures cpu = {};       // what formats may use of it beside the table's own instructions
};

/// The first row of this precision that a whole vector of outputs can have on this CPU.
const PanelFormat& plain_format(const PanelFormats& formats, Precision precision, CpuFeatures cpu);

/// Panels of all outputs of a layer, from vector 0 on. The only place that chooses formats.
/// @param lanes V, floats of a vector.
std::vector<PanelCut> cut_panels(const PanelFormats& formats, int lanes, const PanelWish& wish);

}  // namespace mnv2::kernels
