// The plan of a network: every decision, made once, at load. It says how each block runs, where each packed weight
// stands in the arena and how large every buffer is. Of the weights' values it depends through NetworkSums alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mnv2/model.h"

namespace mnv2 {

class ThreadPool;

/// An activation tensor in nChwVc: [vectors][h][row_stride].
struct TensorPlan {
  int c = 0;
  int h = 0;
  int w = 0;
  int vectors = 0;  // ceil(c / V)
  bool padded_columns =
      false;  // a zero column at both ends of each row: a depthwise convolution reads it directly
  std::ptrdiff_t row_stride = 0;    // floats
  std::ptrdiff_t block_stride = 0;  // floats
  // [h * w] floats from the start of a channel block to each pixel; empty when pixels are contiguous.
  std::vector<std::int32_t> offsets = {};

  int pixels() const { return h * w; }
  std::size_t size() const { return std::size_t(vectors) * block_stride; }  // floats
};

/// How the sums of a block's pointwise layers are computed.
struct BlockSums {
  bool expand_in_pairs = false;  // by pointwise_pairs, where a panel has two vectors
  bool project_in_pairs = false;
  // Powers of two: the expanded and the filtered tensor are computed times these, and what reads them is divided.
  float hidden_scale = 1;
  float filtered_scale = 1;
};

/// How the sums of a network's pointwise layers are computed; empty: all as pointwise does.
struct NetworkSums {
  std::vector<BlockSums> blocks = {};  // of the architecture, in its order
  bool head_in_pairs = false;
};

/// A panel of a dense layer's packed weights: output vectors [first_vector, first_vector + vectors).
struct PanelPlan {
  int first_vector = 0;
  int vectors = 0;
  int halves = 0;      // half vectors of outputs when the last is one, for pointwise_halves; 0: whole vectors
  bool pairs = false;  // for pointwise_pairs
  std::size_t weights = 0;  // offset in the arena, floats
  std::size_t bias = 0;     // offset in the arena, floats
};

inline bool any_in_pairs(const std::vector<PanelPlan>& panels) {
  return std::any_of(panels.begin(), panels.end(), [](const PanelPlan& panel) { return panel.pairs; });
}

/// Some hidden channels of a block, with all the weights that they meet, in the order of use.
struct ChunkPlan {
  int first_vector = 0;  // hidden vectors [first_vector, first_vector + vectors)
  int vectors = 0;
  int channels = 0;  // of these vectors, without padding
  std::vector<PanelPlan>
      produce;  // the expansion, or the stem in front of block 0; empty: the block's input is used
  std::size_t depthwise = 0;       // offset in the arena of [vectors][10][V]
  std::vector<PanelPlan> project;  // weights [channels][panel]; the bias belongs to the first chunk
};

/// Where the rows that the depthwise convolution reads come from.
enum class RowSource {
  expand,  // a pointwise convolution of the block's input
  stem,  // the stem, fused into block 0 when that has no expansion (and does not need the stem's output again)
  input,  // the block's input itself, which then has padded columns
};

/// One inverted residual, run without ever storing its hidden tensor (`hidden_c` channels, 6 times the input's).
/// Banded, for large maps: a band of output rows at a time; the rows produced stay in a ring of ring_rows rows.
/// Not banded, for small maps: a chunk of hidden channels at a time over the whole map, added up in the projection.
/// The last block of a network without head (MobileNetV1) leaves its projection to the tail, which takes it for a head.
struct BlockPlan {
  const Block* block = nullptr;
  int first_layer = 0;  // of the block's in Architecture::layers()
  RowSource source = RowSource::expand;
  TensorPlan input;  // with RowSource::stem: the stem's output, which is not stored
  TensorPlan output = {};
  int hidden_c = 0;
  int hidden_vectors = 0;
  bool banded = false;
  bool projected = true;   // false: the output is the filtered hidden tensor
  int band_rows = 0;       // output rows of a band; the whole map when not banded
  int rows_before = 1;     // of zeros, above the first window's first row of the image: 0 or 1
  int columns_before = 1;  // the same on the left
  int ring_rows = 0;       // rows of the buffer of produced rows, each [input.w + 2][V]
  std::vector<std::int32_t> ring_offsets =
      {};  // [ring_rows * input.w] floats from the buffer's start to each pixel
  // The chunk that begins the second group; 0: there is one group. The projections of each group are added up on their
  // own, then together: so two threads each take half of the hidden channels and exchange nothing but their sums. The
  // cut depends on the network alone.
  int second_group = 0;
  BlockSums sums = {};                 // what was wished for, as far as there are panels for it
  std::vector<ChunkPlan> chunks = {};  // banded: one

  int stride() const { return block->depthwise.stride; }
  int groups() const { return second_group > 0 ? 2 : 1; }
  // Layers in Architecture::layers(), whose order is stem, blocks, head, classifier.
  int produce_layer() const { return source == RowSource::stem ? 0 : first_layer; }
  int depthwise_layer() const { return first_layer + (block->expand ? 1 : 0); }
  int project_layer() const { return depthwise_layer() + 1; }
};

/// A dense layer cut into panels.
struct DensePlan {
  const Layer* layer = nullptr;
  int index = 0;  // in Architecture::layers()
  std::vector<PanelPlan> panels;
};

/// A panel of the head (where there is none, some of the last block's output) and the part of the classifier that its
/// channels meet: pooled, they are multiplied at once, so that the classifier's weights, most of what is left to read,
/// come while the head computes.
struct TailStep {
  PanelPlan head;              // without TailPlan::head only its vectors count, which are pooled as they are
  int channels = 0;            // of the panel, without padding
  std::size_t classifier = 0;  // offset in the arena of [classifier_panels][channels][kLinearVectors * V]
  std::size_t end = 0;         // where the step's weights end in the arena
};

/// Head, global average pooling and classifier, of which either layer may be absent. The steps are cut into `groups`
/// whose logits are added up in the end: the cut depends on the network alone, so the sums do not depend on the threads.
struct TailPlan {
  const Layer* head = nullptr;  // or the last block's projection; null: the last block's output is pooled
  const Layer* classifier = nullptr;  // null: no logits, the pooled features are all
  int features = 0;                   // that the pooling gives: the embedding
  int pooled_index = 0;               // in Architecture::layers(), the layer whose output is pooled
  int classifier_index = 0;           // in Architecture::layers()
  std::vector<TailStep> steps;
  int groups = 0;
  int classifier_panels = 0;
  std::size_t classifier_bias = 0;  // offset in the arena of [logits_size]
  std::size_t logits_size = 0;      // floats, padded to panels
};

struct NetworkPlan {
  int lanes = 0;  // V
  int input_h = 0;
  int input_w = 0;
  std::ptrdiff_t input_row_stride = 0;    // of the padded input planes, floats
  std::ptrdiff_t input_plane_stride = 0;  // floats
  std::vector<std::int32_t> stem_taps;    // [27] offsets in the padded input, floats

  TensorPlan stem_output;  // stored only when block 0 does not fuse the stem
  DensePlan stem;          // no panels when block 0 fuses it
  std::vector<BlockPlan> blocks;
  TensorPlan features;  // the input of the tail
  TailPlan tail;

  std::size_t arena_size = 0;       // floats
  std::size_t activation_size = 0;  // floats of the largest stored activation
  std::size_t rows_size = 0;        // floats of one thread's buffer of produced rows
  std::size_t depthwise_size = 0;   // floats of one thread's depthwise output: of a band or a chunk
  std::size_t shared_depthwise_size =
      0;                          // floats of a whole depthwise output where threads share a block by chunks
  std::size_t partial_size = 0;   // floats of the second group's projection
  std::size_t zero_row_size = 0;  // floats
  std::size_t head_size = 0;      // floats of one thread's head panel output
  std::size_t input_products_size = 0;     // floats of one thread's pair products of a block's input
  std::size_t filtered_products_size = 0;  // the same of a depthwise output
  bool head_in_pairs = false;
  std::int64_t multiply_adds = 0;
  int layers = 0;  // of the network
};

/// @param lanes V of the kernels.
/// @param sums what choose_sums (model/sums.h) says, for kernels that have pointwise_pairs; or empty.
/// @throws Error{invalid_argument} when the network is too large for 32-bit pixel offsets at this input size.
NetworkPlan make_plan(const Architecture& architecture, int lanes, int input_h, int input_w,
                      const NetworkSums& sums = {});

/// The packed weights of `plan`, by the threads of `pool`; arena: [plan.arena_size] zeros. Releases the model's.
void pack_weights(const NetworkPlan& plan, const Model& model, ThreadPool& pool, float* arena);

}  // namespace mnv2
