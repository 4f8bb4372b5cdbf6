// The engine: a model packed for one instruction set and input size, and the memory that one running image needs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "mnv2/export.h"
#include "mnv2/isa.h"
#include "mnv2/model.h"
#include "mnv2/precision.h"
#include "mnv2/preprocess.h"

namespace mnv2 {

class Workspace;

/// What a network is made for.
struct NetworkOptions {
  std::optional<Isa> isa = {};  // the best of this machine when absent
  Precision precision = Precision::float32;
  int input_h = 0;  // pixels; 0: the model's crop
  int input_w = 0;
  /// How many threads pack the weights, the calling one included; fewer where the system refuses, or more gain nothing.
  int pack_threads = 1;
};

/// Immutable after construction: any number of threads may call forward() at once, each with its own Workspace.
/// Keeps the model alive. May be moved, also while workspaces belong to it; what it was moved from can only be assigned
/// to or destroyed.
class MNV2_API Network {
 public:
  /// Packs the weights of `model`.
  /// @throws Error{unsupported_isa} when this machine or this build has no kernels for `options.isa`.
  /// @throws Error{invalid_argument} for an input size outside 1..4096, and for one within that needs more than 2 GiB
  /// of memory with this network.
  explicit Network(const Model& model, const NetworkOptions& options = {});
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  const Model& model() const;
  Isa isa() const;
  Precision precision() const;
  /// Pixels of the input.
  int input_h() const;
  int input_w() const;
  /// How many numbers forward() gives; 0 when the model has no classifier: then the embedding is the network's output.
  int num_outputs() const;
  /// How many classes they tell apart: as many, but two by one output with a sigmoid.
  int num_classes() const;
  /// How many features the pooling gives.
  int embedding_size() const;
  /// Multiply-adds of one forward() without padding, e.g. 300.8 M for MobileNetV2 1.0 at 224x224.
  std::int64_t multiply_adds() const;

  /// Runs the network on `workspace.input()`. Workspace::embedding() has the features then.
  /// The result does not depend on the number of threads of `workspace`, to the last bit.
  /// @param logits [num_outputs], written, not part of the workspace; empty when the model has no classifier. The
  /// scores before the output activation (activate()); not finite when sums of huge weights are not.
  /// @throws Error{invalid_argument} when `logits` has another size (asking a model without classifier for classes) or
  /// `workspace` belongs to another network.
  void forward(Workspace& workspace, std::span<float> logits) const;

  /// The same, and adds to each element of `layer_seconds` [model().architecture().layers().size()] the time that the
  /// workspace's threads spent in that layer, divided by their number. Costs a percent or so.
  /// @throws Error{invalid_argument} when a span has another size or `workspace` belongs to another network.
  void forward_timed(Workspace& workspace, std::span<float> logits, std::span<double> layer_seconds) const;

 private:
  friend class Workspace;
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

/// The run state of one image at a time: activations and a pool of threads that share its work. Use it with the
/// network that it was made for, which must outlive it, from one thread at a time. May be moved, as a Network.
class MNV2_API Workspace {
 public:
  /// @param threads how many threads work on one image, the calling one included; at least 1.
  /// @throws Error{invalid_argument} for threads outside 1..1024.
  /// @throws std::system_error when the operating system starts no more threads.
  explicit Workspace(const Network& network, int threads = 1);
  ~Workspace();
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;

  int threads() const;
  /// Where the caller writes the normalised image, input_h x input_w of the network; forward() does not change it. What
  /// lies between the rows is the border, which stays zero.
  PlanarView input();
  /// The pooled features [embedding_size] of the last forward(), before the classifier; the next one overwrites them.
  std::span<const float> embedding() const;

 private:
  friend class Network;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// softmax(logits) in double precision, rounded to float; `probabilities` may be the same as `logits`. Both [n], of
/// finite numbers.
MNV2_API void softmax(std::span<const float> logits, std::span<float> probabilities);

/// What `architecture` makes of the outputs of its network: softmax(); with a sigmoid 1 / (1 + exp(-logit)) for each, and
/// before that of a binary one what is missing to 1; or the scores as they are. In double precision, rounded to float.
/// @param logits [num_outputs], of finite numbers.
/// @param classes [num_classes], written; may begin where `logits` begins.
/// @throws Error{invalid_argument} when a span has another size.
MNV2_API void activate(const Architecture& architecture, std::span<const float> logits,
                       std::span<float> classes);

/// A class and its probability, or with OutputActivation::none its score.
struct Prediction {
  int index = 0;
  float probability = 0;
};

/// The k largest of `probabilities` (all when there are fewer), largest first, ties by smaller index. None may be NaN.
MNV2_API std::vector<Prediction> top_k(std::span<const float> probabilities, int k);

}  // namespace mnv2
