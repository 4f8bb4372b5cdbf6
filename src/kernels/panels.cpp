#include "kernels/panels.h"

#include <algorithm>

namespace mnv2::kernels {

const PanelFormat& plain_format(const PanelFormats& formats, Precision precision, CpuFeatures cpu) {
  return *std::find_if(formats.begin(), formats.end(), [&](const PanelFormat& row) {
    return row.precision == precision && cpu.has(row.needs) && row.takes(2) && !row.cancels;
  });
}

std::vector<PanelCut> cut_panels(const PanelFormats& formats, int lanes, const PanelWish& wish) {
  const int half = lanes / 2;
  std::vector<PanelCut> panels;
  for (int first = 0; first < wish.out_c; first += kMaxPanelVectors * lanes) {
    int halves = std::min((wish.out_c - first + half - 1) / half, 2 * kMaxPanelVectors);
    // Where a format prepares the pixels, two vectors of which a quarter is wasted cost less than three halves, unless
    // there is no other panel to share what is prepared.
    if (!wish.half_vectors || (wish.cancelling && halves == 3 && first > 0)) halves += halves % 2;
    const PanelFormat* const format =
        std::find_if(formats.begin(), formats.end(), [&](const PanelFormat& row) {
          return row.precision == wish.precision && wish.cpu.has(row.needs) && row.takes(halves) &&
                 wish.in_c >= row.min_in_c && (wish.cancelling || !row.cancels);
        });
    panels.push_back({.first_vector = first / lanes, .halves = halves, .format = format});
  }
  return panels;
}

}  // namespace mnv2::kernels
