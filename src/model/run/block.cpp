#include "model/run/block.h"

#include <algorithm>
#include <cstring>

#include "core/rounding.h"

namespace mnv2 {
namespace {

using kernels::DepthwiseArgs;
using kernels::Epilogue;
using kernels::MatmulArgs;
using kernels::Start;

// How far ahead of the weights in use the arena is fetched: 256 KB, a quarter of a small L2 cache.
constexpr std::ptrdiff_t kPrefetchDistance = 256 << 10;

/// Fetches the rows of the input planes that output row y of the stem is the first to read: the kernel goes
/// through nine rows in turns, which is no stream that the hardware would fetch ahead. GCC takes a function
/// that does nothing but fetch for one without effect and drops its calls, unless it is inlined.
__attribute__((always_inline)) inline void prefetch_stem_rows(const NetworkPlan& plan, const float* planes,
                                                              int y) {
  const int stride = plan.stem.layer->stride;
  if (y >= plan.stem.output.h) return;
  const std::ptrdiff_t first = (std::ptrdiff_t{y} * stride + 3 - stride) * plan.input_row_stride;
  const std::ptrdiff_t end = first + stride * plan.input_row_stride;
  for (int plane = 0; plane < plan.stem.layer->in_c; ++plane)
    for (std::ptrdiff_t i = first; i < end; i += 16)
      __builtin_prefetch(planes + plane * plan.input_plane_stride + i, 0, 3);
}

}  // namespace

void run_stem_row(const RunContext& context, const Panel& panel, int y, std::byte* output,
                  std::ptrdiff_t output_block_stride) {
  const NetworkPlan& plan = context.plan;
  const Layer& stem = *plan.stem.layer;
  const float* const planes =
      context.floats(plan.rounds_to_bf16() ? BufferId::rounded_planes : BufferId::planes);
  if (panel.first_vector == 0) prefetch_stem_rows(plan, planes, y + 2);
  const kernels::StemArgs args{.input = planes + y * stem.stride * plan.input_row_stride,
                               .tap_offsets = plan.stem.taps.data(),
                               .weights = context.weights(panel.weights),
                               .bias = context.weights(panel.bias),
                               .output = output,
                               .output_block_stride = output_block_stride,
                               .taps = static_cast<int>(plan.stem.taps.size()),
                               .out_w = plan.stem.output.w,
                               .stride = stem.stride,
                               .vectors = panel.vectors(),
                               .clamp_min = stem.clamp.min,
                               .clamp_max = stem.clamp.max,
                               .rounds_to_bf16 = plan.rounds_to_bf16()};
  if (plan.precision == Precision::int8)
    context.kernels().stem_fused(args);
  else
    context.kernels().stem(args);
}

void zero_columns(std::byte* data, int blocks, std::ptrdiff_t block_stride, int rows, int w,
                  int block_bytes) {
  const std::ptrdiff_t row_stride = std::ptrdiff_t{w + 2} * block_bytes;
  for (int block = 0; block < blocks; ++block) {
    for (int y = 0; y < rows; ++y) {
      std::byte* const row = data + block * block_stride + y * row_stride;
      std::memset(row, 0, block_bytes);
      std::memset(row + row_stride - block_bytes, 0, block_bytes);
    }
  }
}

void zero_padding(const TensorPlan& tensor, std::byte* data, Range pixels) {
  if (!tensor.padded_columns) return;
  const int first = divide_up(pixels.begin, tensor.w), end = divide_up(pixels.end, tensor.w);
  zero_columns(data + first * tensor.row_stride, tensor.blocks, tensor.block_stride, end - first, tensor.w,
               tensor.block_bytes);
}

BlockRun::BlockRun(const RunContext& context, const BlockPlan& b, BufferId input, int thread)
    : context_(context), b_(b), thread_(thread), input_(context.buffer(input)) {}

void BlockRun::zero_produced_columns() const {
  if (b_.source == RowSource::input) return;
  zero_columns(buffer(BufferId::rows), b_.ring_vectors, b_.ring_block_bytes(), b_.ring_rows, b_.input.w,
               b_.input.block_bytes);
}

void BlockRun::prepare(const Panels& panels, BufferId prepared, Pixels pixels, int in_c, int count,
                       bool is_signed) const {
  const kernels::PanelFormat* const format = preparing_format(panels);
  if (format == nullptr || count <= 0) return;
  format->prepare({.input = pixels.data,
                   .input_block_stride = pixels.block_stride,
                   .prepared = buffer(prepared),
                   .run_pixels = count,
                   .in_c = in_c,
                   .pixels = count,
                   .is_signed = is_signed});
}

void BlockRun::multiply(const Panel& panel, MatmulArgs args) const {
  args.weights = context_.arena + panel.weights;
  args.bias = context_.weights(panel.bias);
  args.vectors = panel.vectors();
  panel.format->multiply(args);
}

/// By chunks each weight comes once, and the arena has them in order: while a panel is multiplied, as many
/// to come. Two groups are two streams that share the distance: one thread alone reads both in turns.
void BlockRun::fetch_weights(const Panel& panel, int in_c, MatmulArgs& args) const {
  args.prefetch = context_.arena + panel.weights + kPrefetchDistance / b_.groups();
  args.prefetch_bytes = static_cast<std::ptrdiff_t>(panel.format->weights_bytes(in_c, panel.halves));
}

/// By bands the same few weights come again and again, but the input's rows are new: while a panel is
/// multiplied with `rows`, those of the next band, one channel block for each panel.
void BlockRun::fetch_rows(const Panel& panel, Range rows, MatmulArgs& args) const {
  const int block = panel.first_vector / kernels::kMaxPanelVectors;
  if (block >= b_.input.blocks) return;
  args.prefetch = input_ + block * b_.input.block_stride +
                  (rows.begin + b_.band_rows * b_.stride()) * b_.input.row_stride;
  args.prefetch_bytes = rows.size() * b_.input.row_stride;
}

void BlockRun::prepare_input(Range rows) const {
  if (b_.source != RowSource::expand) return;
  const LayerTimer timer(context_, thread_, b_.produce_layer());
  // All chunks have the same formats, but for what their last panels are.
  for (const ChunkPlan& chunk : b_.chunks) {
    if (preparing_format(chunk.produce) == nullptr) continue;
    prepare(chunk.produce, BufferId::prepared_input,
            {input_ + rows.begin * b_.input.row_stride, b_.input.block_stride}, b_.input.c,
            rows.size() * b_.input.w, b_.input_is_signed);
    return;
  }
}

void BlockRun::produce(const Panel& panel, Range rows, std::byte* ring) const {
  const LayerTimer timer(context_, thread_, b_.produce_layer());
  for (int y = rows.begin; y < rows.end;) {
    const int slot = y % b_.ring_rows;
    std::byte* const to = ring + slot * b_.ring_row_bytes();
    if (b_.source == RowSource::stem) {
      run_stem_row(context_, panel, y, to + b_.input.block_bytes, b_.ring_block_bytes());
      ++y;
      continue;
    }
    const int run = std::min(rows.end - y, b_.ring_rows - slot);  // until the ring wraps
    const Clamp& clamp = b_.block->expand->clamp;
    const float scale = b_.pairing.hidden_scale;
    const Epilogue epilogue{.clamp_min = clamp.min * scale,
                            .clamp_max = clamp.max * scale,
                            .rounds_to_bf16 = context_.plan.rounds_to_bf16()};
    MatmulArgs args{.input = input_ + y * b_.input.row_stride,
                    .input_block_stride = b_.input.block_stride,
                    .output = {to, b_.ring_block_bytes(), b_.ring_offsets.data()},
                    .epilogue = &epilogue,
                    .in_c = b_.input.c,
                    .pixels = run * b_.input.w,
                    .prepared = {buffer(BufferId::prepared_input), rows.size() * b_.input.w,
                                 (y - rows.begin) * b_.input.w}};
    if (b_.banded)
      fetch_rows(panel, {y, y + run}, args);
    else
      fetch_weights(panel, b_.input.c, args);
    multiply(panel, args);
    y += run;
  }
}

void BlockRun::filter(const ChunkPlan& chunk, Range vectors, Range rows, const std::byte* ring,
                      std::byte* output) const {
  const LayerTimer timer(context_, thread_, b_.depthwise_layer());
  const Layer& layer = b_.block->depthwise;
  const int block_bytes = b_.input.block_bytes;
  const int first_column = (1 - b_.columns_before) * block_bytes;
  DepthwiseArgs args{.output_row_stride = std::ptrdiff_t{b_.output.w} * block_bytes,
                     .out_w = b_.output.w,
                     .stride = layer.stride,
                     .clamp_min = layer.clamp.min * b_.pairing.filtered_scale,
                     .clamp_max = layer.clamp.max * b_.pairing.filtered_scale};
  for (int v = vectors.begin; v < vectors.end; ++v, ring += b_.ring_block_bytes()) {
    args.weights = context_.weights(chunk.depthwise + std::size_t(v - chunk.first_vector) * 10 * block_bytes);
    for (int y = rows.begin; y < rows.end; y += args.out_rows) {
      // As few calls as can be, of as equal height as can be.
      const int calls = divide_up(rows.end - y, kernels::kMaxDepthwiseRows);
      args.out_rows = divide_up(rows.end - y, calls);
      for (int i = 0; i < (args.out_rows - 1) * layer.stride + 3; ++i)
        args.rows[i] = input_row(v, y * layer.stride - b_.rows_before + i, ring) + first_column;
      args.output = output;
      output += args.out_rows * args.output_row_stride;
      if (context_.plan.precision == Precision::int8)
        context_.kernels().depthwise_fused(args);
      else
        context_.kernels().depthwise(args);
    }
  }
}

/// Row y of the depthwise convolution's input, from the padding column on the left on; zeros outside the image.
const std::byte* BlockRun::input_row(int vector, int y, const std::byte* ring) const {
  if (y < 0 || y >= b_.input.h) return buffer(BufferId::zero_row);
  if (b_.source == RowSource::input) return input_ + vector * b_.input.block_stride + y * b_.input.row_stride;
  return ring + (y % b_.ring_rows) * b_.ring_row_bytes();
}

Epilogue BlockRun::epilogue(int block, int first_pixel) const {
  const Clamp& clamp = b_.block->project.clamp;
  Epilogue epilogue{.clamp_min = clamp.min, .clamp_max = clamp.max};
  // Padded columns are there for the next block's depthwise convolution, which reads this.
  epilogue.rounds_to_bf16 = context_.plan.rounds_to_bf16() && b_.output.padded_columns;
  if (b_.block->residual) epilogue.residual = view_of(b_.input, input_, block, first_pixel);
  return epilogue;
}

std::byte* BlockRun::sums_of(int group) const {
  return buffer(BufferId::sums) + group * b_.output.blocks * sums_block_stride();
}

void BlockRun::project(int index, Range pixels, Pixels filtered, std::byte* output) const {
  const LayerTimer timer(context_, thread_, b_.project_layer());
  const ChunkPlan& chunk = b_.chunks[index];
  const bool whole = b_.groups() == 1;
  const int group = !whole && index >= b_.second_group ? 1 : 0;
  const bool first = index == chunks_of(group).begin;
  const std::ptrdiff_t first_pixel = std::ptrdiff_t{pixels.begin} * b_.output.block_bytes;
  prepare(chunk.project, BufferId::prepared_filtered, filtered, chunk.channels, pixels.size(),
          b_.filtered_is_signed());
  for (const Panel& panel : chunk.project) {
    const Epilogue finish = epilogue(panel.first_vector, pixels.begin);
    MatmulArgs args{.input = filtered.data,
                    .input_block_stride = filtered.block_stride,
                    .start = !first       ? Start::previous
                             : group == 0 ? Start::bias
                                          : Start::zero,
                    .in_c = chunk.channels,
                    .pixels = pixels.size(),
                    .prepared = {buffer(BufferId::prepared_filtered), pixels.size()}};
    if (whole) {
      args.output = view_of(b_.output, output, panel.first_vector, pixels.begin);
      args.epilogue = &finish;
    } else {
      args.output = {sums_of(group) + panel.first_vector * sums_block_stride() + first_pixel,
                     sums_block_stride()};
    }
    if (!b_.banded) fetch_weights(panel, chunk.channels, args);
    multiply(panel, args);
  }
}

void BlockRun::merge(Range pixels, std::byte* output) const {
  const LayerTimer timer(context_, thread_, b_.project_layer());
  const std::ptrdiff_t first = std::ptrdiff_t{pixels.begin} * b_.output.block_bytes;
  context_.kernels().merge({.sums = {sums_of(0) + first, sums_of(1) + first},
                            .sums_block_stride = sums_block_stride(),
                            .output = view_of(b_.output, output, 0, pixels.begin),
                            .epilogue = epilogue(0, pixels.begin),
                            .pixels = pixels.size(),
                            .blocks = b_.output.blocks});
}

Range BlockRun::chunks_of(int group) const {
  const int chunks = static_cast<int>(b_.chunks.size());
  if (group == 1) return {b_.second_group, chunks};
  return {0, b_.groups() > 1 ? b_.second_group : chunks};
}

}  // namespace mnv2
