// The plan of a network: every decision that does not depend on the number of threads, made once, at load. It says how
// each block runs, where each packed weight stands in the arena and how each tensor lies in memory. Of the weights'
// values it depends through NetworkPairing alone. What a run does with it, in order, is a Schedule (stages.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/contracts.h"
#include "kernels/panels.h"
#include "mnv2/model.h"
#include "model/pairing.h"
#include "model/plan/tensor.h"

namespace mnv2 {

/// A panel of a layer's packed weights: output vectors [first_vector, first_vector + vectors).
struct Panel : kernels::PanelCut {
  std::size_t weights = 0;  // offset in the arena, bytes
  std::size_t bias = 0;     // offset in the arena, bytes
};
using Panels = std::vector<Panel>;

/// The format of `panels` that wants the pixels prepared, which its multiply then needs; null: none does.
const kernels::PanelFormat* preparing_format(const Panels& panels);

/// Some hidden channels of a block, with all the weights that they meet, in the order of use.
struct ChunkPlan {
  int first_vector = 0;  // hidden vectors [first_vector, first_vector + vectors)
  int vectors = 0;
  int channels = 0;           // of these vectors, without padding
  Panels produce = {};        // the expansion, or the stem before block 0; empty: the block's input is used
  std::size_t depthwise = 0;  // offset in the arena of [vectors][10][V], bytes
  Panels project = {};        // weights of these channels; the bias belongs to the first chunk
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
  bool input_is_signed = true;
  TensorPlan output = {};
  // the whole hidden tensor after the depthwise convolution, where threads share it
  TensorPlan filtered = {};
  int hidden_vectors = 0;
  // Vectors of hidden channels that are produced before they are filtered: what the ring has room for.
  int ring_vectors = 0;
  bool banded = false;
  bool projected = true;   // false: the output is the filtered hidden tensor
  int band_rows = 0;       // output rows of a band; the whole map when not banded
  int rows_before = 1;     // of zeros, above the first window's first row of the image: 0 or 1
  int columns_before = 1;  // the same on the left
  int ring_rows = 0;       // rows of the buffer of produced rows, each [input.w + 2] blocks
  // [ring_rows * input.w] bytes from the buffer's start to each pixel
  std::vector<std::int32_t> ring_offsets = {};
  // The chunk that begins the second group; 0: there is one group, of one chunk. The projections of each group are added
  // up on their own, then together: so two threads each take half of the hidden channels and exchange nothing but their
  // sums. The cut depends on the network alone.
  int second_group = 0;
  BlockPairing pairing = {};           // what was wished for, as far as there are panels for it
  std::vector<ChunkPlan> chunks = {};  // banded: one

  int stride() const { return block->depthwise.stride; }
  int groups() const { return second_group > 0 ? 2 : 1; }
  // Whether what the depthwise convolution gives may be negative.
  bool filtered_is_signed() const { return block->depthwise.clamp.min < 0; }
  std::ptrdiff_t ring_row_bytes() const { return std::ptrdiff_t{input.w + 2} * input.block_bytes; }
  std::ptrdiff_t ring_block_bytes() const { return ring_rows * ring_row_bytes(); }
  // Layers in Architecture::layers(), whose order is stem, blocks, head, classifier.
  int produce_layer() const { return source == RowSource::stem ? 0 : first_layer; }
  int depthwise_layer() const { return first_layer + (block->expand ? 1 : 0); }
  int project_layer() const { return depthwise_layer() + 1; }
};

struct StemPlan {
  const Layer* layer = nullptr;
  TensorPlan output = {};               // stored only when block 0 does not fuse the stem
  Panels panels = {};                   // none when block 0 fuses the stem
  std::vector<std::int32_t> taps = {};  // [27] offsets in the padded input, floats
};

/// A panel of the head (where there is none, some of the last block's output) and the part of the classifier that its
/// channels meet: pooled, they are multiplied at once, so that the classifier's weights, most of what is left to read,
/// come while the head computes. Of several fully connected layers the first is meant by classifier here.
struct TailStep {
  Panel head;        // without TailPlan::head only its vectors count, which are pooled as they are
  int channels = 0;  // of the panel, without padding
  // offset in the arena of [classifier_panels][channels][kLinearVectors * V], bytes
  std::size_t classifier = 0;
  std::size_t end = 0;  // where the step's weights end in the arena
};

/// Head, global average pooling and classifier, of which either layer may be absent. The steps are cut into `groups`
/// whose logits are added up in the end: the cut depends on the network alone, so the sums do not depend on the threads.
struct TailPlan {
  TensorPlan input;
  bool input_is_signed = true;
  const Layer* head = nullptr;  // or the last block's projection; null: the last block's output is pooled
  const Layer* classifier = nullptr;  // null: the pooled features are all that comes of this
  // the format that wants the input's pixels prepared, or null
  const kernels::PanelFormat* prepare = nullptr;
  int features = 0;          // that the pooling gives: the embedding
  int pooled_layer = 0;      // in Architecture::layers(), the layer whose output is pooled
  int classifier_layer = 0;  // in Architecture::layers()
  std::vector<TailStep> steps;
  int groups = 0;
  int classifier_panels = 0;
  std::size_t classifier_bias = 0;  // offset in the arena of [logits] floats, bytes
  int logits = 0;                   // padded to panels
};

/// A fully connected layer after the tail's; in other precisions than float32 all of them are.
struct DensePlan {
  const Layer* layer = nullptr;
  int index = 0;       // in Architecture::layers()
  int outputs = 0;     // padded to whole panels
  Panels panels = {};  // of a pointwise convolution of one pixel
  bool input_is_signed = true;
};

struct NetworkPlan {
  const kernels::KernelTable* kernels = nullptr;
  Precision precision = Precision::float32;
  int input_h = 0;
  int input_w = 0;
  std::ptrdiff_t input_row_stride = 0;    // of the padded input planes, floats
  std::ptrdiff_t input_plane_stride = 0;  // floats

  StemPlan stem;
  std::vector<BlockPlan> blocks;
  TailPlan tail;
  std::vector<DensePlan> dense;

  std::size_t arena_bytes = 0;
  std::size_t table_bytes = 0;  // of all offset tables, which are as large as maps
  std::int64_t multiply_adds = 0;
  int layers = 0;  // of the network

  int lanes() const { return kernels->lanes(); }
  /// Depthwise convolutions read what was rounded to bfloat16, and so does the stem.
  bool rounds_to_bf16() const { return precision == Precision::bfloat16; }
};

/// @param pairing what choose_pairing says, for formats that cancel; or empty.
/// @throws Error{invalid_argument} when the network is too large for 32-bit pixel offsets at this input size, or its
/// tables for check_memory.
NetworkPlan make_plan(const Architecture& architecture, const kernels::KernelTable& kernels, int input_h,
                      int input_w, Precision precision = Precision::float32,
                      const NetworkPairing& pairing = {});

}  // namespace mnv2
