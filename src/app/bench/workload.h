// What --bench runs: images through the stages, one at a time or in batches.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "app/bench/bench_plan.h"
#include "app/bench/crew.h"
#include "app/inputs/source.h"
#include "app/models/engine.h"
#include "app/pipeline/classifier.h"
#include "app/results/record.h"

namespace mnv2::app {

/// The network alone, on a picture of noise that is the same everywhere. Use from one thread.
class MadeUpImage {
 public:
  MadeUpImage(const Engine& engine, int threads);

  Timings run();
  /// Adds the time of each layer to layer_seconds [layers], see Network::forward_timed.
  void run_timed(std::span<double> layer_seconds);

 private:
  const Network& network_;
  Workspace workspace_;
  std::vector<float> logits_;
};

/// The images given, in turn, again and again. Safe from any thread.
class ImageList {
 public:
  explicit ImageList(InputSource& source);

  /// The next image; nullptr when none is left.
  const Input* take();
  /// Leaves an image out from now on, and says why.
  void drop(const Input& input, const Record& record);

  std::size_t usable() const { return usable_.size(); }
  std::size_t failed() const { return inputs_.size() - usable_.size(); }

 private:
  std::mutex mutex_;
  std::vector<Input> inputs_;
  std::vector<const Input*> usable_;
  std::size_t next_ = 0;
};

/// One image or one batch, done.
struct Turn {
  double wall_ms = 0;
  std::vector<Timings> images;
};

/// The workers of one setting.
class Workload {
 public:
  /// @param images nullptr: a made-up one, and no stage but inference. What is passed outlives the workload.
  Workload(const Engine& engine, const ClassifierPlan& plan, const BenchSetting& setting, ImageList* images);

  /// One image or one batch; nothing when no image is left. Cut short by a signal to stop.
  std::optional<Turn> run();

  /// What busy_threads() threads can do at the same time, in GFLOP/s: the sum of each one's best half
  /// millisecond of fused multiply-adds in registers, out of some.
  double measure_peak_gflops();

 private:
  std::optional<Timings> run_image(std::size_t worker);

  Isa isa_;
  Precision precision_;
  BenchSetting setting_;
  ImageList* images_;
  ImageMemory memory_;
  std::vector<std::variant<MadeUpImage, Classifier>> workers_;
  Crew crew_;
};

}  // namespace mnv2::app
