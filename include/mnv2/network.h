// The engine: a model packed for one instruction set and input size, and the memory that one running image needs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "mnv2/isa.h"
#include "mnv2/model.h"
#include "mnv2/preprocess.h"

namespace mnv2 {

class Workspace;

struct NetworkOptions {
  std::optional<Isa> isa = {};  // the best of this machine when absent
  int input_h = 0;         // pixels; 0: the model's crop
  int input_w = 0;
  /// How many threads pack the weights, the calling one included; fewer where the system refuses, or more gain nothing.
  int pack_threads = 1;
};

/// Immutable after construction: any number of threads may call forward() at once, each with its own Workspace.
/// Keeps the model alive.
class Network {
 public:
  /// Packs the weights of `model`.
  /// @throws Error{unsupported_isa, invalid_argument} for an input size outside 1..4096.
  explicit Network(const Model& model, const NetworkOptions& options = {});
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  const Model& model() const;
  Isa isa() const;
  int input_h() const;
  int input_w() const;
  /// 0 when the model has no classifier: then the embedding is the network's output.
  int num_classes() const;
  int embedding_size() const;
  /// Multiply-adds of one forward() without padding, e.g. 300.8 M for MobileNetV2 1.0 at 224x224.
  std::int64_t multiply_adds() const;

  /// Runs the network on `workspace.input()`. Workspace::embedding() has the features then.
  /// @param logits [num_classes], written; empty when the model has no classifier.
  /// @throws Error{invalid_argument} when `logits` has another size (asking a model without classifier for classes) or `workspace` belongs to another network.
  /// The result does not depend on the number of threads of `workspace`, to the last bit.
  void forward(Workspace& workspace, std::span<float> logits) const;

  /// The same, and adds to each element of `layer_seconds` [model().architecture().layers().size()] the time that the
  /// workspace's threads spent in that layer, divided by their number. Costs a percent or so.
  /// @throws Error{invalid_argument} when a span has another size.
  void forward_timed(Workspace& workspace, std::span<float> logits, std::span<double> layer_seconds) const;

 private:
  friend class Workspace;
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

/// The run state of one image at a time: activations and a pool of threads that share its work. Use it with the
/// network that it was made for, from one thread at a time.
class Workspace {
 public:
  /// @param threads how many threads work on one image, the calling one included; at least 1.
  /// @throws Error{invalid_argument} for threads outside 1..1024.
  explicit Workspace(const Network& network, int threads = 1);
  ~Workspace();
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;

  int threads() const;
  /// Where the caller writes the normalised image; forward() does not change it.
  PlanarView input();
  /// The pooled features [embedding_size] of the last forward().
  std::span<const float> embedding() const;

 private:
  friend class Network;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// softmax(logits) in double precision, rounded to float; `probabilities` may alias `logits`. Both [n].
void softmax(std::span<const float> logits, std::span<float> probabilities);

/// A class and its probability.
struct Prediction {
  int index = 0;
  float probability = 0;
};

/// The k largest of `probabilities` (all when there are fewer), largest first, ties by smaller index.
std::vector<Prediction> top_k(std::span<const float> probabilities, int k);

}  // namespace mnv2
