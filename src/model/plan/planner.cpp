#include <algorithm>
#include <utility>

#include "core/rounding.h"
#include "model/plan/memory.h"
#include "model/plan/plan.h"

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

// Parts of the tail that threads can take: more serve more threads and cost more additions at the end.
constexpr int kTailGroups = 16;

/// Zeros that a window of a 3x3 convolution sees before the first row or column.
int padding_before(Padding padding, int in, int stride) {
  return padding == Padding::same && stride == 2 && in % 2 == 0 ? 0 : 1;
}

/// Places packed weights one after the other, in the order in which they are used, each on a cache line of its own.
class ArenaLayout {
 public:
  std::size_t take(std::size_t bytes) { return std::exchange(size_, size_ + round_up(bytes, kCacheLine)); }
  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kCacheLine = 64;
  std::size_t size_ = 0;
};

class Planner {
 public:
  Planner(const Architecture& architecture, const kernels::KernelTable& kernels, int input_h, int input_w,
          Precision precision, const NetworkPairing& pairing)
      : architecture_(architecture),
        lanes_(kernels.lanes()),
        block_bytes_(kernels.block_bytes),
        pairing_(pairing) {
    plan_.kernels = &kernels;
    plan_.precision = precision;
    plan_.input_h = input_h;
    plan_.input_w = input_w;
  }

  NetworkPlan make() {
    const std::vector<Block>& blocks = architecture_.blocks;
    const auto reads_rows = [&](std::size_t i) { return i < blocks.size() && !blocks[i].expand; };
    const bool fuse_stem = reads_rows(0) && !blocks.front().residual;
    plan_stem(fuse_stem, reads_rows(0) && !fuse_stem);
    TensorPlan current = plan_.stem.output;
    Clamp clamp = architecture_.stem.clamp;  // of what `current` holds
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const RowSource source = blocks[i].expand      ? RowSource::expand
                               : i == 0 && fuse_stem ? RowSource::stem
                                                     : RowSource::input;
      current =
          plan_block(blocks[i], source, i < pairing_.blocks.size() ? pairing_.blocks[i] : BlockPairing{},
                     std::move(current), reads_rows(i + 1), i + 1 == blocks.size());
      plan_.blocks.back().input_is_signed = clamp.min < 0;
      // A sum with the input is as likely to be negative as the input.
      const Clamp& projected =
          plan_.blocks.back().projected ? blocks[i].project.clamp : blocks[i].depthwise.clamp;
      if (!blocks[i].residual || clamp.min >= 0) clamp = projected;
    }
    append_second_stream();
    plan_tail(std::move(current), clamp.min < 0);
    for (std::size_t i = plan_.tail.classifier != nullptr ? 1 : 0; i < architecture_.dense.size(); ++i)
      plan_dense(architecture_.dense[i]);
    plan_.arena_bytes = streams_[0].size();
    return std::move(plan_);
  }

 private:
  void plan_stem(bool fused, bool padded_output) {
    const Layer& stem = architecture_.stem;
    plan_.input_row_stride = plan_.input_w + 2;
    plan_.input_plane_stride = plan_.input_row_stride * (plan_.input_h + 2);
    plan_.stem = {.layer = &stem,
                  .output = make_tensor(stem.out_c, divide_up(plan_.input_h, stem.stride),
                                        divide_up(plan_.input_w, stem.stride), block_bytes_, padded_output)};
    // In planes with a border of one zero: where the window is shifted, so are its taps.
    const int first_y = 1 - padding_before(architecture_.padding, plan_.input_h, stem.stride);
    const int first_x = 1 - padding_before(architecture_.padding, plan_.input_w, stem.stride);
    for (int plane = 0; plane < stem.in_c; ++plane)
      for (int y = first_y; y < first_y + 3; ++y)
        for (int x = first_x; x < first_x + 3; ++x)
          plan_.stem.taps.push_back(
              static_cast<std::int32_t>(plane * plan_.input_plane_stride + y * plan_.input_row_stride + x));
    count(stem, plan_.stem.output, std::int64_t{9} * stem.in_c);
    if (!fused) plan_.stem.panels = take_stem_panels(stem.out_c);
  }

  TensorPlan plan_block(const Block& block, RowSource source, const BlockPairing& pairing, TensorPlan input,
                        bool padded_output, bool last) {
    BlockPlan b{.block = &block,
                .first_layer = plan_.layers,
                .source = source,
                .input = std::move(input),
                .pairing = pairing};
    const int hidden_c = block.depthwise.out_c;
    const int out_h = divide_up(b.input.h, b.stride()), out_w = divide_up(b.input.w, b.stride());
    b.hidden_vectors = divide_up(hidden_c, lanes_);
    b.banded = b.input.pixels() > kMaxChunkedPixels;
    b.projected = !(last && !architecture_.head && !block.residual && !b.banded);
    b.filtered = make_tensor(hidden_c, out_h, out_w, block_bytes_);
    b.output =
        make_tensor(b.projected ? block.project.out_c : hidden_c, out_h, out_w, block_bytes_, padded_output);

    b.rows_before = padding_before(architecture_.padding, b.input.h, b.stride());
    b.columns_before = padding_before(architecture_.padding, b.input.w, b.stride());
    b.band_rows = b.banded ? std::min(kBandRows, b.output.h) : b.output.h;
    if (source != RowSource::input) {
      // A banded block keeps the rows that one band's windows cover.
      b.ring_rows = b.banded ? std::min((b.band_rows - 1) * b.stride() + 3, b.input.h) : b.input.h;
      b.ring_offsets = padded_offsets(b.ring_rows, b.input.w, block_bytes_);
    }
    plan_chunks(b);

    if (block.expand) count(*block.expand, b.input, block.expand->in_c);
    count(block.depthwise, b.output, 9);
    count(block.project, b.output, block.project.in_c);
    plan_.table_bytes += (b.ring_offsets.size() + b.output.offsets.size()) * sizeof(std::int32_t);
    check_memory(plan_, plan_.table_bytes);
    plan_.blocks.push_back(std::move(b));
    return plan_.blocks.back().output;
  }

  /// Cuts the hidden channels into chunks, even in size and of whole panels, and places their weights.
  void plan_chunks(BlockPlan& b) {
    const int panels = divide_up(b.hidden_vectors, kMaxPanelVectors);
    if (plan_.precision != Precision::float32) {
      // The range of a pixel is that of all its hidden channels: they are filtered first, whole, then projected.
      b.chunks.push_back(plan_chunk(b, 0, b.hidden_vectors));
      b.ring_vectors = b.banded ? b.hidden_vectors : std::min(kMaxPanelVectors, b.hidden_vectors);
      return;
    }
    const int chunk_channels = b.source == RowSource::input ? kFilterChunkChannels : kChunkChannels;
    const int panels_per_chunk = std::max(1, chunk_channels / (lanes_ * kMaxPanelVectors));
    int chunks = b.banded ? 1 : divide_up(panels, panels_per_chunk);
    if (!b.banded && b.projected && panels > 1) {
      chunks = std::min(divide_up(chunks, 2) * 2, panels);  // two groups as equal as can be
      b.second_group = chunks / 2;
    }
    for (int i = 0; i < chunks; ++i) {
      stream_ = &streams_[b.second_group > 0 && i >= b.second_group ? 1 : 0];
      const int first = panels * i / chunks * kMaxPanelVectors;
      const int end = std::min(panels * (i + 1) / chunks * kMaxPanelVectors, b.hidden_vectors);
      b.chunks.push_back(plan_chunk(b, first, end - first));
      b.ring_vectors = std::max(b.ring_vectors, end - first);
    }
    stream_ = &streams_[0];
    // Not every panel takes a format that cancels, and scales are for those that do.
    const auto any_cancels = [&](Panels ChunkPlan::*row) {
      return std::any_of(b.chunks.begin(), b.chunks.end(), [&](const ChunkPlan& chunk) {
        return std::any_of((chunk.*row).begin(), (chunk.*row).end(),
                           [](const Panel& panel) { return panel.format->cancels; });
      });
    };
    b.pairing.expand = any_cancels(&ChunkPlan::produce);
    b.pairing.project = any_cancels(&ChunkPlan::project);
    if (!b.pairing.expand) b.pairing.hidden_scale = 1;
    if (!b.pairing.project) b.pairing.filtered_scale = 1;
  }

  ChunkPlan plan_chunk(const BlockPlan& b, int first_vector, int vectors) {
    const int hidden_c = b.block->depthwise.out_c;
    ChunkPlan chunk{.first_vector = first_vector, .vectors = vectors};
    chunk.channels = std::min(vectors * lanes_, hidden_c - first_vector * lanes_);
    if (b.source == RowSource::expand)
      chunk.produce = take_panels({.precision = plan_.precision,
                                   .out_c = chunk.channels,
                                   .in_c = b.block->expand->in_c,
                                   .cancelling = b.pairing.expand},
                                  first_vector);
    else if (b.source == RowSource::stem)
      chunk.produce = take_stem_panels(chunk.channels, first_vector);
    chunk.depthwise = stream_->take(std::size_t(vectors) * 10 * block_bytes_);
    if (b.projected)
      chunk.project = take_panels({.precision = plan_.precision,
                                   .out_c = b.output.c,
                                   .in_c = chunk.channels,
                                   .cancelling = b.pairing.project,
                                   .half_vectors = plan_.precision == Precision::float32});
    return chunk;
  }

  /// Places the second groups' weights after the first groups': each is a stream of its own, in the order in which one
  /// thread of two reads it, and can be fetched ahead.
  void append_second_stream() {
    const std::size_t base = streams_[0].take(streams_[1].size());
    for (BlockPlan& b : plan_.blocks) {
      if (b.groups() == 1) continue;
      for (std::size_t i = b.second_group; i < b.chunks.size(); ++i) {
        ChunkPlan& chunk = b.chunks[i];
        chunk.depthwise += base;
        for (Panels* panels : {&chunk.produce, &chunk.project}) {
          for (Panel& panel : *panels) {
            panel.weights += base;
            panel.bias += base;
          }
        }
      }
    }
  }

  void plan_tail(TensorPlan input, bool input_is_signed) {
    TailPlan& tail = plan_.tail;
    tail.input_is_signed = input_is_signed;
    tail.input = std::move(input);
    tail.features = architecture_.embedding_size();
    if (architecture_.head) {
      tail.head = &*architecture_.head;
      count(*tail.head, tail.input, tail.head->in_c);
    } else if (!plan_.blocks.back().projected) {
      tail.head = &architecture_.blocks.back().project;
    }
    tail.pooled_layer = plan_.layers - 1;
    // The range of the features is known when all of them are: then all fully connected layers follow.
    if (!architecture_.dense.empty() && plan_.precision == Precision::float32)
      plan_classifier(architecture_.dense.front());
    features_are_signed_ = tail.head != nullptr ? tail.head->clamp.min < 0 : input_is_signed;

    std::vector<kernels::PanelCut> cuts = kernels::cut_panels(plan_.kernels->formats, lanes_,
                                                              {.precision = plan_.precision,
                                                               .out_c = tail.features,
                                                               .in_c = tail.input.c,
                                                               .cancelling = pairing_.head,
                                                               .cpu = cpu_});
    for (const kernels::PanelCut& cut : cuts) {
      TailStep step{.head = tail.head != nullptr ? take_panel(cut, tail.input.c) : Panel{cut}};
      step.channels = std::min(cut.vectors() * lanes_, tail.features - cut.first_vector * lanes_);
      step.classifier = stream_->take(sizeof(float) * tail.logits * step.channels);
      step.end = stream_->size();
      tail.steps.push_back(step);
      if (tail.head != nullptr && cut.format->prepares) tail.prepare = cut.format;
    }
    tail.groups = std::min(kTailGroups, static_cast<int>(tail.steps.size()));
  }

  void plan_classifier(const Layer& classifier) {
    TailPlan& tail = plan_.tail;
    tail.classifier = &classifier;
    tail.classifier_layer = plan_.layers++;
    plan_.multiply_adds += std::int64_t{classifier.in_c} * classifier.out_c;
    const int panel_outs = kLinearVectors * lanes_;
    tail.classifier_panels = divide_up(classifier.out_c, panel_outs);
    tail.logits = tail.classifier_panels * panel_outs;
    tail.classifier_bias = stream_->take(sizeof(float) * tail.logits);
  }

  void plan_dense(const Layer& layer) {
    DensePlan dense{.layer = &layer, .index = plan_.layers++};
    plan_.multiply_adds += std::int64_t{layer.in_c} * layer.out_c;
    dense.input_is_signed = std::exchange(features_are_signed_, layer.clamp.min < 0);
    dense.panels = take_panels({.precision = plan_.precision, .out_c = layer.out_c, .in_c = layer.in_c});
    dense.outputs = round_up(layer.out_c, kMaxPanelVectors * lanes_);
    plan_.dense.push_back(dense);
  }

  Panel take_panel(const kernels::PanelCut& cut, int in_c) {
    Panel panel{cut};
    panel.weights = stream_->take(cut.format->weights_bytes(in_c, cut.halves));
    panel.bias = stream_->take(std::size_t(cut.vectors()) * block_bytes_);
    return panel;
  }

  /// Of some outputs of the stem, whose own kernel takes float32 in every precision.
  Panels take_stem_panels(int out_c, int first_vector = 0) {
    return take_panels({.precision = Precision::float32, .out_c = out_c, .in_c = architecture_.stem.in_c * 9},
                       first_vector);
  }

  /// @param first_vector where the outputs stand in the whole layer.
  Panels take_panels(kernels::PanelWish wish, int first_vector = 0) {
    Panels panels;
    wish.cpu = cpu_;
    for (kernels::PanelCut cut : kernels::cut_panels(plan_.kernels->formats, lanes_, wish)) {
      cut.first_vector += first_vector;
      panels.push_back(take_panel(cut, wish.in_c));
    }
    return panels;
  }

  /// Counts a layer, in the network's order.
  void count(const Layer& layer, const TensorPlan& output, std::int64_t per_output) {
    plan_.multiply_adds += std::int64_t{output.pixels()} * layer.out_c * per_output;
    ++plan_.layers;
  }

  const Architecture& architecture_;
  int lanes_;
  int block_bytes_;
  const NetworkPairing& pairing_;
  bool features_are_signed_ = true;  // what the next fully connected layer reads
  CpuFeatures cpu_ = cpu_features();
  NetworkPlan plan_;
  ArenaLayout streams_[2];              // of the arena: all but the second groups' weights, and these
  ArenaLayout* stream_ = &streams_[0];  // where weights are placed
};

}  // namespace

const kernels::PanelFormat* preparing_format(const Panels& panels) {
  for (const Panel& panel : panels)
    if (panel.format->prepares) return panel.format;
  return nullptr;
}

NetworkPlan make_plan(const Architecture& architecture, const kernels::KernelTable& kernels, int input_h,
                      int input_w, Precision precision, const NetworkPairing& pairing) {
  return Planner(architecture, kernels, input_h, input_w, precision, pairing).make();
}

}  // namespace mnv2
