// From pixels to predictions: a model made ready once, and a session for each thread that classifies with it.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "mnv2/export.h"
#include "mnv2/isa.h"
#include "mnv2/model.h"
#include "mnv2/network.h"
#include "mnv2/preprocess.h"

namespace mnv2 {

/// How a model is made ready.
struct LoadOptions {
  std::optional<Isa> isa = {};  // the best of this machine when absent
  Precision precision = Precision::float32;
  std::optional<Preprocessing> preprocessing =
      {};  // the model's when absent; the crop is the network's input
  /// As NetworkOptions::pack_threads.
  int pack_threads = 1;
};

/// A network packed for one instruction set, with the preprocessing that its input needs. Immutable and cheap to copy;
/// copies share everything. Any number of threads may use one.
class MNV2_API LoadedModel {
 public:
  /// @throws Error{unsupported_isa} when this machine or this build has no kernels for `options.isa`.
  /// @throws Error{invalid_argument} for a preprocessing out of range (see Preprocessor, Network).
  explicit LoadedModel(const Model& model, const LoadOptions& options = {});

  // What is returned by reference lives as long as this or a copy of it.
  const Model& model() const { return network().model(); }
  const Network& network() const;
  const Preprocessor& preprocessor() const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

/// Classifies one image at a time. Keeps its model alive. Use from one thread at a time. May be moved; what it was
/// moved from can only be assigned to or destroyed.
class MNV2_API Session {
 public:
  /// @param threads how many threads work on one image, the calling one included.
  /// @throws Error{invalid_argument} for threads outside 1..1024.
  /// @throws std::system_error when the operating system starts no more threads.
  explicit Session(const LoadedModel& model, int threads = 1);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  const LoadedModel& model() const;

  /// The probabilities (or scores, see OutputActivation) of the classes [num_classes], which top_k() sorts; empty for a
  /// model without classifier, whose output is the embedding. The next image overwrites them. The same as set_image() and
  /// run().
  std::span<const float> classify(const ImageView& image);

  /// Preprocesses `image`, whose pixels are not needed any more then.
  /// @throws Error{invalid_argument, image_too_large} as Preprocessor does.
  void set_image(const ImageView& image);
  /// Runs the network on the image that was set last.
  /// @return as classify()
  /// @throws Error{invalid_model} when the outputs are not finite numbers: sums of huge weights need not be.
  std::span<const float> run();

  /// The pooled features [embedding_size] of the last image that was run.
  std::span<const float> embedding() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mnv2
