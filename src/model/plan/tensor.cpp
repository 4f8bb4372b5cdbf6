#include "model/plan/tensor.h"

#include <limits>
#include <string>

#include "core/rounding.h"
#include "mnv2/error.h"

namespace mnv2 {

TensorPlan make_tensor(int c, int h, int w, int block_bytes, bool padded_columns) {
  TensorPlan t{.c = c, .h = h, .w = w, .block_bytes = block_bytes, .padded_columns = padded_columns};
  t.blocks = divide_up(c, block_bytes / kernels::element_bytes(t.element));
  t.row_stride = std::ptrdiff_t{w + (padded_columns ? 2 : 0)} * block_bytes;
  t.block_stride = h * t.row_stride;
  if (t.block_stride > std::numeric_limits<std::int32_t>::max())
    throw Error(ErrorCode::invalid_argument, "input size: a map of " + std::to_string(h) + " x " +
                                                 std::to_string(w) + " is too large for this network");
  if (padded_columns) t.offsets = padded_offsets(h, w, block_bytes);
  return t;
}

std::vector<std::int32_t> padded_offsets(int rows, int w, int block_bytes) {
  std::vector<std::int32_t> offsets(std::size_t(rows) * w);
  for (int y = 0, p = 0; y < rows; ++y)
    for (int x = 0; x < w; ++x, ++p) offsets[p] = (y * (w + 2) + x + 1) * block_bytes;
  return offsets;
}

}  // namespace mnv2
