#include "model/plan.h"

#include <algorithm>
#include <limits>
#include <string>

#include "kernels/kernels.h"
#include "mnv2/error.h"

namespace mnv2 {
namespace {

using kernels::kLinearVectors;
using kernels::kMaxPanelVectors;

// Maps of at most this many pixels are run by chunks of hidden channels, larger ones by bands of rows. By bands the
// weights are read once a band and by chunks the projection's sums are; the two cost the same near 24 x 24.
constexpr int kMaxChunkedPixels = 24 * 24;
// Output rows of a band: more rows share the two halo rows of a band, fewer keep its buffers in the L2 cache.
constexpr int kBandRows = 4;
// Hidden channels of a chunk, about: its two buffers and its weights should stay in the L2 cache.
constexpr int kChunkChannels = 96;
// The same where nothing is expanded: no produced rows and few weights to keep, so that the sums are read and written
// seldom.
constexpr int kFilterChunkChannels = 384;

// Shorter sums than this gain less in pairs than the products of the input cost.
constexpr int kMinPairedChannels = 24;

// What the buffers of one image may take, in floats: 2 GiB. A model file of 100 KB can describe layers whose maps take
// terabytes at the largest input; MobileNetV2 at 4096 x 4096 takes 600 MB.
constexpr std::size_t kMaxBufferFloats = std::size_t{1} << 29;

// Parts of the tail that threads can take: more serve more threads and cost more additions at the end.
constexpr int kTailGroups = 16;

int divide_up(int a, int b) { return (a + b - 1) / b; }

int conv_out(int in, int stride) { return (in - 1) / stride + 1; }  // kernel 3, either padding

/// Zeros before the first of `in` rows or columns. There is always room for one after the last.
int padding_before(Padding padding, int in, int stride) {
  return padding == Padding::same && stride == 2 && in % 2 == 0 ? 0 : 1;
}

/// Hands out the arena, each piece aligned to a cache line.
class ArenaLayout {
 public:
  std::size_t take(std::size_t floats) {
    const std::size_t at = size_;
    size_ += (floats + 15) / 16 * 16;
    return at;
  }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

/// Offsets of `rows` rows of w pixels that have a padding column on either side.
std::vector<std::int32_t> padded_offsets(int rows, int w, int lanes) {
  std::vector<std::int32_t> offsets(std::size_t(rows) * w);
  for (int y = 0, p = 0; y < rows; ++y)
    for (int x = 0; x < w; ++x, ++p) offsets[p] = (y * (w + 2) + x + 1) * lanes;
  return offsets;
}

TensorPlan make_tensor(int c, int h, int w, int lanes, bool padded_columns) {
  TensorPlan t{.c = c, .h = h, .w = w, .vectors = divide_up(c, lanes), .padded_columns = padded_columns};
  t.row_stride = std::ptrdiff_t{w + (padded_columns ? 2 : 0)} * lanes;
  t.block_stride = h * t.row_stride;
  if (t.block_stride > std::numeric_limits<std::int32_t>::max())
    throw Error(ErrorCode::invalid_argument, "input size: a map of " + std::to_string(h) + " x " +
                                                 std::to_string(w) + " is too large for this network");
  if (padded_columns) t.offsets = padded_offsets(h, w, lanes);
  return t;
}

class Planner {
 public:
  Planner(const Architecture& architecture, int lanes, int input_h, int input_w, const NetworkSums& sums)
      : architecture_(architecture), lanes_(lanes), sums_(sums) {
    plan_.lanes = lanes;
    plan_.input_h = input_h;
    plan_.input_w = input_w;
  }

  NetworkPlan make() {
    plan_input();
    const std::vector<Block>& blocks = architecture_.blocks;
    const auto reads_rows = [&](std::size_t i) { return i < blocks.size() && !blocks[i].expand; };
    const bool fuse_stem = reads_rows(0) && !blocks.front().residual;
    TensorPlan current = plan_stem(fuse_stem, reads_rows(0) && !fuse_stem);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const RowSource source = blocks[i].expand      ? RowSource::expand
                               : i == 0 && fuse_stem ? RowSource::stem
                                                     : RowSource::input;
      current = plan_block(blocks[i], source, i < sums_.blocks.size() ? sums_.blocks[i] : BlockSums{},
                           current, reads_rows(i + 1), i + 1 == blocks.size());
    }
    append_second_stream();
    plan_tail(current);
    plan_.arena_size = streams_[0].size();
    return std::move(plan_);
  }

 private:
  void plan_input() {
    plan_.input_row_stride = plan_.input_w + 2;
    plan_.input_plane_stride = plan_.input_row_stride * (plan_.input_h + 2);
    const Layer& stem = architecture_.stem;
    // In planes with a border of one zero: where the window is shifted, so are its taps.
    const int first_y = 1 - padding_before(architecture_.padding, plan_.input_h, stem.stride);
    const int first_x = 1 - padding_before(architecture_.padding, plan_.input_w, stem.stride);
    for (int plane = 0; plane < stem.in_c; ++plane)
      for (int y = first_y; y < first_y + 3; ++y)
        for (int x = first_x; x < first_x + 3; ++x)
          plan_.stem_taps.push_back(
              static_cast<std::int32_t>(plane * plan_.input_plane_stride + y * plan_.input_row_stride + x));
  }

  TensorPlan plan_stem(bool fused, bool padded_output) {
    const Layer& stem = architecture_.stem;
    TensorPlan output = make_tensor(stem.out_c, conv_out(plan_.input_h, stem.stride),
                                    conv_out(plan_.input_w, stem.stride), lanes_, padded_output);
    plan_.stem_output = output;
    plan_.stem.layer = &stem;
    count(stem, output, std::int64_t{9} * stem.in_c);
    if (!fused) {
      plan_.stem.panels = take_panels(0, output.vectors, stem.in_c * 9);
      store(output);
    }
    return output;
  }

  TensorPlan plan_block(const Block& block, RowSource source, const BlockSums& sums, TensorPlan input,
                        bool padded_output, bool last) {
    BlockPlan b{.block = &block,
                .first_layer = plan_.layers,
                .source = source,
                .input = std::move(input),
                .sums = sums};
    b.hidden_c = block.depthwise.out_c;
    b.hidden_vectors = divide_up(b.hidden_c, lanes_);
    b.banded = b.input.pixels() > kMaxChunkedPixels;
    b.projected = !(last && !architecture_.head && !block.residual && !b.banded);
    b.output = make_tensor(b.projected ? block.project.out_c : b.hidden_c, conv_out(b.input.h, b.stride()),
                           conv_out(b.input.w, b.stride()), lanes_, padded_output);

    b.rows_before = padding_before(architecture_.padding, b.input.h, b.stride());
    b.columns_before = padding_before(architecture_.padding, b.input.w, b.stride());
    b.band_rows = b.banded ? std::min(kBandRows, b.output.h) : b.output.h;
    if (source != RowSource::input) {
      // A banded block keeps the rows that one band's windows cover.
      b.ring_rows = b.banded ? std::min((b.band_rows - 1) * b.stride() + 3, b.input.h) : b.input.h;
      b.ring_offsets = padded_offsets(b.ring_rows, b.input.w, lanes_);
    }
    plan_chunks(b);
    size_buffers(b);

    if (block.expand) count(*block.expand, b.input, block.expand->in_c);
    count(block.depthwise, b.output, 9);
    count(block.project, b.output, block.project.in_c);
    offsets_size_ += b.ring_offsets.size() + b.output.offsets.size();
    check_buffers();
    TensorPlan output = b.output;
    plan_.blocks.push_back(std::move(b));
    return output;
  }

  /// Cuts the hidden channels into chunks, even in size and of whole panels, and places their weights.
  void plan_chunks(BlockPlan& b) {
    const int panels = divide_up(b.hidden_vectors, kMaxPanelVectors);
    const int chunk_channels = b.source == RowSource::input ? kFilterChunkChannels : kChunkChannels;
    const int panels_per_chunk = std::max(1, chunk_channels / (lanes_ * kMaxPanelVectors));
    int chunks = b.banded ? 1 : divide_up(panels, panels_per_chunk);
    if (!b.banded && b.projected && panels > 1) {
      chunks = std::min(divide_up(chunks, 2) * 2, panels);  // two groups as equal as can be
      b.second_group = chunks / 2;
    }
    for (int i = 0; i < chunks; ++i) {
      stream_ = &streams_[b.second_group > 0 && i >= b.second_group ? 1 : 0];
      ChunkPlan chunk;
      chunk.first_vector = panels * i / chunks * kMaxPanelVectors;
      chunk.vectors =
          std::min(panels * (i + 1) / chunks * kMaxPanelVectors, b.hidden_vectors) - chunk.first_vector;
      chunk.channels = std::min(chunk.vectors * lanes_, b.hidden_c - chunk.first_vector * lanes_);
      if (b.source == RowSource::expand)
        chunk.produce =
            take_panels(chunk.first_vector, chunk.vectors, b.block->expand->in_c, b.sums.expand_in_pairs);
      else if (b.source == RowSource::stem)
        chunk.produce = take_panels(chunk.first_vector, chunk.vectors, architecture_.stem.in_c * 9);
      chunk.depthwise = stream_->take(std::size_t(chunk.vectors) * 10 * lanes_);
      if (b.projected) chunk.project = take_projection(b.output, chunk.channels, b.sums.project_in_pairs);
      b.chunks.push_back(std::move(chunk));
    }
    // Not every panel goes in pairs, and scales are for those that do.
    const auto any = [&](std::vector<PanelPlan> ChunkPlan::*row) {
      return std::any_of(b.chunks.begin(), b.chunks.end(),
                         [&](const ChunkPlan& chunk) { return any_in_pairs(chunk.*row); });
    };
    b.sums.expand_in_pairs = any(&ChunkPlan::produce);
    b.sums.project_in_pairs = any(&ChunkPlan::project);
    if (!b.sums.expand_in_pairs) b.sums.hidden_scale = 1;
    if (!b.sums.project_in_pairs) b.sums.filtered_scale = 1;
    stream_ = &streams_[0];
  }

  /// Places the second groups' weights behind the first groups': each is a stream of its own, in the order in which one
  /// thread of two reads it, and can be fetched ahead.
  void append_second_stream() {
    const std::size_t base = streams_[0].take(streams_[1].size());
    for (BlockPlan& b : plan_.blocks) {
      if (b.groups() == 1) continue;
      for (std::size_t i = b.second_group; i < b.chunks.size(); ++i) {
        ChunkPlan& chunk = b.chunks[i];
        chunk.depthwise += base;
        for (std::vector<PanelPlan>* panels : {&chunk.produce, &chunk.project}) {
          for (PanelPlan& panel : *panels) {
            panel.weights += base;
            panel.bias += base;
          }
        }
      }
    }
  }

  void size_buffers(const BlockPlan& b) {
    store(b.output);
    int most_vectors = 0;
    for (const ChunkPlan& chunk : b.chunks) most_vectors = std::max(most_vectors, chunk.vectors);
    const std::size_t row = std::size_t(b.input.w + 2) * lanes_;
    plan_.rows_size = std::max(plan_.rows_size, most_vectors * b.ring_rows * row);
    plan_.zero_row_size = std::max(plan_.zero_row_size, row);
    const std::size_t band = std::size_t(b.band_rows) * b.output.w * lanes_;
    plan_.depthwise_size = std::max(plan_.depthwise_size, most_vectors * band);
    if (b.sums.expand_in_pairs)
      plan_.input_products_size = std::max(plan_.input_products_size, std::size_t(b.ring_rows) * b.input.w);
    if (b.sums.project_in_pairs)
      plan_.filtered_products_size =
          std::max(plan_.filtered_products_size, std::size_t(b.band_rows) * b.output.w);
    if (!b.banded && b.projected)
      plan_.shared_depthwise_size = std::max(plan_.shared_depthwise_size, b.hidden_vectors * band);
    if (b.groups() > 1)
      plan_.partial_size =
          std::max(plan_.partial_size, std::size_t(b.output.vectors) * b.output.pixels() * lanes_);
  }

  /// @throws Error{invalid_argument} when they would take more than kMaxBufferFloats.
  void check_buffers() const {
    const std::size_t floats = 2 * plan_.activation_size + plan_.rows_size + plan_.depthwise_size +
                               plan_.shared_depthwise_size + plan_.partial_size + offsets_size_ +
                               plan_.input_products_size + plan_.filtered_products_size;
    if (floats > kMaxBufferFloats)
      throw Error(ErrorCode::invalid_argument, "input size: " + std::to_string(plan_.input_h) + " x " +
                                                   std::to_string(plan_.input_w) +
                                                   " needs more than 2 GiB of memory with this network");
  }

  void plan_tail(const TensorPlan& features) {
    plan_.features = features;
    TailPlan& tail = plan_.tail;
    tail.features = architecture_.embedding_size();
    if (architecture_.head) {
      tail.head = &*architecture_.head;
      count(*tail.head, features, tail.head->in_c);
    } else if (!plan_.blocks.back().projected) {
      tail.head = &architecture_.blocks.back().project;
    }
    if (tail.head != nullptr) plan_.head_size = std::size_t(kMaxPanelVectors) * features.pixels() * lanes_;
    tail.pooled_index = plan_.layers - 1;
    if (architecture_.classifier) plan_classifier(*architecture_.classifier);

    const int vectors = divide_up(tail.features, lanes_);
    for (int v = 0; v < vectors; v += kMaxPanelVectors) {
      const int panel_vectors = std::min(kMaxPanelVectors, vectors - v);
      TailStep step{.head = tail.head != nullptr
                                ? take_panel(v, panel_vectors, features.c, sums_.head_in_pairs)
                                : PanelPlan{.first_vector = v, .vectors = panel_vectors}};
      plan_.head_in_pairs |= step.head.pairs;
      step.channels = std::min(panel_vectors * lanes_, tail.features - v * lanes_);
      step.classifier = stream_->take(tail.logits_size * step.channels);
      step.end = stream_->size();
      tail.steps.push_back(step);
    }
    tail.groups = std::min(kTailGroups, static_cast<int>(tail.steps.size()));
  }

  void plan_classifier(const Layer& classifier) {
    TailPlan& tail = plan_.tail;
    tail.classifier = &classifier;
    tail.classifier_index = plan_.layers++;
    plan_.multiply_adds += std::int64_t{classifier.in_c} * classifier.out_c;
    const int panel_outs = kLinearVectors * lanes_;
    tail.classifier_panels = divide_up(classifier.out_c, panel_outs);
    tail.logits_size = std::size_t(tail.classifier_panels) * panel_outs;
    tail.classifier_bias = stream_->take(tail.logits_size);
  }

  PanelPlan take_panel(int first_vector, int vectors, int in_c, bool in_pairs) {
    const std::size_t outs = std::size_t(vectors) * lanes_;
    const std::size_t weights = stream_->take(outs * in_c);
    return {.first_vector = first_vector,
            .vectors = vectors,
            .pairs = in_pairs && vectors == kMaxPanelVectors && in_c >= kMinPairedChannels,
            .weights = weights,
            .bias = stream_->take(outs)};
  }

  std::vector<PanelPlan> take_panels(int first_vector, int vectors, int in_c, bool in_pairs = false) {
    std::vector<PanelPlan> panels;
    for (int v = 0; v < vectors; v += kMaxPanelVectors)
      panels.push_back(take_panel(first_vector + v, std::min(kMaxPanelVectors, vectors - v), in_c, in_pairs));
    return panels;
  }

  /// The panels of a projection to `output`, the last of them in half vectors if its channels end in one.
  std::vector<PanelPlan> take_projection(const TensorPlan& output, int in_c, bool in_pairs) {
    const int last_vector = (output.vectors - 1) / kMaxPanelVectors * kMaxPanelVectors;
    const int halves = divide_up(output.c - last_vector * lanes_, lanes_ / 2);
    // In pairs, two vectors of which a quarter is wasted cost less than three halves, unless there is no other panel to
    // share the products of the input.
    const bool last_in_pairs = in_pairs && halves == 3 && last_vector > 0;
    if (halves % 2 == 0 || last_in_pairs) return take_panels(0, output.vectors, in_c, in_pairs);
    std::vector<PanelPlan> panels = take_panels(0, last_vector, in_c, in_pairs);
    const std::size_t weights = stream_->take(std::size_t(divide_up(in_c, 2)) * halves * lanes_);
    const int vectors = output.vectors - last_vector;
    panels.push_back({.first_vector = last_vector,
                      .vectors = vectors,
                      .halves = halves,
                      .weights = weights,
                      .bias = stream_->take(std::size_t(vectors) * lanes_)});
    return panels;
  }

  void store(const TensorPlan& tensor) {
    plan_.activation_size = std::max(plan_.activation_size, tensor.size());
  }

  /// Counts a layer, in the network's order.
  void count(const Layer& layer, const TensorPlan& output, std::int64_t per_output) {
    plan_.multiply_adds += std::int64_t{output.pixels()} * layer.out_c * per_output;
    ++plan_.layers;
  }

  const Architecture& architecture_;
  int lanes_;
  const NetworkSums& sums_;
  NetworkPlan plan_;
  ArenaLayout streams_[2];              // of the arena: all but the second groups' weights, and these
  ArenaLayout* stream_ = &streams_[0];  // where weights are placed
  std::size_t offsets_size_ = 0;        // entries of all offset tables, which are as large as maps
};

}  // namespace

NetworkPlan make_plan(const Architecture& architecture, int lanes, int input_h, int input_w,
                      const NetworkSums& sums) {
  return Planner(architecture, lanes, input_h, input_w, sums).make();
}

}  // namespace mnv2
