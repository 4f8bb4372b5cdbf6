// What the stages of a block are made of, for the share of one thread: produce, filter, project, merge.
#pragma once

#include "model/run/context.h"

namespace mnv2 {

/// One row [y] of the stem for one panel, into contiguous pixels at `output`.
void run_stem_row(const RunContext& context, const Panel& panel, int y, std::byte* output,
                  std::ptrdiff_t output_block_stride);

/// Zeroes the first and the last column, the padding ones, of `rows` rows of w pixels between them, from `data` on.
void zero_columns(std::byte* data, int blocks, std::ptrdiff_t block_stride, int rows, int w, int block_bytes);

/// The same for those rows of a tensor with padded columns whose first pixels are among `pixels`.
void zero_padding(const TensorPlan& tensor, std::byte* data, Range pixels);

/// Channel blocks of pixels, contiguous.
struct Pixels {
  const std::byte* data;
  std::ptrdiff_t block_stride;  // bytes
};

class BlockRun {
 public:
  /// @param input the block's, in the layout of b.input; with RowSource::stem the network's planes are read.
  BlockRun(const RunContext& context, const BlockPlan& b, BufferId input, int thread);

  const BlockPlan& plan() const { return b_; }
  std::byte* buffer(BufferId id) const { return context_.buffer(id, thread_); }

  /// Zeroes the columns on both sides of what produce() writes.
  void zero_produced_columns() const;

  /// What the expansion's format prepares of input rows [rows), for the panels that produce() makes of them.
  void prepare_input(Range rows) const;

  /// Rows [rows) of one panel of hidden channels: row y goes to slot y mod ring_rows of `ring`.
  void produce(const Panel& panel, Range rows, std::byte* ring) const;

  /// Output rows [rows) of hidden vectors [vectors) of a chunk, from the ring of the first of them (or from the
  /// block's input) to output [vectors][rows.size() * out_w].
  void filter(const ChunkPlan& chunk, Range vectors, Range rows, const std::byte* ring,
              std::byte* output) const;

  /// Projects output pixels [pixels) of one chunk, of which `filtered` has the channels: to the block's output where
  /// the chunk is all of it, else to the raw sums of its group.
  void project(int chunk, Range pixels, Pixels filtered, std::byte* output) const;

  /// Finishes the sums of both groups.
  void merge(Range pixels, std::byte* output) const;

  Range chunks_of(int group) const;

 private:
  kernels::Epilogue epilogue(int block, int first_pixel) const;
  std::byte* sums_of(int group) const;
  std::ptrdiff_t sums_block_stride() const {
    return std::ptrdiff_t{b_.output.pixels()} * b_.output.block_bytes;
  }
  const std::byte* input_row(int vector, int y, const std::byte* ring) const;
  void prepare(const Panels& panels, BufferId prepared, Pixels pixels, int in_c, int count,
               bool is_signed) const;
  void fetch_rows(const Panel& panel, Range rows, kernels::MatmulArgs& args) const;
  void fetch_weights(const Panel& panel, int in_c, kernels::MatmulArgs& args) const;
  void multiply(const Panel& panel, kernels::MatmulArgs args) const;

  const RunContext& context_;
  const BlockPlan& b_;
  int thread_;
  const std::byte* input_;
};

}  // namespace mnv2
