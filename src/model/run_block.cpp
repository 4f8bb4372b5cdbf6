#include "model/run_block.h"

#include <algorithm>

namespace mnv2 {
namespace {

using kernels::DepthwiseArgs;
using kernels::PixelMap;
using kernels::PointwiseArgs;

PixelMap map_pixels(const TensorPlan& tensor, float* data, int first_vector = 0) {
  return {.data = data + first_vector * tensor.block_stride,
          .block_stride = tensor.block_stride,
          .offsets = tensor.offsets.empty() ? nullptr : tensor.offsets.data()};
}

/// The same map, starting at pixel `first`.
PixelMap advance(PixelMap map, int first, int lanes) {
  if (map.offsets != nullptr)
    map.offsets += first;
  else if (map.data != nullptr)
    map.data += std::ptrdiff_t{first} * lanes;
  return map;
}

/// The steps of one block, each over the part of the work that one thread has.
class BlockRun {
 public:
  BlockRun(const RunContext& context, const BlockPlan& b, const float* input, float* output)
      : context_(context), b_(b), lanes_(context.plan.lanes), input_(input), output_(output) {
    produced_row_ = std::ptrdiff_t{b.input.w + 2} * lanes_;
    produced_block_ = b.ring_rows * produced_row_;
  }

  void run() const {
    const int threads = context_.pool.threads();
    if (b_.banded) {
      const int parts = std::min(threads, b_.output.h);
      context_.pool.run(parts, [&](int part, int thread) {
        run_bands(context_.threads[thread], split(b_.output.h, parts, part));
      });
    } else if (!b_.projected) {
      run_hidden(output_);
    } else if (threads <= b_.groups()) {
      context_.pool.run(b_.groups(),
                        [&](int group, int thread) { run_group(context_.threads[thread], group); });
      if (b_.groups() > 1)
        run_split(context_, b_.output.pixels(),
                  [&](Range pixels, int thread) { add_groups(context_.threads[thread], pixels); });
    } else {
      zero_output_columns({0, b_.output.h});
      run_hidden(context_.shared_depthwise);
      const int parts = std::min(threads, b_.output.pixels());
      context_.pool.run(parts, [&](int part, int thread) {
        project_part(context_.threads[thread], split(b_.output.pixels(), parts, part));
      });
    }
  }

 private:
  /// Bands of output rows, one after the other; what a band's windows share with the next stays in the ring.
  void run_bands(const ThreadBuffers& buffers, Range rows) const {
    const ChunkPlan& chunk = b_.chunks.front();
    zero_output_columns(rows);
    if (b_.source != RowSource::input)
      zero_columns(buffers.rows, chunk.vectors, produced_block_, {0, b_.ring_rows}, b_.input.w, lanes_);
    int produced = std::max(0, rows.begin * b_.stride() - b_.rows_before);
    for (int y = rows.begin; y < rows.end; y += b_.band_rows) {
      const Range band{y, std::min(y + b_.band_rows, rows.end)};
      const int needed = std::min(b_.input.h, (band.end - 1) * b_.stride() + 3 - b_.rows_before);
      const std::ptrdiff_t depthwise_block = std::ptrdiff_t{band.size()} * b_.output.w * lanes_;
      multiply_input_pairs(buffers, {produced, needed});
      for (const PanelPlan& panel : chunk.produce) {
        produce(buffers, panel, {produced, needed}, buffers.rows + panel.first_vector * produced_block_);
        depthwise(buffers, chunk, panel.first_vector, panel.vectors, band,
                  buffers.rows + panel.first_vector * produced_block_,
                  buffers.depthwise + panel.first_vector * depthwise_block);
      }
      if (chunk.produce.empty())
        depthwise(buffers, chunk, 0, chunk.vectors, band, nullptr, buffers.depthwise);
      produced = needed;
      project(buffers, chunk, {band.begin * b_.output.w, band.end * b_.output.w},
              {buffers.depthwise, depthwise_block}, {});
    }
  }

  /// The chunks of one group over the whole map, one after the other, their projections added up.
  void run_group(const ThreadBuffers& buffers, int group) const {
    const Range all{0, b_.output.h};
    const std::ptrdiff_t depthwise_block = std::ptrdiff_t{b_.output.pixels()} * lanes_;
    if (group == 0) zero_output_columns(all);
    zero_produced_columns(buffers, b_.chunks);
    // One thread has the first group's still in its buffer.
    if (group == 0 || context_.pool.threads() > 1) multiply_input_pairs(buffers, {0, b_.input.h});
    const Range chunks = chunks_of(group);
    for (int i = chunks.begin; i < chunks.end; ++i) {
      const ChunkPlan& chunk = b_.chunks[i];
      for (const PanelPlan& panel : chunk.produce)
        produce(buffers, panel, {0, b_.input.h},
                buffers.rows + (panel.first_vector - chunk.first_vector) * produced_block_);
      depthwise(buffers, chunk, chunk.first_vector, chunk.vectors, all, buffers.rows, buffers.depthwise);
      project(buffers, chunk, {0, b_.output.pixels()}, {buffers.depthwise, depthwise_block}, share_of(i));
    }
  }

  /// Output pixels [pixels): the second group's sums are added to the first one's.
  void add_groups(const ThreadBuffers& thread, Range pixels) const {
    const LayerTimer timer(thread, b_.project_layer());
    const Clamp& clamp = b_.block->project.clamp;
    kernels::AddArgs args{.output = advance(map_pixels(b_.output, output_), pixels.begin, lanes_),
                          .partial = context_.partial + std::ptrdiff_t{pixels.begin} * lanes_,
                          .partial_block_stride = std::ptrdiff_t{b_.output.pixels()} * lanes_,
                          .pixels = pixels.size(),
                          .vectors = b_.output.vectors,
                          .clamp_min = clamp.min,
                          .clamp_max = clamp.max};
    if (b_.block->residual) args.residual = residual_map(0, pixels.begin);
    context_.kernels.add_partial(args);
  }

  /// Expands and filters the hidden panels, shared by the threads, to output [hidden_vectors][pixels][V].
  void run_hidden(float* output) const {
    const int panels = (b_.hidden_vectors + kernels::kMaxPanelVectors - 1) / kernels::kMaxPanelVectors;
    run_split(context_, panels,
              [&](Range mine, int thread) { hidden_part(context_.threads[thread], mine, output); });
  }

  /// Expands and filters hidden panels [mine), one by one.
  void hidden_part(const ThreadBuffers& buffers, Range mine, float* output) const {
    const std::ptrdiff_t depthwise_block = std::ptrdiff_t{b_.output.pixels()} * lanes_;
    zero_produced_columns(buffers, b_.chunks);
    multiply_input_pairs(buffers, {0, b_.input.h});
    for (const ChunkPlan& chunk : b_.chunks) {
      for (int v = chunk.first_vector; v < chunk.first_vector + chunk.vectors;
           v += kernels::kMaxPanelVectors) {
        const int panel = v / kernels::kMaxPanelVectors;
        if (panel < mine.begin || panel >= mine.end) continue;
        const int vectors = std::min(kernels::kMaxPanelVectors, chunk.first_vector + chunk.vectors - v);
        if (!chunk.produce.empty())
          produce(buffers, chunk.produce[(v - chunk.first_vector) / kernels::kMaxPanelVectors],
                  {0, b_.input.h}, buffers.rows);
        depthwise(buffers, chunk, v, vectors, {0, b_.output.h}, buffers.rows, output + v * depthwise_block);
      }
    }
  }

  /// Projects the pixels of one thread from the shared buffer, chunk after chunk as run_group does: the same sums.
  void project_part(const ThreadBuffers& buffers, Range pixels) const {
    const std::ptrdiff_t depthwise_block = std::ptrdiff_t{b_.output.pixels()} * lanes_;
    for (int i = 0; i < static_cast<int>(b_.chunks.size()); ++i)
      project(buffers, b_.chunks[i], pixels,
              {context_.shared_depthwise + b_.chunks[i].first_vector * depthwise_block +
                   std::ptrdiff_t{pixels.begin} * lanes_,
               depthwise_block},
              share_of(i));
    if (b_.groups() > 1) add_groups(buffers, pixels);
  }

  /// What pointwise_pairs needs of input rows [rows), for the panels that produce() makes of them.
  void multiply_input_pairs(const ThreadBuffers& thread, Range rows) const {
    if (!b_.sums.expand_in_pairs || rows.size() <= 0) return;
    const LayerTimer timer(thread, b_.produce_layer());
    context_.kernels.pair_products({.input = input_ + rows.begin * b_.input.row_stride,
                                    .input_block_stride = b_.input.block_stride,
                                    .output = thread.input_products,
                                    .in_c = b_.input.c,
                                    .pixels = rows.size() * b_.input.w});
  }

  /// Rows [rows) of one panel of hidden channels: row y goes to slot y mod ring_rows of `ring`.
  void produce(const ThreadBuffers& thread, const PanelPlan& panel, Range rows, float* ring) const {
    const LayerTimer timer(thread, b_.produce_layer());
    for (int y = rows.begin; y < rows.end;) {
      const int slot = y % b_.ring_rows;
      if (b_.source == RowSource::stem) {
        run_stem_row(context_, panel, input_, y, ring + slot * produced_row_ + lanes_, produced_block_);
        ++y;
        continue;
      }
      const int run = std::min(rows.end - y, b_.ring_rows - slot);  // until the ring wraps
      const Clamp& clamp = b_.block->expand->clamp;
      const float scale = b_.sums.hidden_scale;
      const Fetch fetch = b_.banded ? next_rows(panel, {y, y + run}) : next_weights(panel, b_.input.c);
      pointwise_kernel(context_.kernels, panel)(
          {.input = input_ + y * b_.input.row_stride,
           .input_block_stride = b_.input.block_stride,
           .weights = context_.arena + panel.weights,
           .bias = context_.arena + panel.bias,
           .output = {.data = ring + slot * produced_row_,
                      .block_stride = produced_block_,
                      .offsets = b_.ring_offsets.data()},
           .in_c = b_.input.c,
           .pixels = run * b_.input.w,
           .vectors = panel.vectors,
           .clamp_min = clamp.min * scale,
           .clamp_max = clamp.max * scale,
           .prefetch = fetch.data,
           .prefetch_floats = fetch.floats,
           .pair_products = thread.input_products + std::ptrdiff_t{y - rows.begin} * b_.input.w});
      y += run;
    }
  }

  /// Output rows [rows) of hidden vectors [first, first + vectors), from the ring of the first of them (or
  /// from the block's input) to output [vectors][rows.size() * out_w][V].
  void depthwise(const ThreadBuffers& thread, const ChunkPlan& chunk, int first, int vectors, Range rows,
                 const float* ring, float* output) const {
    const LayerTimer timer(thread, b_.depthwise_layer());
    const Layer& layer = b_.block->depthwise;
    const int first_column = (1 - b_.columns_before) * lanes_;
    DepthwiseArgs args{.output_row_stride = std::ptrdiff_t{b_.output.w} * lanes_,
                       .out_w = b_.output.w,
                       .stride = layer.stride,
                       .clamp_min = layer.clamp.min * b_.sums.filtered_scale,
                       .clamp_max = layer.clamp.max * b_.sums.filtered_scale};
    for (int v = 0; v < vectors; ++v) {
      args.weights =
          context_.arena + chunk.depthwise + std::ptrdiff_t{first - chunk.first_vector + v} * 10 * lanes_;
      for (int y = rows.begin; y < rows.end; y += args.out_rows) {
        // As few calls as can be, of as equal height as can be.
        const int calls = (rows.end - y + kernels::kMaxDepthwiseRows - 1) / kernels::kMaxDepthwiseRows;
        args.out_rows = (rows.end - y + calls - 1) / calls;
        for (int i = 0; i < (args.out_rows - 1) * layer.stride + 3; ++i)
          args.rows[i] =
              input_row(first + v, y * layer.stride - b_.rows_before + i, ring + v * produced_block_) +
              first_column;
        args.output = output;
        output += args.out_rows * args.output_row_stride;
        context_.kernels.depthwise(args);
      }
    }
  }

  /// Row y of the depthwise convolution's input, from the padding column on the left on; zeros outside the
  /// image.
  const float* input_row(int vector, int y, const float* ring) const {
    if (y < 0 || y >= b_.input.h) return context_.zero_row;
    if (b_.source == RowSource::input)
      return input_ + vector * b_.input.block_stride + y * b_.input.row_stride;
    return ring + (y % b_.ring_rows) * produced_row_;
  }

  /// The chunks of one group.
  Range chunks_of(int group) const {
    const int chunks = static_cast<int>(b_.chunks.size());
    if (group == 1) return {b_.second_group, chunks};
    return {0, b_.groups() > 1 ? b_.second_group : chunks};
  }

  /// What a chunk adds to a projection.
  struct Share {
    int group = 0;
    bool first = true;     // of its group: begins the sum
    bool complete = true;  // the last of all: what follows the sum, follows
  };

  Share share_of(int chunk) const {
    const int group = b_.groups() > 1 && chunk >= b_.second_group ? 1 : 0;
    return {.group = group,
            .first = chunk == chunks_of(group).begin,
            .complete = b_.groups() == 1 && chunk + 1 == chunks_of(0).end};
  }

  /// Channel blocks of filtered pixels.
  struct Filtered {
    const float* data;            // [chunk.vectors][block_stride]
    std::ptrdiff_t block_stride;  // floats
  };

  /// Adds one chunk's share of output pixels [pixels): the bias with the first chunk, the clamp and the
  /// residual with the last. Those of a second group go to the context's partial sums, and add_groups does
  /// the rest.
  void project(const ThreadBuffers& thread, const ChunkPlan& chunk, Range pixels, Filtered input,
               Share share) const {
    const LayerTimer timer(thread, b_.project_layer());
    const Clamp clamp = share.complete ? b_.block->project.clamp : Clamp{};
    const std::ptrdiff_t partial_block = std::ptrdiff_t{b_.output.pixels()} * lanes_;
    if (any_in_pairs(chunk.project))
      context_.kernels.pair_products({.input = input.data,
                                      .input_block_stride = input.block_stride,
                                      .output = thread.filtered_products,
                                      .in_c = chunk.channels,
                                      .pixels = pixels.size()});
    for (const PanelPlan& panel : chunk.project) {
      const Fetch fetch = b_.banded ? Fetch{} : next_weights(panel, chunk.channels);
      const PixelMap sums = share.group == 0
                                ? map_pixels(b_.output, output_, panel.first_vector)
                                : PixelMap{.data = context_.partial + panel.first_vector * partial_block,
                                           .block_stride = partial_block};
      PointwiseArgs args{.input = input.data,
                         .input_block_stride = input.block_stride,
                         .weights = context_.arena + panel.weights,
                         .bias = share.group == 0 ? context_.arena + panel.bias : context_.zero_row,
                         .output = advance(sums, pixels.begin, lanes_),
                         .in_c = chunk.channels,
                         .pixels = pixels.size(),
                         .vectors = panel.vectors,
                         .accumulate = !share.first,
                         .clamp_min = clamp.min,
                         .clamp_max = clamp.max,
                         .prefetch = fetch.data,
                         .prefetch_floats = fetch.floats,
                         .pair_products = thread.filtered_products};
      if (b_.block->residual && share.complete)
        args.residual = residual_map(panel.first_vector, pixels.begin);
      pointwise_kernel(context_.kernels, panel)(args);
    }
  }

  /// The block's input from channel block `vector` and pixel `first` on. Kernels only read it; one type of map serves
  /// both.
  PixelMap residual_map(int vector, int first) const {
    return advance(map_pixels(b_.input, const_cast<float*>(input_), vector), first, lanes_);
  }

  /// What a kernel fetches on the way.
  struct Fetch {
    const float* data = nullptr;
    std::ptrdiff_t floats = 0;
  };

  /// By chunks each weight comes once, and the arena has them in order: while a panel is multiplied, as many
  /// to come. Two groups are two streams that share the distance: one thread alone reads both in turns.
  Fetch next_weights(const PanelPlan& panel, int in_c) const {
    return {context_.arena + panel.weights + kPrefetchDistance / b_.groups(),
            std::ptrdiff_t{panel.vectors} * lanes_ * in_c};
  }

  /// By bands the same few weights come again and again, but the input's rows are new: while a panel is
  /// multiplied with `rows`, those of the next band, one channel block for each panel.
  Fetch next_rows(const PanelPlan& panel, Range rows) const {
    const int block = panel.first_vector / kernels::kMaxPanelVectors;
    if (block >= b_.input.vectors) return {};
    return {input_ + block * b_.input.block_stride +
                (rows.begin + b_.band_rows * b_.stride()) * b_.input.row_stride,
            rows.size() * b_.input.row_stride};
  }

  void zero_output_columns(Range rows) const {
    if (b_.output.padded_columns)
      zero_columns(output_, b_.output.vectors, b_.output.block_stride, rows, b_.output.w, lanes_);
  }

  void zero_produced_columns(const ThreadBuffers& buffers, const std::vector<ChunkPlan>& chunks) const {
    if (b_.source == RowSource::input) return;
    int vectors = 0;
    for (const ChunkPlan& chunk : chunks) vectors = std::max(vectors, chunk.vectors);
    zero_columns(buffers.rows, vectors, produced_block_, {0, b_.ring_rows}, b_.input.w, lanes_);
  }

  const RunContext& context_;
  const BlockPlan& b_;
  int lanes_;
  const float* input_;
  float* output_;
  std::ptrdiff_t produced_row_ = 0;    // floats of a produced row
  std::ptrdiff_t produced_block_ = 0;  // floats of the produced rows of one hidden vector
};

}  // namespace

Range split(int total, int parts, int part) {
  return {static_cast<int>(std::int64_t{total} * part / parts),
          static_cast<int>(std::int64_t{total} * (part + 1) / parts)};
}

void zero_columns(float* data, int vectors, std::ptrdiff_t block_stride, Range rows, int w, int lanes) {
  const std::ptrdiff_t row_stride = std::ptrdiff_t{w + 2} * lanes;
  for (int v = 0; v < vectors; ++v) {
    for (int y = rows.begin; y < rows.end; ++y) {
      float* row = data + v * block_stride + y * row_stride;
      std::fill_n(row, lanes, 0.0f);
      std::fill_n(row + row_stride - lanes, lanes, 0.0f);
    }
  }
}

namespace {

/// Fetches the rows of the input planes that output row y of the stem is the first to read: the kernel goes
/// through nine rows in turns, which is no stream that the hardware would fetch ahead. GCC takes a function
/// that does nothing but fetch for one without effect and drops its calls, unless it is inlined.
__attribute__((always_inline)) inline void prefetch_stem_rows(const NetworkPlan& plan, const float* planes,
                                                              int y) {
  const int stride = plan.stem.layer->stride;
  if (y >= plan.stem_output.h) return;
  const std::ptrdiff_t first = (std::ptrdiff_t{y} * stride + 3 - stride) * plan.input_row_stride;
  const std::ptrdiff_t end = first + stride * plan.input_row_stride;
  for (int plane = 0; plane < plan.stem.layer->in_c; ++plane)
    for (std::ptrdiff_t i = first; i < end; i += 16)
      __builtin_prefetch(planes + plane * plan.input_plane_stride + i, 0, 3);
}

}  // namespace

void run_stem_row(const RunContext& context, const PanelPlan& panel, const float* planes, int y,
                  float* output, std::ptrdiff_t output_block_stride) {
  const NetworkPlan& plan = context.plan;
  const Layer& stem = *plan.stem.layer;
  if (panel.first_vector == 0) prefetch_stem_rows(plan, planes, y + 2);
  context.kernels.stem({.input = planes + y * stem.stride * plan.input_row_stride,
                        .tap_offsets = plan.stem_taps.data(),
                        .weights = context.arena + panel.weights,
                        .bias = context.arena + panel.bias,
                        .output = output,
                        .output_block_stride = output_block_stride,
                        .taps = static_cast<int>(plan.stem_taps.size()),
                        .out_w = plan.stem_output.w,
                        .stride = stem.stride,
                        .vectors = panel.vectors,
                        .clamp_min = stem.clamp.min,
                        .clamp_max = stem.clamp.max});
}

void run_block(const RunContext& context, const BlockPlan& b, const float* input, float* output) {
  BlockRun(context, b, input, output).run();
}

}  // namespace mnv2
